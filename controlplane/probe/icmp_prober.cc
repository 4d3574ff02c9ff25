#include "controlplane/probe/icmp_prober.h"

#include <arpa/inet.h>
#include <linux/icmp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "controlplane/model/text.h"
#include "controlplane/probe/socket.h"
#include "dataplane/net/checksum.h"

namespace sluice::probe {
namespace {

using health::ProbeId;
using health::ProbeResult;
using model::Cat;
using Kind = ProbeResult::Kind;

constexpr size_t kHeaderBytes = 8;  // type, code, checksum, identifier, sequence number

std::string What(const health::CheckTarget& target) {
  std::string text = Cat("echo reply of ", target.address.ToString());
  if (target.on_data_path()) text += Cat(" on ", target.backend_address.ToString());
  return text;
}

// Echo replies only: the socket would get all of the host's ICMP.
void FilterReplies(int fd, bool v4) {
  if (v4) {
    const icmp_filter filter = {.data = ~(1u << ICMP_ECHOREPLY)};
    setsockopt(fd, SOL_RAW, ICMP_FILTER, &filter, sizeof(filter));
  } else {
    icmp6_filter filter;
    ICMP6_FILTER_SETBLOCKALL(&filter);
    ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
    setsockopt(fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof(filter));
  }
}

}  // namespace

IcmpProber::~IcmpProber() {
  for (const auto& [key, fd] : sockets_) {
    loop_.Forget(fd);
    close(fd);
  }
}

absl::StatusOr<int> IcmpProber::SocketFor(bool v4, const std::string& device) {
  const auto found = sockets_.find({v4, device});
  if (found != sockets_.end()) return found->second;
  const int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC,
                        v4 ? int{IPPROTO_ICMP} : int{IPPROTO_ICMPV6});
  if (fd < 0) return absl::UnavailableError(Cat("no socket for ICMP: ", std::strerror(errno), " (CAP_NET_RAW)"));
  if (!device.empty() &&
      setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device.c_str(), static_cast<socklen_t>(device.size())) != 0) {
    const int error = errno;
    close(fd);
    return absl::UnavailableError(Cat("no socket for ICMP on ", device, ": ", std::strerror(error)));
  }
  FilterReplies(fd, v4);
  loop_.Watch(fd, EPOLLIN, [this, fd, v4](uint32_t) { Receive(fd, v4); });
  sockets_[{v4, device}] = fd;
  return fd;
}

void IcmpProber::Start(ProbeId id, const health::CheckSpec& spec) {
  const bool v4 = spec.target.address.is_v4();
  absl::StatusOr<Way> way = ways_.Open(spec.target);
  if (!way.ok()) {
    sink_.Done(id, {Kind::kNotMade, std::string(way.status().message())});
    return;
  }
  probes_[id] = {*way, &spec.target};
  by_identifier_[way->source_port] = id;
  const absl::StatusOr<int> fd = SocketFor(v4, way->device);
  if (!fd.ok()) {
    Remove(id);
    sink_.Done(id, {Kind::kNotMade, std::string(fd.status().message())});
    return;
  }
  std::array<uint8_t, kHeaderBytes> request{};
  request[0] = v4 ? uint8_t{ICMP_ECHO} : uint8_t{ICMP6_ECHO_REQUEST};
  const uint16_t identifier = htons(way->source_port);
  std::memcpy(&request[4], &identifier, sizeof(identifier));
  request[7] = 1;
  if (v4) {
    const uint16_t checksum = net::InternetChecksum(request.data(), request.size());
    std::memcpy(&request[2], &checksum, sizeof(checksum));
  }
  const SocketAddress to = AddressOf(spec.target.address, 0);
  if (sendto(*fd, request.data(), request.size(), MSG_NOSIGNAL, to.get(), to.length) >= 0) return;
  const int error = errno;
  Remove(id);
  const bool own = error == ENETUNREACH || error == ENOBUFS || error == EAGAIN;
  sink_.Done(id, {own ? Kind::kNotMade : Kind::kFailed, Cat(What(spec.target), ": ", std::strerror(error))});
}

void IcmpProber::Receive(int fd, bool v4) {
  std::array<uint8_t, 2048> buffer;
  while (true) {
    SocketAddress from;
    from.length = sizeof(from.storage);
    const ssize_t bytes =
        recvfrom(fd, buffer.data(), buffer.size(), 0, reinterpret_cast<sockaddr*>(&from.storage), &from.length);
    if (bytes <= 0) return;
    // IPv4's raw sockets give the IP header too.
    const size_t header = v4 ? size_t{buffer[0] & 0x0fu} * 4 : 0;
    const auto size = static_cast<size_t>(bytes);
    if (size < header + kHeaderBytes) continue;
    const auto* source =
        v4 ? reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in*>(&from.storage)->sin_addr)
           : reinterpret_cast<const uint8_t*>(&reinterpret_cast<const sockaddr_in6*>(&from.storage)->sin6_addr);
    Take(v4, buffer.data() + header, size - header, source);
  }
}

void IcmpProber::Take(bool v4, const uint8_t* icmp, size_t size, const uint8_t* source) {
  if (size < kHeaderBytes || icmp[0] != (v4 ? uint8_t{ICMP_ECHOREPLY} : uint8_t{ICMP6_ECHO_REPLY})) return;
  uint16_t identifier = 0;
  std::memcpy(&identifier, icmp + 4, sizeof(identifier));
  const auto found = by_identifier_.find(ntohs(identifier));
  if (found == by_identifier_.end()) return;
  const ProbeId id = found->second;
  const health::CheckTarget& target = *probes_.at(id).target;
  if (target.address.is_v4() != v4 || std::memcmp(target.address.data(), source, target.address.size()) != 0) return;
  Remove(id);
  sink_.Done(id, {Kind::kPassed, "echo reply"});
}

IcmpProber::Probe IcmpProber::Remove(ProbeId id) {
  const auto found = probes_.find(id);
  Probe probe = found->second;
  probes_.erase(found);
  by_identifier_.erase(probe.way.source_port);
  ways_.Close(probe.way);
  return probe;
}

std::string IcmpProber::Cancel(ProbeId id) {
  if (!probes_.contains(id)) return "";
  return What(*Remove(id).target);
}

}  // namespace sluice::probe
