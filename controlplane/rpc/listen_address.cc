#include "controlplane/rpc/listen_address.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include "controlplane/model/text.h"
#include "dataplane/net/address.h"

namespace sluice::rpc {
namespace {

using model::Cat;

constexpr std::string_view kUnixScheme = "unix:";

absl::Status FromErrno(int error, std::string_view what) { return absl::ErrnoToStatus(error, Cat(what)); }

// 0 when a process accepts connections on the socket, else errno.
int TryConnect(const sockaddr_un& address) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return errno;
  const int error = connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ? 0 : errno;
  close(fd);
  return error;
}

absl::Status CreateDirectory(const std::filesystem::path& directory) {
  if (directory.empty()) return absl::OkStatus();
  std::error_code error;
  if (!std::filesystem::create_directories(directory, error)) {
    if (!error) return absl::OkStatus();  // there already
    return FromErrno(error.value(), Cat("api.listen: cannot create the directory ", directory.string(),
                                        "; run sluiced as root or choose another path"));
  }
  // Whatever the umask of who started us: clients of other users need to reach the socket.
  if (chmod(directory.c_str(), 0755) != 0) {
    return FromErrno(errno, Cat("api.listen: cannot set the mode of ", directory.string()));
  }
  return absl::OkStatus();
}

}  // namespace

std::string_view UnixPath(std::string_view address) {
  return address.starts_with(kUnixScheme) ? address.substr(kUnixScheme.size()) : std::string_view();
}

absl::Status PrepareUnixSocket(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(Cat("api.listen: the path \"", path, "\" has ", path.size(),
                                          " bytes; a Unix socket's has 1 to ", sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  if (absl::Status status = CreateDirectory(std::filesystem::path(path).parent_path()); !status.ok()) return status;
  struct stat info {};
  if (lstat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return absl::OkStatus();
    return FromErrno(errno, Cat("api.listen: cannot look at ", path));
  }
  if (!S_ISSOCK(info.st_mode)) {
    return absl::AlreadyExistsError(
        Cat("api.listen: ", path, " exists and is no socket; remove it or choose another path"));
  }
  const int error = TryConnect(address);
  // EAGAIN: its queue of connections is full, so somebody lives there.
  if (error == 0 || error == EAGAIN) {
    return absl::AlreadyExistsError(Cat("api.listen: another process answers on ", path,
                                        ": is a sluiced running already? Stop it or choose another path"));
  }
  if (error != ECONNREFUSED) {
    return FromErrno(error, Cat("api.listen: cannot tell whether anybody answers on ", path));
  }
  if (unlink(path.c_str()) != 0) {
    return FromErrno(errno, Cat("api.listen: cannot remove the socket of a dead process, ", path));
  }
  return absl::OkStatus();
}

absl::Status CheckLoopback(std::string_view address) {
  const size_t colon = address.rfind(':');
  std::string_view host = address.substr(0, colon == std::string_view::npos ? address.size() : colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  const std::optional<net::IpAddress> ip = net::IpAddress::Parse(host);
  if (colon != std::string_view::npos && (host == "localhost" || (ip.has_value() && ip->IsLoopback()))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      Cat("api.listen: \"", address,
          "\" is neither \"unix:/path\" nor a loopback address with a port such as \"127.0.0.1:9106\"; the API has no "
          "authentication, so it does not listen elsewhere"));
}

absl::Status PrepareToListen(const std::string& address) {
  return address.starts_with(kUnixScheme) ? PrepareUnixSocket(std::string(UnixPath(address))) : CheckLoopback(address);
}

}  // namespace sluice::rpc
