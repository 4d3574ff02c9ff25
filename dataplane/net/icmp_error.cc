#include "dataplane/net/icmp_error.h"

#include <cstddef>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/ip_header.h"

namespace sluice::net {
namespace {

constexpr uint8_t kErrorHopLimit = 64;
// Precedence of ICMP errors (RFC 1812, section 4.3.2.5).
constexpr uint8_t kInternetworkControl = 0xc0;

struct TypeAndCode {
  uint8_t type;
  uint8_t code;
};

TypeAndCode Numbers(Family family, IcmpErrorKind kind) {
  const bool v4 = family == Family::kIpv4;
  switch (kind) {
    case IcmpErrorKind::kTooBig:
      return v4 ? TypeAndCode{kIcmpUnreachable, kIcmpCodeFragmentationNeeded} : TypeAndCode{kIcmpv6PacketTooBig, 0};
    case IcmpErrorKind::kTimeExceeded:
      return v4 ? TypeAndCode{kIcmpTimeExceeded, 0} : TypeAndCode{kIcmpv6TimeExceeded, 0};
    case IcmpErrorKind::kPortUnreachable:
      return v4 ? TypeAndCode{kIcmpUnreachable, 3} : TypeAndCode{kIcmpv6Unreachable, 4};
    case IcmpErrorKind::kHostUnreachable:
      return v4 ? TypeAndCode{kIcmpUnreachable, 1} : TypeAndCode{kIcmpv6Unreachable, 3};
    case IcmpErrorKind::kSourceRoute:
      return v4 ? TypeAndCode{kIcmpUnreachable, 5} : TypeAndCode{kIcmpv6ParameterProblem, 0};
    case IcmpErrorKind::kProhibited:
      break;
  }
  return v4 ? TypeAndCode{kIcmpUnreachable, 13} : TypeAndCode{kIcmpv6Unreachable, 1};
}

}  // namespace

void WriteIcmpError(Family family, IcmpErrorKind kind, const uint8_t* source, uint32_t detail, uint32_t quoted,
                    uint8_t* at) {
  const bool v4 = family == Family::kIpv4;
  const uint8_t* const cause = at + IcmpErrorHeaderBytes(family);
  const uint8_t* const cause_source = cause + (v4 ? offsetof(Ipv4Header, source) : offsetof(Ipv6Header, source));
  if (source == nullptr) {
    source = cause + (v4 ? offsetof(Ipv4Header, destination) : offsetof(Ipv6Header, destination));
  }
  IpHeaderFields ip;
  if (v4) ip.traffic_class = kInternetworkControl;
  ip.hop_limit = kErrorHopLimit;
  ip.protocol = v4 ? kProtocolIcmp : kProtocolIcmpv6;
  ip.payload = static_cast<uint16_t>(sizeof(IcmpHeader) + quoted);
  WriteIpHeader(family, ip, source, cause_source, at);

  uint8_t* const message = at + IpHeaderSize(family);
  const TypeAndCode numbers = Numbers(family, kind);
  IcmpHeader icmp{};
  icmp.type = numbers.type;
  icmp.code = numbers.code;
  const bool has_detail = kind == IcmpErrorKind::kTooBig || (kind == IcmpErrorKind::kSourceRoute && !v4);
  if (has_detail) icmp.rest = Be32::FromHost(detail);
  Store(message, icmp);
  const uint32_t pseudo = v4 ? 0 : PseudoHeaderSum(family, source, cause_source, kProtocolIcmpv6, ip.payload);
  icmp.checksum = static_cast<uint16_t>(~FoldSum(PartialSum(message, ip.payload, pseudo)));
  Store(message, icmp);
}

}  // namespace sluice::net
