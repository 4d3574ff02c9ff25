#include <algorithm>
#include <array>
#include <charconv>
#include <set>

#include "config/problem.h"
#include "config/text.h"
#include "tools/backend/check.h"
#include "tools/backend/host.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::Quote;

// Devices of the kernel that take tunnels off on their own, from everybody and for every address.
constexpr std::array<const char*, 5> kFallbackTunnels = {"tunl0", "ip6tnl0", "sit0", "gre0", "ip6gre0"};
constexpr int kRpFilterStrict = 1;

int SysctlNumber(const std::string& path) {
  const std::string text = Sysctl(path).value_or("0");
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

int Effective(const std::string& interface, const std::string& key) {
  return EffectiveSysctl(SysctlNumber(Cat("net/ipv4/conf/all/", key)),
                         SysctlNumber(Cat("net/ipv4/conf/", interface, "/", key)));
}

bool AnyV4(const std::vector<net::IpPrefix>& vips) {
  return std::any_of(vips.begin(), vips.end(), [](const net::IpPrefix& vip) { return vip.address.is_v4(); });
}

void CheckVips(const Resolved& resolved, std::vector<Finding>* findings) {
  std::set<net::IpAddress> on_loopback;
  for (const net::IpAddress& address : AddressesOf("lo")) on_loopback.insert(address);
  for (const net::IpPrefix& vip : resolved.vips) {
    const bool single = vip.length == vip.address.bits();
    if (single && on_loopback.contains(vip.address)) {
      findings->push_back({Severity::kOk, Cat("VIP ", vip.ToString(), " is on lo"), ""});
    } else if (single) {
      findings->push_back({Severity::kWarning, Cat("VIP ", vip.ToString(), " is not on lo"),
                           Cat("ip address add ", vip.ToString(), " dev lo", vip.address.is_v4() ? "" : " nodad")});
    } else {
      findings->push_back({Severity::kNote,
                           Cat("VIP prefix ", vip.ToString(), ": whether it is local was not looked at"),
                           Cat("ip route add local ", vip.ToString(), " dev lo")});
    }
  }
}

void CheckInterface(const Interface& interface, const Resolved& resolved, std::vector<Finding>* findings) {
  const std::string& name = interface.name;
  if (!interface.up) {
    findings->push_back(
        {Severity::kError, Cat("interface ", Quote(name), " is down"), Cat("ip link set ", name, " up")});
  }
  if (!AnyV4(resolved.vips)) return;
  if (Effective(name, "arp_ignore") < 1) {
    findings->push_back({Severity::kWarning,
                         Cat(name, " answers ARP for the VIPs on lo, in the director's stead (arp_ignore is 0)"),
                         "sysctl -w net.ipv4.conf.all.arp_ignore=1"});
  }
  if (Effective(name, "arp_announce") < 2) {
    findings->push_back({Severity::kWarning,
                         Cat(name, " may announce VIPs in its ARP requests (arp_announce is below 2)"),
                         "sysctl -w net.ipv4.conf.all.arp_announce=2"});
  }
  if (Effective(name, "rp_filter") == kRpFilterStrict) {
    findings->push_back({Severity::kWarning,
                         Cat(name, " drops packets out of tunnels unless the route back to the client leaves by ", name,
                             " (rp_filter is strict)"),
                         Cat("sysctl -w net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.", name, ".rp_filter=2")});
  }
}

void CheckOtherTunnels(std::vector<Finding>* findings) {
  for (const char* name : kFallbackTunnels) {
    const absl::StatusOr<Interface> tunnel = FindInterface(name);
    if (tunnel.ok() && tunnel->up) {
      findings->push_back({Severity::kWarning,
                           Cat(std::string_view(name),
                               " is up: the kernel takes tunnels off by itself, from everybody and for every address"),
                           Cat("ip link set ", std::string_view(name), " down")});
    }
  }
}

}  // namespace

int EffectiveSysctl(int all, int interface) { return std::max(all, interface); }

std::vector<Finding> CheckHost(const Options& options) {
  std::vector<Finding> findings;
  if (const absl::Status status = ValidateOptions(options); !status.ok()) {
    return {{Severity::kError, std::string(status.message()), ""}};
  }
  const absl::StatusOr<Resolved> resolved = Resolve(options);
  if (!resolved.ok()) return {{Severity::kError, std::string(resolved.status().message()), ""}};
  for (const net::IpAddress& address : resolved->addresses) {
    findings.push_back({Severity::kOk, Cat("tunnels may end at ", address.ToString()), ""});
  }
  if (options.directors.empty()) {
    findings.push_back({Severity::kWarning, "tunnels may come from everywhere",
                        "name the directors with --director: outside of them nobody should send packets to VIPs"});
  }
  CheckVips(*resolved, &findings);
  for (const Interface& interface : resolved->interfaces) CheckInterface(interface, *resolved, &findings);
  CheckOtherTunnels(&findings);
  return findings;
}

}  // namespace sluice::backend
