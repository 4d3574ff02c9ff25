#ifndef SLUICE_DATAPLANE_STAGE_PACKET_H_
#define SLUICE_DATAPLANE_STAGE_PACKET_H_

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "dataplane/base/drop_reason.h"
#include "dataplane/base/fate.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/net/parser.h"

namespace sluice::stage {

// What the host's kernel is given first, in this order. See ClassifyPunt.
enum class PuntClass : uint8_t {
  kControl,     // sent on the link: ARP, neighbour discovery, BFD and BGP of TTL 255; without these the machine falls
                // off the network
  kRouting,     // BGP, BFD, OSPF, VRRP that may come from afar: anyone can flood these, so not among the above
  kManagement,  // the configured ports of the host, such as SSH
  kIcmp,        // other ICMP
  kOther,       // everything else; rate-limited
};
inline constexpr size_t kPuntClassCount = 5;

// One packet on its way through the stages: exactly one cache line, filled by Parse, completed by later stages.
// Addresses are not copied: the headers are in the cache anyway.
struct alignas(64) Packet {
  rte_mbuf* mbuf;
  uint64_t flow_hash;
  net::ParsedHeaders headers;
  VipId vip;
  BackendId backend;
  // Where the client's and the VIP's address lie in the frame. For a packet that is about a flow they are in its quote,
  // and ports and protocol in `headers` are the flow's.
  uint16_t client_offset;
  uint16_t vip_offset;
  PortId in_port;
  PortId out_port;
  // kPending until a stage decides. kForwarded, kAnswered, kPunted: the packet is to leave that way; it is counted when
  // it did.
  Fate fate;
  DropReason reason;
  PuntClass punt_class;
  fwd::Rung rung;
  bool related;  // an ICMP error about a flow rather than a packet of one
};
static_assert(sizeof(Packet) == 64);

inline constexpr size_t kBurstSize = 32;

struct Burst {
  std::array<Packet, kBurstSize> packets;
  size_t count = 0;

  Packet* begin() { return packets.data(); }
  Packet* end() { return packets.data() + count; }
};

inline void Drop(Packet& packet, DropReason reason) {
  packet.fate = Fate::kDropped;
  packet.reason = reason;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PACKET_H_
