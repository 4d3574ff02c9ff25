#ifndef SLUICE_DATAPLANE_NET_ADDRESS_H_
#define SLUICE_DATAPLANE_NET_ADDRESS_H_

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "dataplane/base/byte_order.h"

namespace sluice::net {

enum class Family : uint8_t { kIpv4 = 4, kIpv6 = 6 };

// An IPv4 or IPv6 address in network byte order; the bytes past an IPv4 address are zero, so that comparison and
// hashing need no case distinction. Default: 0.0.0.0.
class IpAddress {
 public:
  constexpr IpAddress() = default;

  static IpAddress V4(Be32 address);
  // `bytes`: 4 (kIpv4) or 16 (kIpv6) of them.
  static IpAddress FromBytes(Family family, const uint8_t* bytes);
  // Textual form of RFC 4291 or dotted quad; no zone, no prefix length, no blanks.
  static std::optional<IpAddress> Parse(std::string_view text);

  Family family() const { return family_; }
  bool is_v4() const { return family_ == Family::kIpv4; }
  // 4 or 16.
  size_t size() const { return is_v4() ? 4 : 16; }
  // 32 or 128.
  int bits() const { return is_v4() ? 32 : 128; }
  const uint8_t* data() const { return bytes_.data(); }
  // Only for IPv4.
  Be32 v4() const;

  bool IsUnspecified() const;
  bool IsLoopback() const;
  bool IsMulticast() const;
  bool IsLinkLocal() const;

  std::string ToString() const;

  friend auto operator<=>(const IpAddress&, const IpAddress&) = default;

  template <typename H>
  friend H AbslHashValue(H h, const IpAddress& a) {
    return H::combine(std::move(h), a.family_, a.bytes_);
  }

 private:
  Family family_ = Family::kIpv4;
  std::array<uint8_t, 16> bytes_{};
};

// An address with a prefix length. As an interface's address the host bits are kept ("10.0.0.2/24"); Contains looks at
// the prefix only.
struct IpPrefix {
  IpAddress address;
  int length = 0;

  // "10.0.0.2/24"; without "/n" the full length is taken.
  static std::optional<IpPrefix> Parse(std::string_view text);
  bool Contains(const IpAddress& other) const;
  // With the host bits cleared.
  IpPrefix Network() const;
  std::string ToString() const;
  friend bool operator==(const IpPrefix&, const IpPrefix&) = default;
};

// Six bytes as on the wire.
class MacAddress {
 public:
  constexpr MacAddress() = default;
  explicit MacAddress(const uint8_t* bytes) { std::memcpy(bytes_.data(), bytes, bytes_.size()); }
  // "02:00:00:00:00:01"
  static std::optional<MacAddress> Parse(std::string_view text);
  const uint8_t* data() const { return bytes_.data(); }
  bool IsZero() const { return bytes_ == std::array<uint8_t, 6>{}; }
  bool IsMulticast() const { return (bytes_[0] & 1) != 0; }
  std::string ToString() const;
  friend auto operator<=>(const MacAddress&, const MacAddress&) = default;

 private:
  std::array<uint8_t, 6> bytes_{};
};

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_ADDRESS_H_
