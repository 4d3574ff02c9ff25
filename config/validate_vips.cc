#include "config/validate_vips.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "config/limits.h"

namespace sluice::config {
namespace {

bool IsOneAddress(const net::IpPrefix& prefix) { return prefix.length == prefix.address.bits(); }

void CheckPorts(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  const PortRange& ports = vip.ports;
  if (ports.is_all()) return;
  if (ports.is_single()) {
    problems->CheckRange(path + ".port", Cat("port ", ports.first, " of VIP ", Quote(vip.name)), ports.first,
                         limits::kL4Port);
  } else if (ports.first == 0 || ports.first > ports.last) {
    problems->Add(path + ".port", Cat("port range ", PortsText(ports), " of VIP ", Quote(vip.name),
                                      ports.first == 0 ? " begins at 0; begin at 1, or write all"
                                                       : " ends before it begins; swap them"));
  }
}

void CheckGuePort(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  if (!vip.gue_port) return;
  const std::string what = Cat("gue_port ", *vip.gue_port, " of VIP ", Quote(vip.name));
  if (IsGue(vip.mode)) {
    problems->CheckRange(path + ".gue_port", what, *vip.gue_port, limits::kL4Port);
  } else {
    problems->Add(path + ".gue_port", Cat(what, " means nothing in mode ", ModeName(vip.mode),
                                          "; remove it, or take mode gue or gue-direct"));
  }
}

void CheckTimeouts(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  const auto check = [&](std::string_view key, const std::optional<uint32_t>& seconds) {
    if (!seconds) return;
    problems->CheckRange(Cat(path, ".timeouts.", key), Cat(key, " ", *seconds, " of VIP ", Quote(vip.name)), *seconds,
                         limits::kTimeoutS);
  };
  check("tcp_syn_s", vip.timeouts.tcp_syn_s);
  check("tcp_established_s", vip.timeouts.tcp_established_s);
  check("tcp_closing_s", vip.timeouts.tcp_closing_s);
  check("tcp_reset_s", vip.timeouts.tcp_reset_s);
  check("udp_s", vip.timeouts.udp_s);
}

// What belongs to NAT only.
void CheckNat(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  const std::string of_vip = Cat(" of VIP ", Quote(vip.name));
  if (vip.proxy_protocol == ProxyProtocol::kV2 && vip.mode != ForwardingMode::kFullNat) {
    problems->Add(path + ".proxy_protocol",
                  Cat("proxy_protocol v2", of_vip, " needs mode full-nat, not ", ModeName(vip.mode),
                      ", with which backends see the client's address; ", "remove it, or take mode full-nat"));
  } else if (vip.proxy_protocol == ProxyProtocol::kV2 && vip.protocol != Protocol::kTcp) {
    problems->Add(path + ".proxy_protocol", Cat("proxy_protocol v2", of_vip, " needs protocol tcp, not ",
                                                ProtocolName(vip.protocol), "; remove it"));
  }
  if (vip.mode == ForwardingMode::kFullNat && vip.tracking == ConnectionTracking::kOff) {
    problems->Add(path + ".connection_tracking",
                  Cat("connection_tracking off", of_vip, " cannot be with mode full-nat, which finds the client of an ",
                      "answer by the connection alone; remove it"));
  }
}

// A connection of which nothing is remembered is found by the hash, and by whether its packet is a SYN.
void CheckUnsafe(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  if (vip.tracking != ConnectionTracking::kUnsafe) return;
  const bool by_word = vip.cookies == Cookies::kNone;
  const std::string where = path + (by_word ? ".consistency" : ".connection_tracking");
  const std::string what =
      Cat(by_word ? "consistency track_unsafe" : "connection_tracking unsafe", " of VIP ", Quote(vip.name));
  if (vip.protocol != Protocol::kTcp) {
    problems->Add(where, Cat(what, " needs protocol tcp, whose SYNs tell new connections from those that go on; take ",
                             "track or hash"));
  } else if (IsNat(vip.mode)) {
    problems->Add(where, Cat(what, " cannot be with mode ", ModeName(vip.mode), ", by whose entries the way back is ",
                             "known; take ", by_word ? "track" : "full", ", or mode l2 or a tunnel"));
  }
}

// The second backend's name is in GUE's header, its place in the table is by the flow's own hash, and whether a backend
// has a connection is told by its TCP sockets.
void CheckSecondChance(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  if (!vip.second_chance) return;
  const std::string what = Cat("second_chance of VIP ", Quote(vip.name));
  if (vip.mode != ForwardingMode::kGue) {
    problems->Add(path + ".second_chance",
                  Cat(what, " needs mode gue, in whose header the second backend is named, not ", ModeName(vip.mode),
                      "; remove it, or take mode gue"));
  } else if (vip.protocol != Protocol::kTcp) {
    problems->Add(path + ".second_chance",
                  Cat(what, " needs protocol tcp, by whose sockets a backend knows its ", "connections; remove it"));
  } else if (vip.hash != HashInput::kTuple) {
    problems->Add(path + ".second_chance",
                  Cat(what, " needs hash tuple, not ", HashInputName(vip.hash), "; remove one of them"));
  }
}

// NAT alone writes another port, and the way back must lead to one port of the VIP.
void CheckBackendPorts(const VipConfig& vip, const std::string& path, const PoolConfig& pool, ProblemList* problems) {
  // Port 0 is a problem of its own, or stands for one that could not be read.
  const auto mapped = std::find_if(pool.backends.begin(), pool.backends.end(),
                                   [](const BackendConfig& backend) { return backend.port.value_or(0) != 0; });
  if (mapped == pool.backends.end()) return;
  const std::string backend =
      Cat("backend ", Quote(mapped->name), " of pool ", Quote(pool.name), " has port ", *mapped->port);
  if (!IsNat(vip.mode)) {
    problems->Add(path + ".mode",
                  Cat("mode ", ModeName(vip.mode), " of VIP ", Quote(vip.name), " leaves ports as they are, and ",
                      backend, "; use mode nat or full-nat, or a pool whose backends have no port"));
  } else if (!vip.ports.is_single()) {
    problems->Add(path + ".port", Cat("VIP ", Quote(vip.name), " has port ", PortsText(vip.ports), ", and ", backend,
                                      ", which can stand for one only; give the VIP a single port, or use a pool "
                                      "whose backends have no port, so that they get the VIP's"));
  }
}

// L2 and NAT leave the client's address as it is; tunnels carry either family in either, and full NAT translates.
void CheckFamilies(const VipConfig& vip, const std::string& path, const PoolConfig& pool, ProblemList* problems) {
  if (vip.mode != ForwardingMode::kL2 && vip.mode != ForwardingMode::kNat) return;
  const net::Family family = vip.prefix.address.family();
  for (const BackendConfig& backend : pool.backends) {
    // An unspecified address is a problem of its own, or could not be read: its family means nothing.
    if (backend.address.IsUnspecified() || backend.address.family() == family) continue;
    problems->Add(
        path + ".mode",
        Cat("mode ", ModeName(vip.mode), " cannot take ", FamilyName(family), " packets of VIP ", Quote(vip.name),
            " to the ", FamilyName(backend.address.family()), " address ", backend.address.ToString(), " of backend ",
            Quote(backend.name), "; use a pool whose backends all have ", FamilyName(family), " addresses, or ",
            vip.mode == ForwardingMode::kNat ? "mode full-nat" : "a tunnel mode such as ipip"));
    return;  // one is enough: the pool does not fit
  }
}

// Finds VIPs that claim the same packets. On one prefix a single port goes before a range and a range before all ports,
// so only equals can be in each other's way.
class Claims {
 public:
  explicit Claims(const ServiceConfig& services) : services_(services) {}

