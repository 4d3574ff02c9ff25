#include "controlplane/metrics/exporter.h"

#include <civetweb.h>
#include <netdb.h>
#include <prometheus/collectable.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
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

bool AcceptsGzip(const mg_connection* connection) {
  const char* accepted = mg_get_header(connection, "Accept-Encoding");
  return accepted != nullptr && std::strstr(accepted, "gzip") != nullptr;
}

// Empty when it cannot be made.
std::string Gzip(const std::string& text) {
  constexpr int kGzipWindow = 15 + 16;  // zlib: 16 more asks for gzip's header
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) != Z_OK) return "";
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const int result = deflate(&stream, Z_FINISH);
  packed.resize(result == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed;
}

// The status of the answer, for the library's own log.
int Answer(mg_connection* connection, int status, const char* text_type, const std::string& body) {
  const std::string packed = body.size() > 1024 && AcceptsGzip(connection) ? Gzip(body) : "";
  const std::string& sent = packed.empty() ? body : packed;
  mg_printf(connection,
            "HTTP/1.1 %d %s\r\nContent-Type: %s\r\n%sCache-Control: no-store\r\nContent-Length: %zu\r\n"
            "Connection: close\r\n\r\n",
            status, mg_get_response_code_text(connection, status), text_type,
            packed.empty() ? "" : "Content-Encoding: gzip\r\n", sent.size());
  // The library's time limit is for each write: a slow reader gets it for each piece.
  constexpr size_t kPiece = 64 << 10;
  for (size_t at = 0; at < sent.size(); at += kPiece) {
    const size_t size = std::min(kPiece, sent.size() - at);
    if (mg_write(connection, sent.data() + at, size) < static_cast<int>(size)) break;
  }
  return status;
}

}  // namespace

struct Exporter::Handlers {
  static int Metrics(mg_connection* connection, void* content) {
    const auto& collectable = static_cast<const Content*>(content)->collectable;
    return Answer(connection, 200, "text/plain; version=0.0.4; charset=utf-8",
                  prometheus::TextSerializer().Serialize(collectable->Collect()));
  }
  static int Health(mg_connection* connection, void* content) {
    const auto& why_not = static_cast<const Content*>(content)->why_not_serving;
    const std::string reason = why_not == nullptr ? "" : why_not();
    return Answer(connection, reason.empty() ? 200 : 503, "text/plain; charset=utf-8",
                  (reason.empty() ? "serving" : reason) + "\n");
  }
};

absl::StatusOr<std::unique_ptr<Exporter>> Exporter::Start(const std::string& listen,
                                                          std::shared_ptr<prometheus::Collectable> collectable,
                                                          std::function<std::string()> why_not_serving) {
  if (absl::Status status = TryListen(listen); !status.ok()) return status;
  auto content = std::make_unique<Content>(Content{std::move(collectable), std::move(why_not_serving)});
  std::unique_ptr<Exporter> exporter(new Exporter(listen, std::move(content)));
  // Neither a scrape nor who says nothing, as half-open connections and port scanners, may keep somebody from asking
  // for the health: routes go by it. A thread serves one connection, and waits so long for its request.
  const char* options[] = {"listening_ports",    listen.c_str(), "num_threads", "16",
                           "request_timeout_ms", "2000",         nullptr};
  const mg_callbacks callbacks{};
  exporter->server_ = mg_start(&callbacks, nullptr, options);
  if (exporter->server_ == nullptr) {
    return absl::UnavailableError(Cat("metrics.listen: cannot listen on ", listen));
  }
  mg_set_request_handler(exporter->server_, "/metrics", Handlers::Metrics, exporter->content_.get());
  mg_set_request_handler(exporter->server_, "/healthz", Handlers::Health, exporter->content_.get());
  return exporter;
}

Exporter::~Exporter() {
  if (server_ == nullptr) return;
  // The HTTP library notices that it is to stop when its poll returns, which takes up to two seconds; a connection
  // shortens that.
  const Addrinfo address = ParseListen(listen_);
  std::future<void> stopped = std::async(std::launch::async, [this] { mg_stop(server_); });
  while (stopped.wait_for(std::chrono::milliseconds(20)) != std::future_status::ready) {
    if (address != nullptr) Knock(*address);
  }
}

}  // namespace sluice::metrics
