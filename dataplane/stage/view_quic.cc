#include <rte_mbuf.h>

#include <algorithm>
#include <cstddef>

#include "dataplane/lb/quic_lb.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/quic.h"
#include "dataplane/stage/flow_view.h"

namespace sluice::stage {

// The id in a packet that an error quotes is the client's, which tells nothing.
void ViewQuicId(const Packet& packet, fwd::FlowView& flow) {
  if (packet.related || packet.part == FragmentPart::kLater) return;
  const net::ParsedHeaders& h = packet.headers;
  const size_t begin = h.l4_offset + sizeof(net::UdpHeader);
  // Ethernet padding is no id.
  const size_t end = std::min<size_t>(rte_pktmbuf_data_len(packet.mbuf), size_t{h.l3_offset} + h.ip_length);
  if (begin >= end) return;
  const auto* payload = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, begin);
  const auto header = net::ParseQuicHeader(payload, end - begin, 0);
  if (!header || !net::CarriesServersId(*header, payload[0])) return;
  const size_t size = header->is_long ? header->destination_id_length : end - begin - header->destination_id_offset;
  if (size == 0) return;
  flow.has_echo = true;
  flow.quic_id = payload + header->destination_id_offset;
  flow.quic_id_size = static_cast<uint8_t>(std::min(size, lb::kQuicLbMaxIdLength));
}

}  // namespace sluice::stage
