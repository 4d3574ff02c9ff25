#include <rte_mbuf.h>

#include <array>
#include <cstring>
#include <utility>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/stage/answer.h"
#include "dataplane/stage/martian.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/stages.h"
#include "dataplane/stage/tunnel_source.h"

namespace sluice::stage {
namespace {

// The packet's own addresses: the client sent it to the VIP.
inline void LocateAddresses(Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  const bool v4 = h.family == net::Family::kIpv4;
  const size_t source = v4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source);
  const size_t destination = v4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination);
  packet.client_offset = static_cast<uint16_t>(h.l3_offset + source);
  packet.vip_offset = static_cast<uint16_t>(h.l3_offset + destination);
}

// The host's kernel judges its own packets itself, so this is asked for VIPs only.
inline bool IsMartianPacket(const Packet& packet) {
  return IsMartian(packet.headers.family, FrameOf(packet) + packet.client_offset, FrameOf(packet) + packet.vip_offset);
}

inline VipId FindVip(const Packet& packet, const lb::VipTable& table) {
  const net::ParsedHeaders& h = packet.headers;
  const uint8_t* address = FrameOf(packet) + packet.vip_offset;
  return h.family == net::Family::kIpv4 ? table.LookupV4(net::Load<Be32>(address), h.protocol, h.destination_port)
                                        : table.LookupV6(address, h.protocol, h.destination_port);
}

// An ICMP error about a packet that a VIP sent goes to the backend that has the flow: with direct server return it is
// the backend that must learn the path's MTU. False: it quotes no flow of a VIP.
bool FollowQuote(Packet& packet, const lb::VipTable& table) {
  const auto quoted = net::ParseQuotedFlow(FrameOf(packet), rte_pktmbuf_data_len(packet.mbuf), packet.headers);
  if (!quoted) return false;
  // An error about a VIP's packet is addressed to that VIP; anything else is forged.
  const size_t address_size = packet.headers.family == net::Family::kIpv4 ? 4 : 16;
  if (std::memcmp(FrameOf(packet) + packet.vip_offset, FrameOf(packet) + quoted->source_offset, address_size) != 0) {
    return false;
  }
  packet.client_offset = quoted->destination_offset;
  packet.vip_offset = quoted->source_offset;
  packet.headers.protocol = quoted->protocol;
  packet.headers.source_port = quoted->destination_port;
  packet.headers.destination_port = quoted->source_port;
  packet.related = true;
  packet.vip = FindVip(packet, table);
  return packet.vip.valid();
}

// IPv4 options and IPv6 extension headers may carry a route that an answer would have to reverse or refuse (RFC 1122,
// section 3.2.2.6; RFC 8200, section 4.4). No ping needs them.
bool HasRoutingOptions(const net::ParsedHeaders& h) {
  return h.has_extension ||
         (h.family == net::Family::kIpv4 && h.l4_offset - h.l3_offset > static_cast<int>(sizeof(net::Ipv4Header)));
}

void HandleIcmp(Packet& packet, const lb::VipAddressInfo& address, StageEnv& env) {
  const uint8_t* frame = FrameOf(packet);
  const uint32_t contiguous = rte_pktmbuf_data_len(packet.mbuf);
  if (net::IsEchoRequest(frame, contiguous, packet.headers)) {
    if (HasRoutingOptions(packet.headers)) {
      Drop(packet, DropReason::kVipIcmp);
    } else if (address.answers_echo) {
      AnswerEcho(packet, env);
    } else {
      Drop(packet, DropReason::kEchoDisabled);
    }
    return;
  }
  if (net::IsIcmpError(frame, contiguous, packet.headers) && FollowQuote(packet, *env.state->vip_table)) {
    if (!packet.resumed) env.counters->related.Increment();
    return;
  }
  packet.vip = VipId();
  Drop(packet, DropReason::kVipIcmp);
}

// Addressed to a VIP's address, but to none of its ports.
void HandleUnserved(Packet& packet, const lb::VipAddressInfo& address, StageEnv& env) {
  const net::ParsedHeaders& h = packet.headers;
  switch (h.l4_status) {
    case net::L4Status::kFragment:
      Drop(packet, DropReason::kFragment);
      return;
    case net::L4Status::kError:
      Drop(packet, h.error);
      return;
    case net::L4Status::kOther:
      if (h.protocol == (h.family == net::Family::kIpv4 ? net::kProtocolIcmp : net::kProtocolIcmpv6)) {
        HandleIcmp(packet, address, env);
        return;
      }
      [[fallthrough]];
    case net::L4Status::kPorts:
      Drop(packet, DropReason::kVipNoService);
      return;
  }
}

