#ifndef SLUICE_DATAPLANE_NET_PARSER_H_
#define SLUICE_DATAPLANE_NET_PARSER_H_

#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/net/address.h"

namespace sluice::net {

enum class ParseStatus : uint8_t {
  kOk,     // IPv4 or IPv6; all fields are set as far as `L4Status` says
  kNotIp,  // ARP, LLDP, ...: `ether_type` and `l3_offset` are set
  kError,  // `error` says why; fields are set as far as they were reached
};

enum class L4Status : uint8_t {
  kPorts,     // TCP or UDP with its header inside the packet: ports are set, tcp_flags for TCP
  kOther,     // another protocol: `protocol` and `l4_offset` are set
  kFragment,  // an IPv4 or IPv6 fragment; ports are not looked at
  kError,     // the TCP or UDP header is cut or lies about its length: `error` says why
};

// What one pass over a frame's headers found. Offsets are in bytes from the frame's first byte.
struct ParsedHeaders {
  ParseStatus status = ParseStatus::kError;
  L4Status l4_status = L4Status::kOther;
  DropReason error = DropReason::kTruncatedHeader;
  Family family = Family::kIpv4;
  uint8_t protocol = 0;  // after extension headers
  uint8_t tcp_flags = 0;
  uint8_t vlan_tags = 0;  // 0 to 2
  // A header between the fixed one and L4 (IPv6 extension). IPv4 options are told by l4_offset - l3_offset.
  bool has_extension = false;
  uint16_t l3_offset = 0;
  uint16_t l4_offset = 0;
  // IP header and payload as the IP header states it, in bytes; the frame may be longer (Ethernet padding).
  uint16_t ip_length = 0;
  Be16 ether_type;
  Be16 source_port;
  Be16 destination_port;
};

// Parses Ethernet, up to two VLAN tags, IPv4 or IPv6 and the first bytes of TCP or UDP. Never reads beyond
// `contiguous` bytes; `frame_length` (>= contiguous) is the whole frame over all buffers. Checks every length field it
// passes; does not check checksums. Any thread, no state.
ParsedHeaders ParseFrame(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_PARSER_H_
