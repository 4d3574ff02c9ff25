#include <rte_mbuf.h>

#include "dataplane/net/headers.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

constexpr uint16_t kEtherTypeSlowProtocols = 0x8809;  // LACP (IEEE 802.3, annex 57A)
constexpr uint16_t kEtherTypeLldp = 0x88cc;
constexpr uint8_t kProtocolOspf = 89;
constexpr uint8_t kProtocolVrrp = 112;
// What has this TTL cannot have crossed a router, so it was sent on the link (RFC 4861, RFC 5881, RFC 9568).
constexpr uint8_t kOnLinkHopLimit = 255;

bool IsFromTheLink(const Packet& packet) {
  const size_t hop_limit = packet.headers.family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, ttl)
                                                                       : offsetof(net::Ipv6Header, hop_limit);
  return rte_pktmbuf_mtod(packet.mbuf, const uint8_t*)[packet.headers.l3_offset + hop_limit] == kOnLinkHopLimit;
}

bool IsNeighbourDiscovery(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  if (uint32_t{h.l4_offset} + 1 > rte_pktmbuf_data_len(packet.mbuf)) return false;
  const uint8_t type = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*)[h.l4_offset];
  return type >= net::kIcmpv6RouterSolicitation && type <= net::kIcmpv6Redirect;
}

// A protocol that keeps the machine on the network: sure to be from the link, or claimed by someone somewhere.
PuntClass ControlOrRouting(const Packet& packet) {
  return IsFromTheLink(packet) ? PuntClass::kControl : PuntClass::kRouting;
}

PuntClass ClassifyPorts(const Packet& packet, const NodeTraits& node) {
  const net::ParsedHeaders& h = packet.headers;
  const uint16_t source = h.source_port.Host();
  const uint16_t destination = h.destination_port.Host();
  if (h.protocol == net::kProtocolTcp) {
    if (source == net::kPortBgp || destination == net::kPortBgp) return ControlOrRouting(packet);
  } else if (destination == net::kPortBfd || destination == net::kPortBfdEcho || destination == net::kPortBfdMultihop) {
    return ControlOrRouting(packet);
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
  if (h.l4_status == net::L4Status::kPorts) return ClassifyPorts(packet, node);
  if (h.l4_status != net::L4Status::kOther) return PuntClass::kOther;
  if (h.protocol == kProtocolOspf || h.protocol == kProtocolVrrp) return ControlOrRouting(packet);
  if (h.family == net::Family::kIpv4) {
    return h.protocol == net::kProtocolIcmp ? PuntClass::kIcmp : PuntClass::kOther;
  }
  if (h.protocol != net::kProtocolIcmpv6) return PuntClass::kOther;
  return IsNeighbourDiscovery(packet) && IsFromTheLink(packet) ? PuntClass::kControl : PuntClass::kIcmp;
}

}  // namespace sluice::stage
