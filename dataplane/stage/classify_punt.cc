#include <rte_mbuf.h>

#include "dataplane/net/headers.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

constexpr uint16_t kEtherTypeSlowProtocols = 0x8809;  // LACP (IEEE 802.3, annex 57A)
constexpr uint16_t kEtherTypeLldp = 0x88cc;
constexpr uint8_t kProtocolOspf = 89;
constexpr uint8_t kProtocolVrrp = 112;
constexpr uint8_t kNeighbourDiscoveryHopLimit = 255;  // RFC 4861: others were forwarded, so forged

bool IsNeighbourDiscovery(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  if (uint32_t{h.l4_offset} + 1 > rte_pktmbuf_data_len(packet.mbuf)) return false;
  const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  const uint8_t type = frame[h.l4_offset];
  const uint8_t hop_limit = frame[h.l3_offset + offsetof(net::Ipv6Header, hop_limit)];
  return type >= net::kIcmpv6RouterSolicitation && type <= net::kIcmpv6Redirect &&
         hop_limit == kNeighbourDiscoveryHopLimit;
}

PuntClass ClassifyPorts(const net::ParsedHeaders& h, const NodeTraits& node) {
  const uint16_t source = h.source_port.Host();
  const uint16_t destination = h.destination_port.Host();
  if (h.protocol == net::kProtocolTcp) {
    if (source == net::kPortBgp || destination == net::kPortBgp) return PuntClass::kControl;
  } else if (destination == net::kPortBfd || destination == net::kPortBfdEcho || destination == net::kPortBfdMultihop) {
    return PuntClass::kControl;
  }
  return node.management_ports.test(destination) ? PuntClass::kManagement : PuntClass::kOther;
}

}  // namespace

PuntClass ClassifyPunt(const Packet& packet, const NodeTraits& node) {
  const net::ParsedHeaders& h = packet.headers;
  if (h.status == net::ParseStatus::kNotIp) {
    const uint16_t type = h.ether_type.Host();
    const bool control = type == net::kEtherTypeArp || type == kEtherTypeSlowProtocols || type == kEtherTypeLldp;
    return control ? PuntClass::kControl : PuntClass::kOther;
  }
  if (h.l4_status == net::L4Status::kPorts) return ClassifyPorts(h, node);
  if (h.l4_status != net::L4Status::kOther) return PuntClass::kOther;
  if (h.protocol == kProtocolOspf || h.protocol == kProtocolVrrp) return PuntClass::kControl;
  if (h.family == net::Family::kIpv4) {
    return h.protocol == net::kProtocolIcmp ? PuntClass::kIcmp : PuntClass::kOther;
  }
  if (h.protocol != net::kProtocolIcmpv6) return PuntClass::kOther;
  return IsNeighbourDiscovery(packet) ? PuntClass::kControl : PuntClass::kIcmp;
}

}  // namespace sluice::stage
