#ifndef SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
#define SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_

#include <optional>
#include <type_traits>

#include "dataplane/net/address.h"
#include "dataplane/net/bytes.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// The prefix that tunnels come from, as the packet path reads it; not enabled without one. Host bits of the prefix's
// address are ignored.
TunnelSource ToTunnelSource(const std::optional<net::IpPrefix>& prefix);

// Fills in own_sources_v4 and _v6 from the ports' addresses.
void CollectOwnSources(NodeTraits& node);

// Whether tunnels of ours come from the address at `source`: 4 or 16 bytes, as `family` says. In words and without a
// call: UDP has to be asked for each packet, and a call cost as much as all else that parsing it does (row mixed).
template <net::Family family>
inline bool IsOwnSource(const uint8_t* source, const NodeTraits& node) {
  constexpr bool kV4 = family == net::Family::kIpv4;
  using Word = std::conditional_t<kV4, uint32_t, uint64_t>;
  const auto differs = [source](const uint8_t* from, size_t offset) {
    return net::Load<Word>(source + offset) ^ net::Load<Word>(from + offset);
  };
  const OwnSources& own = kV4 ? node.own_sources_v4 : node.own_sources_v6;
  for (size_t i = 0; i < own.count; ++i) {
    const uint8_t* const address = own.addresses[i].data();
    if ((differs(address, 0) | (kV4 ? 0 : differs(address, sizeof(Word)))) == 0) return true;
  }
  const TunnelSource& tunnel = kV4 ? node.tunnel_source_v4 : node.tunnel_source_v6;
  if (!tunnel.enabled) return false;
  const auto differs_in_prefix = [&](size_t offset) {
    return differs(tunnel.prefix.data(), offset) & ~net::Load<Word>(tunnel.host_mask.data() + offset);
  };
  return (differs_in_prefix(0) | (kV4 ? 0 : differs_in_prefix(sizeof(Word)))) == 0;
}

// True for a packet in a tunnel (or UDP, which may be one) that one of our own addresses sent: it has come back to us.
// If its destination is taken for a VIP's, it would go into a tunnel once more, and so on without end. `packet` is IP,
// its client_offset is set.
bool IsOwnTunnel(const Packet& packet, const NodeTraits& node);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_TUNNEL_SOURCE_H_
