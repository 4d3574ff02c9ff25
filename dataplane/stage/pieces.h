#ifndef SLUICE_DATAPLANE_STAGE_PIECES_H_
#define SLUICE_DATAPLANE_STAGE_PIECES_H_

#include <rte_mbuf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/net/ip_fragment.h"
#include "dataplane/stage/extra_packets.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// IPv4 packets that do not fit the way out and may be fragmented (RFC 791).
namespace sluice::stage {

// The pieces of one packet but the first, which stays in the packet's own buffers.
struct Pieces {
  struct Piece {
    rte_mbuf* mbuf;
    uint16_t ip_length;
    uint16_t l4_offset;  // from the frame's first byte
  };
  std::array<Piece, ExtraPackets::kMax> pieces;
  size_t count = 0;
};

// True when the packet is IPv4 and its sender lets routers fragment it.
bool MayBeFragmented(const Packet& packet);

// Plans for a packet for which MayBeFragmented holds: fragments of at most `mtu_bytes` of IP packet, or of at most
// `payload_bytes` behind the IP header.
std::optional<net::Ipv4FragmentPlan> PlanByMtu(const Packet& packet, uint32_t mtu_bytes);
std::optional<net::Ipv4FragmentPlan> PlanByPayload(const Packet& packet, uint32_t payload_bytes);

// Cuts the packet by the plan, and makes it the first of the fragments. Each has a copy of the link-layer header.
// False: the packet was dropped, as kTooBig when there is no plan, because the MTU leaves no room for a fragment, as
// kFragmentNoBuffer for want of buffers; `pieces` is empty then.
bool CutIntoPieces(Packet& packet, const std::optional<net::Ipv4FragmentPlan>& plan, const StageEnv& env,
                   Pieces& pieces);

// Cuts the packet and lets each fragment pass `finish(packet)`, which makes it ready to leave (kForwarded and out_port)
// or drops it; all leave one behind the other. For a packet that is dropped nothing leaves.
template <typename Finish>
void SendInPieces(Packet& packet, const std::optional<net::Ipv4FragmentPlan>& plan, StageEnv& env, Finish&& finish) {
  Pieces pieces;
  const uint16_t whole_length = packet.headers.ip_length;
  if (!CutIntoPieces(packet, plan, env, pieces)) return;
  const Packet first = packet;
  finish(packet);
  packet.headers.ip_length = whole_length;  // what the client sent is what is counted
  for (size_t i = 0; i < pieces.count; ++i) {
    Packet piece = first;
    piece.mbuf = pieces.pieces[i].mbuf;
    piece.headers.ip_length = pieces.pieces[i].ip_length;
    piece.headers.l4_offset = pieces.pieces[i].l4_offset;
    if (packet.fate == Fate::kForwarded) finish(piece);
    if (packet.fate == Fate::kForwarded && piece.fate == Fate::kForwarded) {
      env.extras.Add(&packet, piece.out_port, piece.mbuf);
    } else {
      rte_pktmbuf_free(piece.mbuf);
    }
  }
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_PIECES_H_
