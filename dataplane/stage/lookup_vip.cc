#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

struct Addresses {
  const uint8_t* source;
  const uint8_t* destination;
};

Addresses AddressesOf(const Packet& packet) {
  const auto* ip = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.headers.l3_offset);
  if (packet.headers.family == net::Family::kIpv4) {
    return {ip + offsetof(net::Ipv4Header, source), ip + offsetof(net::Ipv4Header, destination)};
  }
  return {ip + offsetof(net::Ipv6Header, source), ip + offsetof(net::Ipv6Header, destination)};
}

Be32 LoadV4(const uint8_t* at) {
  uint32_t raw = 0;
  std::memcpy(&raw, at, sizeof(raw));
  return Be32::FromRaw(raw);
}

// A source that no client can have. The host's kernel judges its own packets itself, so this is asked for VIPs only.
bool IsMartianV4(const Addresses& addresses) {
  const uint8_t first = addresses.source[0];
  return first == 0 || first == 127 || first >= 224 || std::memcmp(addresses.source, addresses.destination, 4) == 0;
}

bool IsMartianV6(const Addresses& addresses) {
  const net::IpAddress source = net::IpAddress::FromBytes(net::Family::kIpv6, addresses.source);
  return source.IsMulticast() || source.IsUnspecified() || source.IsLoopback() ||
         std::memcmp(addresses.source, addresses.destination, 16) == 0;
}

// Addressed to a VIP's address, but to none of its ports.
void DropUnserved(Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  switch (h.l4_status) {
    case net::L4Status::kFragment:
      Drop(packet, DropReason::kFragment);
      return;
    case net::L4Status::kError:
      Drop(packet, h.error);
      return;
    case net::L4Status::kOther:
      if (h.protocol == net::kProtocolIcmp || h.protocol == net::kProtocolIcmpv6) {
        Drop(packet, DropReason::kVipIcmp);
        return;
      }
      [[fallthrough]];
    case net::L4Status::kPorts:
      Drop(packet, DropReason::kVipNoService);
      return;
  }
}

void LookupPacket(Packet& packet, const Addresses& addresses, const lb::VipTable& table) {
  const net::ParsedHeaders& h = packet.headers;
  const bool v4 = h.family == net::Family::kIpv4;
  if (h.l4_status == net::L4Status::kPorts) {
    packet.vip = v4 ? table.LookupV4(LoadV4(addresses.destination), h.protocol, h.destination_port)
                    : table.LookupV6(addresses.destination, h.protocol, h.destination_port);
    if (packet.vip.valid()) {
      if (v4 ? IsMartianV4(addresses) : IsMartianV6(addresses)) Drop(packet, DropReason::kMartianSource);
      return;
    }
  }
  const bool vip_address =
      v4 ? table.HasAddressV4(LoadV4(addresses.destination)) : table.HasAddressV6(addresses.destination);
  if (vip_address) {
    DropUnserved(packet);
  } else {
    packet.fate = Fate::kPunted;
  }
}

}  // namespace

void LookupVip(Burst& burst, StageEnv& env) {
  std::array<lb::FlowTuple, kBurstSize> tuples;
  std::array<uint64_t, kBurstSize> hashes;
  std::array<Packet*, kBurstSize> found;
  size_t count = 0;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending) continue;
    const Addresses addresses = AddressesOf(packet);
    LookupPacket(packet, addresses, *env.state->vip_table);
    if (packet.fate != Fate::kPending) continue;
    const net::ParsedHeaders& h = packet.headers;
    tuples[count] = {.source = addresses.source,
                     .destination = addresses.destination,
                     .source_port = h.source_port,
                     .destination_port = h.destination_port,
                     .protocol = h.protocol,
                     .family = h.family};
    found[count++] = &packet;
  }
  lb::FlowHashes(*env.state->keys, tuples.data(), count, hashes.data());
  for (size_t i = 0; i < count; ++i) {
    found[i]->flow_hash = hashes[i];
    // The next stage reads these lines.
    if (found[i]->headers.family == net::Family::kIpv4) {
      env.tables->v4().Prefetch(hashes[i]);
    } else {
      env.tables->v6().Prefetch(hashes[i]);
    }
  }
}

}  // namespace sluice::stage
