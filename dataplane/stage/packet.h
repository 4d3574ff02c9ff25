#ifndef SLUICE_DATAPLANE_STAGE_PACKET_H_
#define SLUICE_DATAPLANE_STAGE_PACKET_H_

#include <rte_mbuf.h>

#include <array>
#include <cstdint>

#include "dataplane/base/drop_reason.h"
#include "dataplane/base/fate.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/nat_table.h"
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

// Of an IP packet that is a fragment, with its ports known: l4_status is kPorts, as that of a whole packet.
enum class FragmentPart : uint8_t {
  kWhole,  // no fragment
  kFirst,  // begins with the L4 header, at l4_offset
  kLater,  // has no L4 header: ports and protocol are those of the first, l4_offset is where its payload begins
};

// Which way a packet of a VIP goes.
enum class Direction : uint8_t {
  kToBackend,          // from the client
  kToClientStateless,  // a backend's answer that the return table alone tells the VIP of
  kToClient,           // a backend's answer whose session tells the rest
};

// The stages that the fast path (stage/fast_path.h) has done for a packet, so that the general ones leave it alone.
enum class Past : uint8_t {
  kNothing,
  kLookup,           // up to LookupVip
  kTrackedLookupV4,  // the same, of a packet that its connection's entry may tell the backend of (WantedEntries)
  kTrackedLookupV6,
  kBeginningLookupV4,  // the same, of a SYN to a VIP whose scheduler is the pool's table alone (WantedEntries)
  kBeginningLookupV6,
  kPassingLookupV4,  // as kBeginningLookup, but nothing is entered: its cookies will tell where it went
  kPassingLookupV6,
  kSessionLookup,     // the same, of a packet whose flow has a session of address translation, in either direction
  kKnownLookup,       // the same, with the session (fast_sessions.h)
  kSelection,         // SelectBackends too
  kSessionSelection,  // the same, with a session
  kKnownSelection,    // the same, of a packet that was kKnownLookup
  kAll,               // the packet is ready, and counted for its VIP and backend
};

// One packet on its way through the stages: exactly one cache line, filled by Parse, completed by later stages.
// Addresses are not copied: the headers are in the cache anyway.
struct alignas(64) Packet {
  rte_mbuf* mbuf;
  uint64_t flow_hash;
  net::ParsedHeaders headers;
  VipId vip;
  BackendId backend;
  // Where the client's and the VIP's address lie in the frame. For a packet that is about a flow they are in its quote,
  // and ports and protocol in `headers` are the flow's. On the way to the client: where the client's (or our local)
  // address lies and the backend's, and the source port is the backend's.
  uint16_t client_offset;
  uint16_t vip_offset;
  PortId in_port;
  // The fast path writes these four at once (MarkReady).
  DropReason reason;
  PortId out_port;
  // kPending until a stage decides. kForwarded, kAnswered, kPunted, kHandedOver: the packet is to leave that way; it is
  // counted when it did.
  Fate fate;
  Past past;
  fwd::Rung rung;
  PuntClass punt_class;
  bool related;       // an ICMP error about a flow rather than a packet of one
  WorkerId owner;     // to whom it is handed over; valid with kHandedOver only
  uint8_t hops;       // from worker to worker so far
  uint8_t asked;      // workers that were asked for the flow and do not have it; see AskNextWorker
  FragmentPart part;  // of the IP packet
  bool resumed;       // it was in the pipeline before: the mbuf has a TravelNote
  Direction direction;
  uint8_t session_use;   // NatSession::use when it was found
  bool to_all_backends;  // a copy goes to each of the VIP's other backends (fwd/copies.h)
  uint32_t session;      // lb::NatTable::at of this worker; kNone: the packet has no session
};
static_assert(sizeof(Packet) == 64);

// A packet of which nothing is known yet. The headers are left to Parse.
constexpr void InitPacket(Packet& packet, rte_mbuf* mbuf, PortId port) {
  packet.mbuf = mbuf;
  packet.flow_hash = 0;
  packet.vip = VipId();
  packet.backend = BackendId();
  packet.in_port = port;
  packet.out_port = PortId();
  packet.fate = Fate::kPending;
  packet.reason = DropReason::kCount;
  packet.rung = fwd::Rung::kNone;
  packet.related = false;
  packet.owner = WorkerId();
  packet.hops = 0;
  packet.asked = 0;
  packet.part = FragmentPart::kWhole;
  packet.resumed = false;
  packet.direction = Direction::kToBackend;
  packet.session_use = 0;
  packet.past = Past::kNothing;
  packet.to_all_backends = false;
  packet.session = lb::NatTable::kNone;
}

inline constexpr size_t kBurstSize = 32;

struct Burst {
  // The last is never a packet's: a run of the fast path's third pass ends at the record behind the burst's last.
  std::array<Packet, kBurstSize + 1> packets;
  size_t count = 0;

  Packet* begin() { return packets.data(); }
  Packet* end() { return packets.data() + count; }
};

inline const uint8_t* FrameOf(const rte_mbuf* mbuf) { return rte_pktmbuf_mtod(mbuf, const uint8_t*); }
inline const uint8_t* FrameOf(const Packet& packet) { return FrameOf(packet.mbuf); }

inline void Drop(Packet& packet, DropReason reason) {
  packet.fate = Fate::kDropped;
  packet.reason = reason;
}

// Gives the packet to another worker, which runs it through all stages from the first. The packet's bytes must be as
// they came.
inline void HandOver(Packet& packet, WorkerId owner) {
  packet.fate = Fate::kHandedOver;
  packet.owner = owner;
}

// For packets whose flow only the worker knows that has it, wherever that is (ICMP errors, fragments): hands the packet
// on to the next worker. False: all workers were asked, this one decides.
inline bool AskNextWorker(Packet& packet, WorkerId self, size_t worker_count) {
  if (packet.asked + size_t{1} >= worker_count) return false;
  ++packet.asked;
  HandOver(packet, WorkerId(static_cast<WorkerId::rep>((self.index() + 1) % worker_count)));
  return true;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PACKET_H_
