#include "controlplane/metrics/exporter.h"

#include <netdb.h>
#include <prometheus/exposer.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <exception>
#include <future>
#include <memory>
#include <utility>

#include "controlplane/model/text.h"

namespace sluice::metrics {
namespace {

using model::Cat;

struct AddrinfoDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};
using Addrinfo = std::unique_ptr<addrinfo, AddrinfoDeleter>;

// Null when `listen` is no numeric address and port.
Addrinfo ParseListen(const std::string& listen) {
  const size_t colon = listen.rfind(':');
  if (colon == std::string::npos) return nullptr;
  std::string host = listen.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (getaddrinfo(host.c_str(), listen.c_str() + colon + 1, &hints, &found) != 0) return nullptr;
  return Addrinfo(found);
}

// The HTTP library says only that it failed; binding for a moment ourselves tells why.
absl::Status TryListen(const std::string& listen) {
  const Addrinfo address = ParseListen(listen);
  if (address == nullptr) {
    return absl::InvalidArgumentError(
        Cat("metrics.listen: \"", listen, "\" is no address and port; give them like 127.0.0.1:9105 or [::1]:9105"));
  }
  const int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  int error = 0;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
      bind(fd, address->ai_addr, address->ai_addrlen) != 0 || ::listen(fd, 1) != 0) {
    error = errno;
  }
  if (fd >= 0) close(fd);
  if (error == 0) return absl::OkStatus();
  if (error == EADDRINUSE) {
    return absl::AlreadyExistsError(Cat("metrics.listen: ", listen,
                                        " is in use by another process; is a sluiced running already? Stop it, or "
                                        "choose another port under node.metrics.listen"));
  }
  return absl::UnavailableError(Cat("metrics.listen: cannot listen on ", listen, ": ", std::strerror(error),
                                    "; choose an address of this machine under node.metrics.listen"));
}

// Makes a server's poll return.
void Knock(const addrinfo& address) {
  const int fd = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return;
  // Whether anybody answers does not matter.
  [[maybe_unused]] const int result = connect(fd, address.ai_addr, address.ai_addrlen);
  close(fd);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Exporter>> Exporter::Start(const std::string& listen,
                                                          std::shared_ptr<prometheus::Collectable> collectable) {
  if (absl::Status status = TryListen(listen); !status.ok()) return status;
  try {
    auto exposer = std::make_unique<prometheus::Exposer>(listen);
    exposer->RegisterCollectable(collectable);
    return std::unique_ptr<Exporter>(new Exporter(listen, std::move(exposer), std::move(collectable)));
  } catch (const std::exception& error) {
    return absl::UnavailableError(Cat("metrics.listen: cannot listen on ", listen, ": ", error.what()));
  }
}

Exporter::Exporter(std::string listen, std::unique_ptr<prometheus::Exposer> exposer,
                   std::shared_ptr<prometheus::Collectable> collectable)
    : listen_(std::move(listen)), collectable_(std::move(collectable)), exposer_(std::move(exposer)) {}

Exporter::~Exporter() {
  // The HTTP library notices that it is to stop when its poll returns, which takes up to two seconds; a connection
  // shortens that.
  const Addrinfo address = ParseListen(listen_);
  std::future<void> stopped = std::async(std::launch::async, [this] { exposer_.reset(); });
  while (stopped.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (address != nullptr) Knock(*address);
  }
}

}  // namespace sluice::metrics
