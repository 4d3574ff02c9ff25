#include "dataplane/net/ip_header.h"

#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"

namespace sluice::net {

IpHeaderFields ReadIpHeader(Family family, const uint8_t* at) {
  IpHeaderFields fields;
  if (family == Family::kIpv4) {
    const auto ip = Load<Ipv4Header>(at);
    const int header_length = (ip.version_ihl & 0x0f) * 4;
    const int total = ip.total_length.Host();
    fields.traffic_class = ip.tos;
    fields.hop_limit = ip.ttl;
    fields.protocol = ip.protocol;
    fields.payload = static_cast<uint16_t>(total > header_length ? total - header_length : 0);
    fields.dont_fragment = (ip.fragment.Host() & kIpv4DontFragment) != 0;
    fields.fragment = ip.fragment.Host() & (kIpv4MoreFragments | kIpv4FragmentOffsetMask);
    fields.id = ip.id;
  } else {
    const auto ip = Load<Ipv6Header>(at);
    fields.traffic_class = static_cast<uint8_t>(ip.version_class_flow.Host() >> 20);
    fields.hop_limit = ip.hop_limit;
    fields.protocol = ip.next_header;
    fields.payload = ip.payload_length.Host();
  }
  return fields;
}

void WriteIpHeader(Family family, const IpHeaderFields& fields, const uint8_t* source, const uint8_t* destination,
                   uint8_t* at) {
  if (family == Family::kIpv6) {
    Ipv6Header ip{};
    ip.version_class_flow = Be32::FromHost(0x6000'0000 | uint32_t{fields.traffic_class} << 20);
    ip.payload_length = Be16::FromHost(fields.payload);
    ip.next_header = fields.protocol;
    ip.hop_limit = fields.hop_limit;
    std::memcpy(ip.source, source, sizeof(ip.source));
    std::memcpy(ip.destination, destination, sizeof(ip.destination));
    Store(at, ip);
    return;
  }
  Ipv4Header ip{};
  ip.version_ihl = 0x45;
  ip.tos = fields.traffic_class;
  ip.total_length = Be16::FromHost(static_cast<uint16_t>(sizeof(ip) + fields.payload));
  ip.fragment = Be16::FromHost(static_cast<uint16_t>(fields.fragment | (fields.dont_fragment ? kIpv4DontFragment : 0)));
  if (!fields.dont_fragment) ip.id = fields.id;
  ip.ttl = fields.hop_limit;
  ip.protocol = fields.protocol;
  ip.source = Load<Be32>(source);
  ip.destination = Load<Be32>(destination);
  Store(at, ip);
  Store(at + offsetof(Ipv4Header, checksum), InternetChecksum(at, sizeof(ip)));
}

}  // namespace sluice::net
