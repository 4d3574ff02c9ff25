#include "tools/backend/host.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <memory>

#include "config/problem.h"
#include "config/text.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

constexpr const char* kLoopback = "lo";

// One request of netdevice(7) about an interface; false when there is none of that name.
bool Ask(int fd, unsigned long request, const std::string& name, ifreq* answer) {
  *answer = {};
  name.copy(answer->ifr_name, sizeof(answer->ifr_name) - 1);
  return ioctl(fd, request, answer) == 0;
}

std::optional<net::IpAddress> AddressIn(const sockaddr* socket) {
  if (socket == nullptr) return std::nullopt;
  if (socket->sa_family == AF_INET) {
    sockaddr_in in;
    std::memcpy(&in, socket, sizeof(in));
    return net::IpAddress::FromBytes(net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&in.sin_addr));
  }
  if (socket->sa_family != AF_INET6) return std::nullopt;
  sockaddr_in6 in6;
  std::memcpy(&in6, socket, sizeof(in6));
  return net::IpAddress::FromBytes(net::Family::kIpv6, in6.sin6_addr.s6_addr);
}

void SortAndUnify(std::vector<net::IpAddress>* addresses) {
  std::sort(addresses->begin(), addresses->end());
  addresses->erase(std::unique(addresses->begin(), addresses->end()), addresses->end());
}

std::vector<net::IpPrefix> Everywhere() { return {{net::IpAddress(), 0}, {*net::IpAddress::Parse("::"), 0}}; }

}  // namespace

absl::StatusOr<Interface> FindInterface(const std::string& name) {
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return absl::ErrnoToStatus(errno, "socket");
  Interface found{.name = name};
  ifreq answer;
  const bool exists = Ask(fd, SIOCGIFINDEX, name, &answer);
  if (exists) {
    found.index = answer.ifr_ifindex;
    if (Ask(fd, SIOCGIFMTU, name, &answer)) found.mtu = static_cast<uint32_t>(answer.ifr_mtu);
    if (Ask(fd, SIOCGIFHWADDR, name, &answer)) found.ethernet = answer.ifr_hwaddr.sa_family == ARPHRD_ETHER;
    if (Ask(fd, SIOCGIFFLAGS, name, &answer)) found.up = (answer.ifr_flags & IFF_UP) != 0;
  }
  close(fd);
  if (!exists) {
    return absl::NotFoundError(Cat("interfaces: ", Quote(name), ": there is no such interface; see `ip link`"));
  }
  return found;
}

std::vector<net::IpAddress> AddressesOf(const std::string& interface) {
  ifaddrs* first = nullptr;
  if (getifaddrs(&first) != 0) return {};
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(first, freeifaddrs);
  std::vector<net::IpAddress> addresses;
  for (const ifaddrs* each = first; each != nullptr; each = each->ifa_next) {
    if (interface != each->ifa_name) continue;
    const auto address = AddressIn(each->ifa_addr);
    if (address && !address->IsLoopback() && !address->IsLinkLocal() && !address->IsUnspecified()) {
      addresses.push_back(*address);
    }
  }
  SortAndUnify(&addresses);
  return addresses;
}

std::optional<std::string> Sysctl(const std::string& path) {
  std::ifstream file("/proc/sys/" + path);
  std::string value;
  if (!std::getline(file, value)) return std::nullopt;
  return value;
}

bool operator==(const Resolved& a, const Resolved& b) {
  const auto same_interface = [](const Interface& x, const Interface& y) { return x.index == y.index; };
  return a.addresses == b.addresses && a.directors == b.directors && a.vips == b.vips && a.link_mtu == b.link_mtu &&
         std::equal(a.interfaces.begin(), a.interfaces.end(), b.interfaces.begin(), b.interfaces.end(), same_interface);
}

absl::StatusOr<Resolved> Resolve(const Options& options) {
  Resolved resolved;
  uint32_t smallest_mtu = limits::kMtu.max;
  for (const std::string& name : options.interfaces) {
    absl::StatusOr<Interface> interface = FindInterface(name);
    if (!interface.ok()) return interface.status();
    if (!interface->ethernet) {
      return absl::InvalidArgumentError(
          Cat("interfaces: ", Quote(name), " has no Ethernet headers; attach to the interface on which frames arrive"));
    }
    smallest_mtu = std::min(smallest_mtu, interface->mtu);
    resolved.interfaces.push_back(*std::move(interface));
  }
  resolved.addresses = options.addresses;
  if (resolved.addresses.empty()) {
    for (const std::string& name : options.interfaces) {
      const auto own = AddressesOf(name);
      resolved.addresses.insert(resolved.addresses.end(), own.begin(), own.end());
    }
    SortAndUnify(&resolved.addresses);
  }
  if (resolved.addresses.empty()) {
    return absl::InvalidArgumentError(
        "addresses: the interfaces have none where a tunnel could end; add one with `ip address add`, or name the "
        "addresses with --address");
  }
  if (resolved.addresses.size() > limits::kAddresses) {
    return absl::InvalidArgumentError(Cat("addresses: the interfaces have ", resolved.addresses.size(),
                                          "; name at most ", limits::kAddresses, " where tunnels end with --address"));
  }
  resolved.directors = options.directors.empty() ? Everywhere() : options.directors;
  resolved.vips = options.vips;
  if (resolved.vips.empty()) {
    for (const net::IpAddress& address : AddressesOf(kLoopback)) resolved.vips.push_back({address, address.bits()});
  }
  if (resolved.vips.empty()) {
    return absl::InvalidArgumentError(
        "vips: lo has no address but its own, so there is no VIP to take packets for; put the VIPs there (`ip address "
        "add 203.0.113.10/32 dev lo`), or name them with --vip");
  }
  if (resolved.vips.size() > limits::kVips) {
    return absl::InvalidArgumentError(
        Cat("vips: lo has ", resolved.vips.size(), " addresses; name prefixes with --vip, at most ", limits::kVips));
  }
  if (options.clamp_mss) resolved.link_mtu = options.mtu != 0 ? options.mtu : smallest_mtu;
  return resolved;
}

}  // namespace sluice::backend
