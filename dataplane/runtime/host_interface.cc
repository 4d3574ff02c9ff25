#include "dataplane/runtime/host_interface.h"

#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/link/inet6.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/netlink.h"

namespace sluice::runtime {
namespace {

class Configurator {
 public:
  Configurator(nl_sock* socket, const PortOptions& port, unsigned index)
      : socket_(socket), port_(port), index_(static_cast<int>(index)) {}

  absl::Status SetLink(const net::MacAddress& mac) {
    // By hand, below; not for kernels without IPv6, where there is nothing to switch off.
    ChangeLink([](rtnl_link* link) { rtnl_link_inet6_set_addr_gen_mode(link, IN6_ADDR_GEN_MODE_NONE); });
    const int result = ChangeLink([this, &mac](rtnl_link* link) {
      rtnl_link_set_addr(link, ToNlAddr(mac).get());
      rtnl_link_set_mtu(link, port_.mtu_bytes);
      rtnl_link_set_flags(link, IFF_UP);
    });
    if (result == 0) return absl::OkStatus();
    return Failed(absl::StrCat("setting MAC address ", mac.ToString(), ", MTU ", port_.mtu_bytes, " and up"), result,
                  "is the MTU within the kernel's limits, and does the process have CAP_NET_ADMIN?");
  }

  absl::Status AddAddress(const net::IpPrefix& prefix) {
    NlIfAddr address(rtnl_addr_alloc());
    rtnl_addr_set_ifindex(address.get(), index_);
    rtnl_addr_set_local(address.get(), ToNlAddr(prefix).get());
    if (!prefix.address.is_v4()) rtnl_addr_set_flags(address.get(), IFA_F_NODAD);
    const int result = rtnl_addr_add(socket_, address.get(), 0);
    if (result == 0) return absl::OkStatus();
    return Failed(absl::StrCat("adding address ", prefix.ToString()), result,
                  prefix.address.is_v4() ? "is it a unicast address?"
                                         : "is IPv6 switched on (sysctl net.ipv6.conf.all.disable_ipv6)?");
  }

  absl::Status AddDefaultRoute(const net::IpAddress& gateway) {
    NlRoute route(rtnl_route_alloc());
    rtnl_route_set_family(route.get(), static_cast<uint8_t>(AddressFamily(gateway)));
    constexpr std::array<uint8_t, 16> kZero{};
    const net::IpPrefix everything{.address = net::IpAddress::FromBytes(gateway.family(), kZero.data()), .length = 0};
    rtnl_route_set_dst(route.get(), ToNlAddr(everything).get());
    rtnl_nexthop* hop = rtnl_route_nh_alloc();
    rtnl_route_nh_set_ifindex(hop, index_);
    rtnl_route_nh_set_gateway(hop, ToNlAddr(gateway).get());
    rtnl_route_add_nexthop(route.get(), hop);  // owns hop now
    const int result = rtnl_route_add(socket_, route.get(), NLM_F_EXCL);
    if (result == 0) return absl::OkStatus();
    return Failed(absl::StrCat("adding a default route by gateway ", gateway.ToString()), result,
                  result == -NLE_EXIST
                      ? "the host has a default route already (ip route): remove it, or take the gateway out of the "
                        "port and set gateway_mac or routes to the backends instead"
                      : "is the gateway within the network of one of the port's addresses?");
  }

 private:
  template <typename Change>
  int ChangeLink(Change&& change) {
    rtnl_link* found = nullptr;
    if (const int result = rtnl_link_get_kernel(socket_, index_, nullptr, &found); result < 0) return result;
    const NlLink original(found);
    const NlLink changes(rtnl_link_alloc());
    rtnl_link_set_ifindex(changes.get(), index_);
    change(changes.get());
    return rtnl_link_change(socket_, original.get(), changes.get(), 0);
  }

  absl::Status Failed(const std::string& what, int result, absl::string_view hint) const {
    return absl::FailedPreconditionError(absl::StrCat("port ", port_.name, ": exception interface ",
                                                      port_.exception_interface, ": ", what,
                                                      " failed: ", nl_geterror(result), "; ", hint));
  }

  nl_sock* const socket_;
  const PortOptions& port_;
  const int index_;
};

}  // namespace

net::IpPrefix LinkLocalOf(const net::MacAddress& mac) {
  const uint8_t* m = mac.data();
  const std::array<uint8_t, 16> bytes = {0xfe, 0x80, 0,    0,    0,    0,    0,   0, static_cast<uint8_t>(m[0] ^ 0x02),
                                         m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]};
  return {.address = net::IpAddress::FromBytes(net::Family::kIpv6, bytes.data()), .length = 64};
}

std::vector<std::vector<net::IpAddress>> LocalAddressesOfPorts(const DataplaneOptions& options) {
  std::vector<std::vector<net::IpAddress>> by_port(options.ports.size());
  for (const net::IpAddress& address : options.nat_local_addresses) {
    std::optional<size_t> carrier;
    bool near = false;  // in a network of the carrier
    bool own = false;
    for (size_t i = 0; i < options.ports.size(); ++i) {
      const PortOptions& port = options.ports[i];
      for (const net::IpPrefix& prefix : port.addresses) {
        own |= prefix.address == address;
        if (near || port.exception_interface.empty() || !prefix.Contains(address)) continue;
        near = true;
        carrier = i;
      }
      if (!carrier && !port.exception_interface.empty()) carrier = i;
    }
    if (carrier && !own) by_port[*carrier].push_back(address);
  }
  return by_port;
}

absl::Status ConfigureHostInterface(nl_sock* socket, const PortOptions& port,
                                    const std::vector<net::IpAddress>& local_addresses, unsigned index,
                                    const net::MacAddress& mac) {
  Configurator configurator(socket, port, index);
  if (absl::Status status = configurator.SetLink(mac); !status.ok()) return status;
  const bool wants_v6 = std::any_of(port.addresses.begin(), port.addresses.end(),
                                    [](const net::IpPrefix& prefix) { return !prefix.address.is_v4(); }) ||
                        std::any_of(local_addresses.begin(), local_addresses.end(),
                                    [](const net::IpAddress& address) { return !address.is_v4(); });
  // Without an IPv6 address of the configuration, a host without IPv6 is none of our business.
  if (absl::Status status = configurator.AddAddress(LinkLocalOf(mac)); !status.ok() && wants_v6) return status;
  for (const net::IpPrefix& prefix : port.addresses) {
    if (absl::Status status = configurator.AddAddress(prefix); !status.ok()) return status;
  }
  for (const net::IpAddress& address : local_addresses) {
    if (absl::Status status = configurator.AddAddress({address, address.bits()}); !status.ok()) return status;
  }
  for (const net::IpAddress& gateway : port.gateways) {
    if (absl::Status status = configurator.AddDefaultRoute(gateway); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> RestoreMacAddress(nl_sock* socket, int index, const net::MacAddress& mac) {
  rtnl_link* found = nullptr;
  // Gone, as at the end of the process.
  if (rtnl_link_get_kernel(socket, index, nullptr, &found) < 0) return false;
  const NlLink original(found);
  if (ToMacAddress(rtnl_link_get_addr(found)) == mac) return false;
  const NlLink changes(rtnl_link_alloc());
  rtnl_link_set_ifindex(changes.get(), index);
  rtnl_link_set_addr(changes.get(), ToNlAddr(mac).get());
  const int result = rtnl_link_change(socket, original.get(), changes.get(), 0);
  if (result < 0) return absl::UnavailableError(nl_geterror(result));
  return true;
}

}  // namespace sluice::runtime