  void Add(size_t index, ProblemList* problems) {
    const VipConfig& vip = services_.vips[index];
    const net::IpPrefix prefix = vip.prefix.Network();
    OfAddress& claims = by_address_[{prefix.address, prefix.length, vip.protocol}];
    const auto [same, is_new] = claims.exact.emplace(vip.ports, index);
    if (!is_new) {
      Report(index, same->second, problems);
      return;
    }
    if (vip.ports.is_single() || vip.ports.is_all() || vip.ports.first > vip.ports.last) return;
    // Those in `ranges` do not overlap: only the neighbours can overlap this one.
    const auto after = claims.ranges.lower_bound(vip.ports.first);
    if (after != claims.ranges.end() && after->first <= vip.ports.last) {
      Report(index, after->second, problems);
    } else if (after != claims.ranges.begin() &&
               services_.vips[std::prev(after)->second].ports.last >= vip.ports.first) {
      Report(index, std::prev(after)->second, problems);
    } else {
      claims.ranges.emplace(vip.ports.first, index);
    }
  }

 private:
  struct OfAddress {
    std::map<PortRange, size_t> exact;
    std::map<uint16_t, size_t> ranges;  // by first port
  };

  void Report(size_t index, size_t other_index, ProblemList* problems) const {
    const VipConfig& vip = services_.vips[index];
    const VipConfig& other = services_.vips[other_index];
    constexpr std::string_view kRemedy = "; a packet can belong to one VIP only, change one of them";
    if (vip.ports == other.ports) {
      problems->Add(VipPath(index) + ".address", Cat("VIP ", Quote(vip.name), " has address ", AddressText(vip.prefix),
                                                     ", protocol ", ProtocolName(vip.protocol), " and port ",
                                                     PortsText(vip.ports), " of VIP ", Quote(other.name), kRemedy));
    } else {
      problems->Add(VipPath(index) + ".port", Cat("port range ", PortsText(vip.ports), " of VIP ", Quote(vip.name),
                                                  " overlaps ", PortsText(other.ports), " of VIP ", Quote(other.name),
                                                  ", which has the same address and ", "protocol", kRemedy));
    }
  }

