#include "dataplane/stage/pieces.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_fragment.h"

namespace sluice::stage {
namespace {

uint8_t* IpOf(const Packet& packet) { return rte_pktmbuf_mtod_offset(packet.mbuf, uint8_t*, packet.headers.l3_offset); }

// Appends `size` bytes of `source` from `offset` to `to`, in as many buffers as it takes. False: none was free.
bool AppendCopy(rte_mbuf* to, const rte_mbuf* source, uint32_t offset, uint32_t size) {
  rte_mbuf* last = rte_pktmbuf_lastseg(to);
  while (size > 0) {
    while (offset >= rte_pktmbuf_data_len(source)) {
      offset -= rte_pktmbuf_data_len(source);
      source = source->next;
    }
    if (rte_pktmbuf_tailroom(last) == 0) {
      rte_mbuf* const next = rte_pktmbuf_alloc(to->pool);
      if (next == nullptr) return false;
      last->next = next;
      ++to->nb_segs;
      last = next;
    }
    const auto part = static_cast<uint16_t>(
        std::min({size, rte_pktmbuf_data_len(source) - offset, uint32_t{rte_pktmbuf_tailroom(last)}}));
    std::memcpy(rte_pktmbuf_mtod_offset(last, uint8_t*, rte_pktmbuf_data_len(last)),
                rte_pktmbuf_mtod_offset(source, const uint8_t*, offset), part);
    last->data_len = static_cast<uint16_t>(last->data_len + part);
    to->pkt_len += part;
    offset += part;
    size -= part;
  }
  return true;
}

// Null: no buffer was free.
rte_mbuf* MakePiece(const Packet& packet, const net::Ipv4FragmentPlan& plan, uint32_t index, uint32_t payload_at) {
  rte_mbuf* const mbuf = rte_pktmbuf_alloc(packet.mbuf->pool);
  if (mbuf == nullptr) return nullptr;
  const net::Ipv4FragmentPlan::Piece piece = plan.piece(index);
  const uint16_t l2_bytes = packet.headers.l3_offset;
  auto* head =
      reinterpret_cast<uint8_t*>(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(l2_bytes + piece.header_length)));
  if (head == nullptr) {
    rte_pktmbuf_free(mbuf);
    return nullptr;
  }
  std::memcpy(head, rte_pktmbuf_mtod(packet.mbuf, const uint8_t*), l2_bytes);
  plan.WriteHeader(index, head + l2_bytes);
  if (AppendCopy(mbuf, packet.mbuf, payload_at + piece.payload_offset, piece.payload_length)) return mbuf;
  rte_pktmbuf_free(mbuf);
  return nullptr;
}

// Cuts a chain of buffers to `size` bytes, at least 1.
void CutChain(rte_mbuf* mbuf, uint32_t size) {
  rte_mbuf* last = mbuf;
  uint32_t left = size;
  uint16_t segments = 1;
  for (; left > rte_pktmbuf_data_len(last); ++segments) {
    left -= rte_pktmbuf_data_len(last);
    last = last->next;
  }
  rte_pktmbuf_free(last->next);
  last->next = nullptr;
  last->data_len = static_cast<uint16_t>(left);
  mbuf->nb_segs = segments;
  mbuf->pkt_len = size;
}

void FreeAll(Pieces& pieces) {
  for (size_t i = 0; i < pieces.count; ++i) rte_pktmbuf_free(pieces.pieces[i].mbuf);
  pieces.count = 0;
}

}  // namespace

bool MayBeFragmented(const Packet& packet) {
  if (packet.headers.family != net::Family::kIpv4) return false;
  return (net::Load<net::Ipv4Header>(IpOf(packet)).fragment.Host() & net::kIpv4DontFragment) == 0;
}

std::optional<net::Ipv4FragmentPlan> PlanByMtu(const Packet& packet, uint32_t mtu_bytes) {
  return net::Ipv4FragmentPlan::Make(IpOf(packet), mtu_bytes);
}

std::optional<net::Ipv4FragmentPlan> PlanByPayload(const Packet& packet, uint32_t payload_bytes) {
  return net::Ipv4FragmentPlan::MakeByPayload(IpOf(packet), payload_bytes);
}

bool CutIntoPieces(Packet& packet, const std::optional<net::Ipv4FragmentPlan>& plan, const StageEnv& env,
                   Pieces& pieces) {
  uint8_t* const ip = IpOf(packet);
  if (!plan) {
    Drop(packet, DropReason::kTooBig);
    return false;
  }
  if (plan->count() - 1 > env.extras.room()) {
    Drop(packet, DropReason::kFragmentNoBuffer);
    return false;
  }
  const uint32_t payload_at = packet.headers.l3_offset + (ip[0] & 0x0fu) * 4;
  for (uint32_t i = 1; i < plan->count(); ++i) {
    rte_mbuf* const mbuf = MakePiece(packet, *plan, i, payload_at);
    if (mbuf == nullptr) {
      FreeAll(pieces);
      Drop(packet, DropReason::kFragmentNoBuffer);
      return false;
    }
    const net::Ipv4FragmentPlan::Piece piece = plan->piece(i);
    pieces.pieces[pieces.count++] = {mbuf, static_cast<uint16_t>(piece.header_length + piece.payload_length),
                                     static_cast<uint16_t>(packet.headers.l3_offset + piece.header_length)};
  }
  const net::Ipv4FragmentPlan::Piece first = plan->piece(0);
  plan->WriteHeader(0, ip);
  packet.headers.ip_length = static_cast<uint16_t>(first.header_length + first.payload_length);
  CutChain(packet.mbuf, uint32_t{packet.headers.l3_offset} + packet.headers.ip_length);
  return true;
}

}  // namespace sluice::stage