// Returns the VIP's service for a backend's answer that needs no state, null for all else.
inline const lb::ReturnService* LookupPacket(Packet& packet, StageEnv& env) {
  LocateAddresses(packet);
  // No tunnel is TCP.
  if (packet.headers.protocol != net::kProtocolTcp && IsOwnTunnel(packet, *env.node)) {
    Drop(packet, DropReason::kTunnelLoop);
    return nullptr;
  }
  const lb::VipTable& table = *env.state->vip_table;
  if (packet.headers.l4_status == net::L4Status::kPorts) packet.vip = FindVip(packet, table);
  if (!packet.vip.valid()) [[unlikely]] {
    const uint8_t* destination = FrameOf(packet) + packet.vip_offset;
    const lb::VipAddressInfo address = packet.headers.family == net::Family::kIpv4
                                           ? table.DescribeV4(net::Load<Be32>(destination))
                                           : table.DescribeV6(destination);
    if (!address.is_vip) return RecogniseReply(packet, env);
    if (IsMartianPacket(packet)) {
      Drop(packet, DropReason::kMartianSource);
      return nullptr;
    }
    HandleUnserved(packet, address, env);
  } else if (IsMartianPacket(packet)) {
    Drop(packet, DropReason::kMartianSource);
  }
  // Only with NAT a flow has an owner before it has a backend.
  if (packet.fate == Fate::kPending && fwd::IsNat((*env.state->vips)[packet.vip.index()].mode)) FindOwner(packet, env);
  return nullptr;
}

// What the flow's hash is taken of: the client's packet to the VIP, whichever way the packet goes, or for an answer
// whose VIP only its session knows, the answer's own tuple.
inline lb::FlowTuple TupleOf(const Packet& packet, const lb::ReturnService* service) {
  const net::ParsedHeaders& h = packet.headers;
  const uint8_t* client = FrameOf(packet) + packet.client_offset;
  const uint8_t* vip = FrameOf(packet) + packet.vip_offset;
  lb::FlowTuple tuple = {.source = client,
                         .destination = vip,
                         .source_port = h.source_port,
                         .destination_port = h.destination_port,
                         .protocol = h.protocol,
                         .family = h.family};
  if (packet.direction == Direction::kToClient) {
    std::swap(tuple.source, tuple.destination);
  } else if (packet.direction == Direction::kToClientStateless) {
    tuple.destination = service->address.data();
    tuple.source_port = h.destination_port;
    tuple.destination_port = service->port == Be16() ? h.source_port : service->port;
  }
  return tuple;
}

}  // namespace

void PrefetchForSelection(const Packet& packet, StageEnv& env) {
  if (packet.vip.valid()) PrefetchLine(&env.counters->vips[packet.vip.index()]);
  if (packet.direction == Direction::kToClient) {
    env.tables->nat().table().Prefetch(packet.flow_hash);
    return;
  }
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  if (fwd::IsNat(vip.mode) && (vip.nat_sessions || vip.mode == fwd::ForwardingMode::kFullNat)) {
    env.tables->nat().table().Prefetch(packet.flow_hash);
    return;
  }
  PrefetchConnection(packet, env);
}

void PrefetchConnection(const Packet& packet, const StageEnv& env) {
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  if (!vip.tracked) return;
  if (vip.is_prefix) {
    env.tables->wide().table.Prefetch(packet.flow_hash);
  } else if (packet.headers.family == net::Family::kIpv4) {
    env.tables->v4().table.Prefetch(packet.flow_hash);
  } else {
    env.tables->v6().table.Prefetch(packet.flow_hash);
  }
}

void LookupVip(Burst& burst, StageEnv& env) {
  std::array<lb::FlowTuple, kBurstSize> tuples;
  std::array<uint64_t, kBurstSize> hashes;
  std::array<Packet*, kBurstSize> found;
  size_t count = 0;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending || packet.past != Past::kNothing) continue;
    const lb::ReturnService* service = LookupPacket(packet, env);
    if (packet.fate != Fate::kPending) continue;
    tuples[count] = TupleOf(packet, service);
    found[count++] = &packet;
  }
  lb::FlowHashes(*env.state->keys, tuples.data(), count, hashes.data());
  for (size_t i = 0; i < count; ++i) {
    found[i]->flow_hash = hashes[i];
    PrefetchForSelection(*found[i], env);
  }
}

}  // namespace sluice::stage
