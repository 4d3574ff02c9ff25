#include <algorithm>

#include "controlplane/preflight/examine.h"
#include "controlplane/preflight/lookup.h"

namespace sluice::preflight {
namespace {

using model::Cat;

// What clients on Ethernet send at most, unless told otherwise.
constexpr uint32_t kUsualMtuBytes = 1500;
// IPv6 and TCP headers.
constexpr uint32_t kLargestPlainHeaders = 40 + 20;

void CheckExceptionPort(const PortDemand& port, const Facts& facts, Findings* out) {
  if (port.exception_interface.empty()) {
    out->push_back(
        {Severity::kWarning, "host.exception_port", Cat("port ", port.name),
         "it has no exception port: ARP, ND, routing protocols and SSH on it are dropped, and next hops need "
         "gateway_mac",
         "set exception.interface"});
    return;
  }
  const std::string subject = Cat("port ", port.name, ": ", port.exception_interface);
  if (!facts.tun_exists) {
    out->push_back({Severity::kError, "host.exception_port", subject, "/dev/net/tun does not exist", "modprobe tun"});
  } else if (!facts.tun_accessible) {
    out->push_back({Severity::kError, "host.exception_port", subject, "this process may not open /dev/net/tun",
                    "chmod 666 /dev/net/tun, which is its usual mode, or DeviceAllow=/dev/net/tun rw in the unit"});
  } else if (FindInterface(facts, port.exception_interface) != nullptr) {
    out->push_back({Severity::kError, "host.exception_port", subject,
                    "an interface of this name exists already; does a sluiced run?",
                    Cat("ip link del ", port.exception_interface, ", or choose another exception.interface")});
  } else {
    out->push_back({Severity::kOk, "host.exception_port", subject, "can be created", ""});
  }
}

void CheckRoutes(const PortDemand& port, const Facts& facts, Findings* out) {
  if (port.ipv6_addresses && !facts.ipv6) {
    out->push_back({Severity::kError, "host.ipv6", Cat("port ", port.name),
                    "it has IPv6 addresses, and the kernel has IPv6 switched off",
                    "sysctl net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0"});
  }
  if (port.default_route_v4 && facts.unmetered_default_route_v4) {
    out->push_back({Severity::kError, "host.default_route", Cat("port ", port.name),
                    "it has a gateway, and the kernel has a default route already; there can be one of metric 0",
                    "give that of the management interface a metric (ip route replace default via GATEWAY metric 100), "
                    "or take the gateway out of the port"});
  }
  if (port.default_route_v6 && facts.usual_default_route_v6) {
    out->push_back({Severity::kError, "host.default_route_v6", Cat("port ", port.name),
                    "it has an IPv6 gateway, and the kernel has a default route of the same metric already, perhaps "
                    "from a router's advertisement",
                    "ip -6 route show default; then sysctl net.ipv6.conf.INTERFACE.accept_ra_defrtr=0 and ip -6 route "
                    "del default dev INTERFACE, or take the gateway out of the port"});
  }
}

// Full-sized packets of clients and the tunnel's headers must fit the ports.
void CheckTunnels(const Demand& demand, Findings* out) {
  if (demand.tunnel_bytes == 0 || demand.ports.empty()) return;
  uint32_t mtu = UINT32_MAX;
  for (const PortDemand& port : demand.ports) mtu = std::min(mtu, port.mtu_bytes);
  const uint32_t fits = mtu - std::min(mtu, demand.tunnel_bytes);
  const std::string subject = Cat("vip ", demand.tunnel_vip);
  if (fits >= kUsualMtuBytes) {
    out->push_back({Severity::kOk, "host.tunnel_mtu", subject,
                    Cat("its tunnel adds ", demand.tunnel_bytes, " bytes, and mtu ", mtu, " has room for them"), ""});
    return;
  }
  out->push_back(
      {Severity::kWarning, "host.tunnel_mtu", subject,
       Cat("its tunnel adds ", demand.tunnel_bytes, " bytes: of mtu ", mtu, ", ", fits,
           " are left, and clients that send ", kUsualMtuBytes, " have to be told by ICMP, which many filter"),
       Cat("raise the mtu to ", kUsualMtuBytes + demand.tunnel_bytes,
           " here, on switches and backends; or on backends: ip route change default via GATEWAY advmss ",
           fits - std::min(fits, kLargestPlainHeaders))});
}

}  // namespace

void CheckHost(const Demand& demand, const Facts& facts, Findings* out) {
  for (const PortDemand& port : demand.ports) {
    CheckExceptionPort(port, facts, out);
    CheckRoutes(port, facts, out);
  }
  CheckTunnels(demand, out);
}

}  // namespace sluice::preflight
