#include <rte_mbuf.h>

#include <algorithm>
#include <cstddef>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/tcp_options.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/travel_note.h"

namespace sluice::stage {
namespace {

// Routers quote as much as they like (RFC 792 says 8 bytes of TCP, RFC 1812 as much as fits): the options of a header
// that is not there as a whole are not looked for.
void ViewQuoted(const Packet& packet, fwd::FlowView& flow) {
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  const uint32_t contiguous = rte_pktmbuf_data_len(packet.mbuf);
  const auto quoted = net::ParseQuotedFlow(frame, contiguous, packet.headers);
  if (!quoted || quoted->l4_offset >= contiguous) return;
  const auto stamps = net::FindTimestamps(frame + quoted->l4_offset, contiguous - quoted->l4_offset);
  if (!stamps) return;
  flow.has_timestamps = true;
  flow.has_echo = true;
  flow.echo = stamps->value.Host();
}

// The TCP header of a packet that has one, and how much of it lies in the first buffer.
struct TcpBytes {
  uint8_t* begin = nullptr;
  size_t size = 0;
};
TcpBytes TcpOf(const Packet& packet) {
  // What lies behind the IP packet is padding, also where the header goes on in another fragment.
  const uint32_t ip_end = uint32_t{packet.headers.l3_offset} + packet.headers.ip_length;
  const uint32_t end = std::min(uint32_t{rte_pktmbuf_data_len(packet.mbuf)}, ip_end);
  if (packet.part == FragmentPart::kLater || packet.headers.l4_offset >= end) return {};
  return {.begin = rte_pktmbuf_mtod_offset(packet.mbuf, uint8_t*, packet.headers.l4_offset),
          .size = end - packet.headers.l4_offset};
}

}  // namespace

lb::TcpEcho EchoOf(const uint8_t* tcp, size_t size) {
  const auto stamps = net::FindTimestamps(tcp, size);
  if (!stamps) return {};
  const uint8_t flags = tcp[offsetof(net::TcpHeader, flags)];
  return {.value = stamps->echo.Host(),
          .has_timestamps = true,
          .has_echo = (flags & (net::kTcpAck | net::kTcpSyn)) == net::kTcpAck};
}

void ViewTimestamps(const Packet& packet, fwd::FlowView& flow) {
  if (flow.protocol != net::kProtocolTcp) return;
  flow.bytes = packet.headers.ip_length;
  if (packet.related) {
    ViewQuoted(packet, flow);
    return;
  }
  const TcpBytes tcp = TcpOf(packet);
  const lb::TcpEcho echo =
      packet.part == FragmentPart::kLater ? ReadFirstEcho(packet.mbuf) : EchoOf(tcp.begin, tcp.size);
  flow.is_part = packet.part != FragmentPart::kWhole;
  flow.has_timestamps = echo.has_timestamps;
  flow.has_echo = echo.has_echo;
  flow.echo = echo.value;
}

void PutSynEcho(const Packet& packet, uint32_t echo) {
  const TcpBytes tcp = TcpOf(packet);
  if (const auto stamps = net::FindTimestamps(tcp.begin, tcp.size)) {
    net::ReplaceTcpField(tcp.begin, stamps->echo_offset, Be32::FromHost(echo));
  }
}

}  // namespace sluice::stage
