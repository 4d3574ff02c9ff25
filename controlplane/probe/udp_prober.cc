#include "controlplane/probe/udp_prober.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "absl/strings/escaping.h"
#include "controlplane/model/text.h"

namespace sluice::probe {
namespace {

using health::ProbeResult;
using model::Cat;
using Kind = ProbeResult::Kind;

ProbeResult Failure(const health::CheckTarget& target, int error, bool at_once) {
  if (error == ECONNREFUSED) return {Kind::kFailed, Cat("datagram to ", TargetText(target), ": port unreachable")};
  if (error == ENETUNREACH) return ConnectFailure(target, error, at_once);
  return {Kind::kFailed, Cat("datagram to ", TargetText(target), ": ", std::strerror(error))};
}

}  // namespace

std::string BytesOf(const std::string& text) {
  if (!text.starts_with("0x")) return text;
  return absl::HexStringToBytes({text.data() + 2, text.size() - 2});
}

UdpProber::UdpProber(EventLoop& loop, Ways& ways, health::ProbeSink& sink)
    : SocketProber(SOCK_DGRAM, EPOLLIN, loop, ways, sink) {}

int UdpProber::Begin(int fd, const health::CheckSpec& spec) {
  const SocketAddress to = AddressOf(spec.target.address, spec.target.port);
  const std::string bytes = BytesOf(spec.config.send);
  return connect(fd, to.get(), to.length) != 0 || send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0 ? errno : 0;
}

ProbeResult UdpProber::Failed(const health::CheckTarget& target, int error) const {
  return Failure(target, error, true);
}

void UdpProber::OnReady(health::ProbeId id, int fd, const health::CheckSpec& spec) {
  std::array<char, 65536> buffer;
  const ssize_t bytes = recv(fd, buffer.data(), buffer.size(), 0);
  if (bytes < 0) {
    if (errno != EAGAIN && errno != EINTR) End(id, Failure(spec.target, errno, false));
    return;
  }
  const std::string_view answer(buffer.data(), static_cast<size_t>(bytes));
  const std::string wanted = BytesOf(spec.config.expect);
  if (answer.find(wanted) == std::string_view::npos) {
    End(id, {Kind::kFailed, Cat("the answer of ", bytes, " bytes is not what is expected")});
  } else {
    End(id, {Kind::kPassed, Cat("an answer of ", bytes, " bytes")});
  }
}

std::string UdpProber::Doing(const health::CheckTarget& target) const { return Cat("answer of ", TargetText(target)); }

}  // namespace sluice::probe
