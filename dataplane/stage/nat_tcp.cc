#include "dataplane/stage/nat_tcp.h"

#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/lb/nat_proxy.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/proxy_v2.h"
#include "dataplane/net/tcp_options.h"
#include "dataplane/stage/nat_packet.h"

namespace sluice::stage {
namespace {

uint32_t DataBytes(const Packet& packet, uint8_t header_bytes) {
  const net::ParsedHeaders& h = packet.headers;
  return uint32_t{h.l3_offset} + h.ip_length - h.l4_offset - header_bytes;
}

// Cuts all that follows the TCP header, `data` bytes. The checksum is brought along without reading the data a second
// time where it is in reach; where it is not, the whole would have to be summed, and nobody sends such a SYN.
bool CutData(Packet& packet, uint8_t header_bytes, uint32_t data) {
  if (data == 0) return true;
  const net::PacketBytes bytes = BytesOf(packet, net::kProtocolTcp);
  if (bytes.l4_bytes < header_bytes + data || packet.mbuf->nb_segs != 1) {
    Drop(packet, DropReason::kNatUnreadable);
    return false;
  }
  net::AccountForCutPayload(bytes, bytes.l4 + header_bytes, static_cast<uint16_t>(data));
  // What was counted and parsed stays as the client sent it.
  const uint32_t kept = uint32_t{packet.headers.l4_offset} + header_bytes;
  rte_pktmbuf_trim(packet.mbuf, static_cast<uint16_t>(rte_pktmbuf_data_len(packet.mbuf) - kept));
  return true;
}

// It counts from the segment's first byte, which is now one of the header.
void MoveUrgentPointer(uint8_t* l4, uint16_t by) {
  auto tcp = net::Load<net::TcpHeader>(l4);
  if ((tcp.flags & net::kTcpUrg) == 0) return;
  const Be16 before = tcp.urgent;
  tcp.urgent = Be16::FromHost(static_cast<uint16_t>(before.Host() + by));
  tcp.checksum = net::UpdateChecksum(tcp.checksum, before.raw(), tcp.urgent.raw());
  net::Store(l4, tcp);
}

// Puts the PROXY protocol header between the TCP header and the client's data.
bool InsertHeader(Packet& packet, uint8_t header_bytes, const lb::NatSession& session) {
  std::array<uint8_t, net::kMaxProxyV2Size> proxy;
  const uint16_t size = net::WriteProxyV2(session.client_family, session.client.data(), session.client_port,
                                          session.vip_address.data(), session.vip_port, proxy.data());
  const auto* old_frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  auto* frame = reinterpret_cast<uint8_t*>(rte_pktmbuf_prepend(packet.mbuf, size));
  if (frame == nullptr) {
    Drop(packet, DropReason::kNoHeadroom);
    return false;
  }
  const size_t before = size_t{packet.headers.l4_offset} + header_bytes;
  std::memmove(frame, old_frame, before);
  std::memcpy(frame + before, proxy.data(), size);
  const net::PacketBytes bytes = BytesOf(packet, net::kProtocolTcp);
  net::AccountForInsertedPayload(bytes, proxy.data(), size);
  MoveUrgentPointer(bytes.l4, size);
  return true;
}

}  // namespace

lb::NatSegment ReadSegment(const Packet& packet) {
  const auto tcp =
      net::Load<net::TcpHeader>(rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.headers.l4_offset));
  return {.flags = tcp.flags, .sequence = tcp.sequence.Host(), .acknowledgement = tcp.acknowledgement.Host()};
}

SegmentPlan PlanSegment(const Packet& packet, lb::NatSession& session) {
  const lb::NatSegment segment = ReadSegment(packet);
  if ((segment.flags & net::kTcpSyn) != 0) {
    const net::PacketBytes bytes = BytesOf(packet, net::kProtocolTcp);
    const uint8_t header_bytes = net::TcpHeaderLength(bytes.l4, bytes.l4_bytes);
    return {.is_syn = true, .cut_bytes = header_bytes == 0 ? 0 : DataBytes(packet, header_bytes)};
  }
  const lb::ProxyShift shift = lb::ShiftToBackend(session.tracking, session.tracking.proxy_bytes, segment);
  return {.insert_bytes = shift.insert_header ? session.tracking.proxy_bytes : uint8_t{0},
          .sequence_shift = shift.sequence};
}

bool ChangeSegmentToBackend(Packet& packet, const SegmentPlan& plan, const lb::NatSession& session) {
  const net::PacketBytes bytes = BytesOf(packet, net::kProtocolTcp);
  const uint8_t header_bytes = net::TcpHeaderLength(bytes.l4, bytes.l4_bytes);
  if (header_bytes == 0) {
    Drop(packet, DropReason::kNatUnreadable);
    return false;
  }
  if (plan.is_syn) {
    net::StripFastOpen(bytes.l4, bytes.l4_bytes);
    return CutData(packet, header_bytes, plan.cut_bytes);
  }
  if (plan.sequence_shift != 0) net::ShiftSequence(bytes.l4, plan.sequence_shift);
  return plan.insert_bytes == 0 || InsertHeader(packet, header_bytes, session);
}

void ChangeSegmentToClient(const net::PacketBytes& bytes, lb::NatSession& session) {
  const auto tcp = net::Load<net::TcpHeader>(bytes.l4);
  if ((tcp.flags & net::kTcpAck) == 0) return;
  const uint32_t acknowledged = tcp.acknowledgement.Host();
  const uint32_t seen = lb::UnshiftAcknowledgement(session.tracking, session.tracking.proxy_bytes, acknowledged);
  if (seen != acknowledged) net::ShiftAcknowledgement(bytes.l4, seen - acknowledged);
  // Of the header the client knows nothing: a backend that got it twice reports so (RFC 2883), and the client would
  // take that for a segment of its own. Other blocks lie beyond the header. (After 4 GB its numbers are others' as
  // well; a client that is told of less than there is loses nothing.)
  net::CutSackBlocks(bytes.l4, bytes.l4_bytes, session.tracking.client_isn + 1, session.tracking.proxy_bytes);
  net::ShiftSackBlocks(bytes.l4, bytes.l4_bytes, 0u - session.tracking.proxy_bytes);
}

}  // namespace sluice::stage
