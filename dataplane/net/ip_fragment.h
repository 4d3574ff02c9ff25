#ifndef SLUICE_DATAPLANE_NET_IP_FRAGMENT_H_
#define SLUICE_DATAPLANE_NET_IP_FRAGMENT_H_

#include <array>
#include <cstdint>
#include <optional>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/parser.h"

// Fragments of IPv4 (RFC 791) and IPv6 (RFC 8200, section 4.5): what their headers say, and making them. Pure, any
// thread.
namespace sluice::net {

// One fragment's place in its packet. Source, destination, `protocol` (IPv4 only, RFC 791) and `id` together name the
// packet; IPv6 leaves the protocol out (RFC 8200), because fragments of one packet may differ in it.
struct FragmentInfo {
  uint32_t id = 0;              // host order; IPv4's 16 bits are the lower half
  uint16_t offset = 0;          // of the payload in the whole packet's, in bytes; a multiple of 8
  bool more = false;            // further fragments follow
  uint8_t protocol = 0;         // IPv4: the header's; IPv6: the fragment header's next header
  uint16_t payload_offset = 0;  // where the fragment's bytes begin, from the frame's first byte
  uint16_t payload_length = 0;  // in bytes, at least 1

  bool is_first() const { return offset == 0; }
};

// `headers` are those of a frame whose l4_status is kFragment. Nothing when the fragment header is not among the
// `contiguous` bytes, or when what it says cannot be: no payload, a payload that is no multiple of 8 although more
// follows, or an end beyond 64 KiB ("ping of death").
std::optional<FragmentInfo> ParseFragment(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers);

// TCP or UDP ports of a first fragment.
struct FragmentPorts {
  uint8_t protocol = 0;
  uint16_t l4_offset = 0;  // from the frame's first byte, behind IPv6 extension headers that are part of the fragment
  Be16 source;
  Be16 destination;
};

// Nothing for a fragment other than the first, another protocol, and a fragment too short for the whole TCP (20 bytes,
// its options not counted) or UDP header: such a one is made to get ports past a filter (RFC 1858, RFC 7112), no sender
// has use for it.
std::optional<FragmentPorts> ParseFragmentPorts(const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& headers,
                                                const FragmentInfo& fragment);

// How an IPv4 packet, or a fragment of one, is cut into smaller fragments. The first piece keeps all options, the
// others those with the copy bit (RFC 791, section 3.1).
class Ipv4FragmentPlan {
 public:
  struct Piece {
    uint16_t payload_offset = 0;  // in bytes from the first byte behind the original's IP header
    uint16_t payload_length = 0;  // in bytes
    uint8_t header_length = 0;    // of the header that WriteHeader writes
  };

  // `ip`: a whole IPv4 header that the parser accepted; the payload is not looked at. Nothing when the packet fits
  // `mtu_bytes` as it is, has DF set, or the MTU leaves no room for 8 bytes behind the header.
  static std::optional<Ipv4FragmentPlan> Make(const uint8_t* ip, uint32_t mtu_bytes);
  // The same with at most `payload_bytes` in each piece, whatever its header's length: for pieces that get another one.
  static std::optional<Ipv4FragmentPlan> MakeByPayload(const uint8_t* ip, uint32_t payload_bytes);

  // At least 2.
  uint32_t count() const { return count_; }
  // `index` < count().
  Piece piece(uint32_t index) const;
  // Writes the complete header, checksum included, of a piece to `out` (header_length bytes, up to 60).
  void WriteHeader(uint32_t index, uint8_t* out) const;

 private:
  static constexpr uint8_t kMaxHeader = 60;

  explicit Ipv4FragmentPlan(const uint8_t* ip);
  // The plan with these payloads, of at least 8 bytes, at most; nothing when the packet need not or must not be cut.
  std::optional<Ipv4FragmentPlan> WithSizes(uint32_t first_payload, uint32_t other_payload);

  std::array<uint8_t, kMaxHeader> first_header_{};
  std::array<uint8_t, kMaxHeader> other_header_{};
  uint8_t first_header_length_ = 0;
  uint8_t other_header_length_ = 0;
  uint16_t first_payload_ = 0;  // of the first piece
  uint16_t other_payload_ = 0;  // of the others but the last
  uint16_t total_payload_ = 0;
  uint32_t count_ = 0;
};

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_IP_FRAGMENT_H_
