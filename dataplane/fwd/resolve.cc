#include "dataplane/fwd/resolve.h"

#include <cstring>
#include <utility>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"

namespace sluice::fwd {
namespace {

// What tunnels of ours send with: enough hops for any network, as other hosts' own packets.
constexpr uint8_t kOuterHopLimit = 64;

net::Ipv4Header OuterV4(const BackendInfo& info, const NextHop& hop) {
  net::Ipv4Header ip{};
  ip.version_ihl = 0x45;
  // An outer packet is never fragmented: what does not fit is not encapsulated. With DF set the id has no meaning
  // (RFC 6864, section 4) and stays zero.
  ip.fragment = Be16::FromHost(net::kIpv4DontFragment);
  ip.ttl = kOuterHopLimit;
  ip.protocol = net::kProtocolIpip;
  ip.source = hop.source_v4.v4();
  ip.destination = info.address.v4();
  return ip;
}

net::Ipv6Header OuterV6(const BackendInfo& info, const NextHop& hop) {
  net::Ipv6Header ip{};
  ip.version_class_flow = Be32::FromHost(0x6000'0000);
  ip.next_header = net::kProtocolIpv6;
  ip.hop_limit = kOuterHopLimit;
  std::memcpy(ip.source, hop.source_v6.data(), sizeof(ip.source));
  std::memcpy(ip.destination, info.address.data(), sizeof(ip.destination));
  return ip;
}

BackendEntry MakeEntry(const BackendInfo& info, const NextHop& hop) {
  BackendEntry entry;
  entry.generation = info.generation;
  entry.state = info.state;
  entry.port = hop.port;
  entry.family = info.address.family();
  entry.resolved = hop.resolved && hop.port.valid();
  entry.on_link = hop.on_link;
  entry.nat_port = Be16::FromHost(info.nat_port);
  entry.on_down = info.on_down;
  std::memcpy(entry.ether.destination, hop.destination.data(), sizeof(entry.ether.destination));
  std::memcpy(entry.ether.source, hop.source.data(), sizeof(entry.ether.source));
  if (info.address.is_v4()) {
    entry.ether.ether_type = Be16::FromHost(net::kEtherTypeIpv4);
    entry.has_source = !hop.source_v4.IsUnspecified();
    const net::Ipv4Header outer = OuterV4(info, hop);
    std::memcpy(entry.outer.data(), &outer, sizeof(outer));
    const uint16_t sum = net::FoldSum(net::PartialSum(entry.outer.data(), sizeof(outer)));
    net::Store(entry.outer.data() + BackendEntry::kOuterSum, uint32_t{Be16::FromRaw(sum).Host()});
  } else {
    entry.ether.ether_type = Be16::FromHost(net::kEtherTypeIpv6);
    entry.has_source = !hop.source_v6.IsUnspecified();
    const net::Ipv6Header outer = OuterV6(info, hop);
    std::memcpy(entry.outer.data(), &outer, sizeof(outer));
  }
  entry.tunnel = entry.resolved && entry.has_source ? static_cast<uint8_t>(entry.family) : 0;
  return entry;
}

BackendMark MarkOf(const BackendEntry& entry) {
  const bool is_up = entry.state != BackendState::kAbsent && entry.state != BackendState::kDown;
  const auto generation = static_cast<uint8_t>(entry.generation);
  const auto mark = [generation](bool yes) {
    return static_cast<uint16_t>(yes ? generation : BackendMark::kNot | generation);
  };
  return {.is_up = mark(is_up), .keeps_flows = mark(entry.keeps_flows())};
}

}  // namespace

std::shared_ptr<const ForwardingState> ResolveNextHops(const ForwardingState& state, const NextHopLookup& lookup,
                                                       std::shared_ptr<const ClientRoutes> client_routes) {
  auto backends = std::make_shared<BackendTable>();
  backends->reserve(state.backend_infos->size());
  for (const BackendInfo& info : *state.backend_infos) {
    backends->push_back(MakeEntry(info, info.state == BackendState::kAbsent ? NextHop() : lookup(info.address)));
  }
  auto resolved = std::make_shared<ForwardingState>(state);
  resolved->backend_marks.clear();
  for (const BackendEntry& entry : *backends) resolved->backend_marks.push_back(MarkOf(entry));
  resolved->backends = std::move(backends);
  if (client_routes != nullptr) resolved->client_routes = std::move(client_routes);
  return resolved;
}

}  // namespace sluice::fwd