  const ServiceConfig& services_;
  std::map<std::tuple<net::IpAddress, int, Protocol>, OfAddress> by_address_;
};

// A packet to a backend that is a VIP at the same time would come back here.
void CheckBackendsAgainstVips(const ServiceConfig& services, ProblemList* problems) {
  std::map<std::pair<net::IpAddress, int>, const VipConfig*> vips;
  std::set<std::pair<net::Family, int>> lengths;
  for (const VipConfig& vip : services.vips) {
    if (vip.prefix.address.IsUnspecified()) continue;
    const net::IpPrefix prefix = vip.prefix.Network();
    vips.emplace(std::pair(prefix.address, prefix.length), &vip);
    lengths.emplace(prefix.address.family(), prefix.length);
  }
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    for (size_t b = 0; b < pool.backends.size(); ++b) {
      const BackendConfig& backend = pool.backends[b];
      for (const auto& [family, length] : lengths) {
        if (family != backend.address.family()) continue;
        const auto found = vips.find({net::IpPrefix{backend.address, length}.Network().address, length});
        if (found == vips.end()) continue;
        const VipConfig& vip = *found->second;
        const std::string what = Cat("backend ", Quote(backend.name), " has the address ", backend.address.ToString());
        problems->Add(BackendPath(p, b) + ".address",
                      IsOneAddress(vip.prefix)
                          ? Cat(what, " of VIP ", Quote(vip.name), "; give the server's own address")
                          : Cat(what, ", which is one of VIP ", Quote(vip.name), "'s prefix ", vip.prefix.ToString(),
                                "; give the server's own address, or prefixes without it"));
        break;
      }
    }
  }
}

// A choice that a second look would not come to again must be remembered, and it depends on the connection, not on its
// client.
void CheckPolicy(const VipConfig& vip, const std::string& path, const PoolConfig& pool, ProblemList* problems) {
  if (pool.policy.scheduling == Scheduling::kMaglev) return;
  const std::string policy = Cat("policy ", SchedulingName(pool.policy.scheduling), " of pool ", Quote(pool.name));
  const bool remembered = vip.mode == ForwardingMode::kFullNat || ConsistencyOf(vip) != Consistency::kHash;
  if (vip.tracking == ConnectionTracking::kUnsafe && vip.cookies != Cookies::kBackend) {
    problems->Add(path + ".pool",
                  Cat(policy, " cannot be with VIP ", Quote(vip.name), ", which tracks unsafe connections only: the ",
                      "others are where the hash says; take policy maglev, or connection_tracking full"));
  } else if (!remembered) {
    problems->Add(
        path + ".pool",
        Cat(policy, " cannot be with VIP ", Quote(vip.name), ", whose consistency is hash: nothing remembers ",
            "where a connection went, so that its next packet would go elsewhere; take consistency cookie, ",
            "track or stateful, or policy maglev"));
  } else if (vip.hash != HashInput::kTuple) {
    problems->Add(path + ".hash",
                  Cat("hash ", HashInputName(vip.hash), " of VIP ", Quote(vip.name), " cannot be with ", policy,
                      ", by which a client's connections go to different backends; remove it, or take policy maglev"));
  }
}

}  // namespace

void CheckVips(const ServiceConfig& services, const StringMap<size_t>& pools, ProblemList* problems) {
  StringSet names;
  Claims claims(services);
  std::vector<std::string_view> pool_names;
  for (const PoolConfig& pool : services.pools) pool_names.push_back(pool.name);
  for (size_t i = 0; i < services.vips.size(); ++i) {
    const VipConfig& vip = services.vips[i];
    const std::string path = VipPath(i);
    problems->AddIf(path + ".name", CheckName(vip.name));
    if (!names.insert(vip.name).second && !vip.name.empty()) {
      problems->Add(path + ".name", Cat("there are two VIPs with the name ", Quote(vip.name), "; rename one of them"));
    }
    const auto wrong_address = CheckHostPrefix(vip.prefix);
    problems->AddIf(path + ".address", wrong_address);
    CheckPorts(vip, path, problems);
    // Port 0 stands for one that could not be read, or is a problem of its own.
    if (!wrong_address && vip.ports != PortRange()) claims.Add(i, problems);
    CheckGuePort(vip, path, problems);
    CheckTimeouts(vip, path, problems);
    CheckNat(vip, path, problems);
    CheckUnsafe(vip, path, problems);
    CheckSecondChance(vip, path, problems);
    const auto pool = pools.find(vip.pool);
    if (pool != pools.end()) {
      const auto check = [&](const PoolConfig& used) {
        if (!wrong_address) CheckFamilies(vip, path, used, problems);
        CheckBackendPorts(vip, path, used, problems);
        CheckPolicy(vip, path, used, problems);
      };
      check(services.pools[pool->second]);
      const auto backup = pools.find(services.pools[pool->second].policy.backup);
      if (backup != pools.end() && backup->second != pool->second) check(services.pools[backup->second]);
      continue;
    }
    const std::string_view closest = ClosestWord(vip.pool, pool_names);
    problems->Add(path + ".pool",
                  Cat("VIP ", Quote(vip.name), " refers to pool ", Quote(vip.pool), ", which does not exist; ",
                      closest.empty() ? "add it under services.pools" : Cat("did you mean ", Quote(closest), "?")));
  }
  CheckBackendsAgainstVips(services, problems);
}

}  // namespace sluice::config
