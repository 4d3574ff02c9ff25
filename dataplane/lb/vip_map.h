#ifndef SLUICE_DATAPLANE_LB_VIP_MAP_H_
#define SLUICE_DATAPLANE_LB_VIP_MAP_H_

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/check.h"
#include "dataplane/base/ids.h"

namespace sluice::lb {

// An address as it lies in the packet, in the form that hashes and compares fastest.
struct VipAddressV4 {
  uint32_t raw = 0;
  friend bool operator==(const VipAddressV4&, const VipAddressV4&) = default;
  uint64_t Mix() const { return raw; }
  VipAddressV4 Masked(int length) const {
    const uint32_t mask = length == 0 ? 0 : __builtin_bswap32(~uint32_t{0} << (32 - length));
    return {raw & mask};
  }
};

struct VipAddressV6 {
  uint64_t high = 0;
  uint64_t low = 0;
  friend bool operator==(const VipAddressV6&, const VipAddressV6&) = default;
  uint64_t Mix() const { return high * 0xff51'afd7'ed55'8ccd ^ low; }
  VipAddressV6 Masked(int length) const {
    const auto mask = [](int bits) {
      if (bits <= 0) return uint64_t{0};
      return bits >= 64 ? ~uint64_t{0} : __builtin_bswap64(~uint64_t{0} << (64 - bits));
    };
    return {high & mask(length), low & mask(length - 64)};
  }
};

// What a VIP claims of one family's packets.
template <typename Address>
struct VipClaim {
  Address address;  // masked to `length`
  int length = 0;   // of the prefix, in bits
  uint8_t protocol = 0;
  uint16_t first_port = 0;  // host byte order, inclusive
  uint16_t last_port = 0;
  bool answers_echo = false;
  VipId id;
};

// What is known of an address whatever protocol and port are asked for.
struct VipAddressInfo {
  bool is_vip = false;
  bool answers_echo = false;  // some VIP of the address does
};

// Finds the claim that wins for a packet: the longest prefix; on it a single port before a range before all ports.
// Immutable once built. One hash table with linear probing at a load of at most one half holds, for each prefix length
// in use, single ports, lists of ranges, and the addresses themselves; a packet of a single-port VIP on one address
// costs one probe.
template <typename Address>
class VipMap {
 public:
  // Claims must differ; those with ranges on the same prefix and protocol must not overlap unless one spans all ports.
  VipMap(const std::vector<VipClaim<Address>>& claims, int address_bits) : address_bits_(address_bits) {
    for (const auto& claim : claims) {
      if (std::find(lengths_.begin(), lengths_.end(), claim.length) == lengths_.end()) lengths_.push_back(claim.length);
    }
    std::sort(lengths_.rbegin(), lengths_.rend());
    // Each claim brings at most one entry of its own and one for its address.
    slots_.resize(std::bit_ceil(4 * claims.size() + 2));
    // 32 bits for each address: one in thirty others is looked up.
    filter_.resize(std::bit_ceil(claims.size() / 2 + 1));
    for (const auto& claim : claims) Insert(claim);
    for (auto& list : ranges_) {
      std::sort(list.begin(), list.end(),
                [](const Range& a, const Range& b) { return a.last - a.first < b.last - b.first; });
    }
  }

  VipId Lookup(const Address& address, uint8_t protocol, uint16_t port) const {
    for (const int length : lengths_) {
      const Address masked = length == address_bits_ ? address : address.Masked(length);
      if (!MayHave(masked, length)) continue;
      const Slot& single = slots_[Find(masked, length, protocol, port, Kind::kPort)];
      if (single.kind() == Kind::kPort) return VipId(single.value);
      const Slot& list = slots_[Find(masked, length, protocol, 0, Kind::kRanges)];
      if (list.kind() != Kind::kRanges) continue;
      for (const Range& range : ranges_[list.value]) {
        if (range.first <= port && port <= range.last) return range.id;
      }
    }
    return VipId();
  }

  // By the longest prefix that has the address.
  VipAddressInfo Describe(const Address& address) const {
    for (const int length : lengths_) {
      const Address masked = length == address_bits_ ? address : address.Masked(length);
      if (!MayHave(masked, length)) continue;
      const Slot& slot = slots_[Find(masked, length, 0, 0, Kind::kAddress)];
      if (slot.kind() == Kind::kAddress) return {.is_vip = true, .answers_echo = slot.value != 0};
    }
    return {};
  }

 private:
  enum class Kind : uint8_t { kFree, kAddress, kPort, kRanges };
  // All of the key but the address, in one number that compares at once: port, protocol, length and kind from the
  // lowest bits up. 0: the slot is free.
  static constexpr uint64_t What(int length, uint8_t protocol, uint16_t port, Kind kind) {
    return uint64_t{port} | uint64_t{protocol} << 16 | uint64_t{static_cast<uint8_t>(length)} << 24 |
           uint64_t{static_cast<uint8_t>(kind)} << kKindShift;
  }
  static constexpr int kKindShift = 32;
  struct Slot {
    uint64_t what = 0;
    Address address;
    uint16_t value = 0;  // kPort: the VipId; kRanges: index into ranges_; kAddress: whether it answers echo

    Kind kind() const { return static_cast<Kind>(what >> kKindShift); }
  };
  struct Range {
    uint16_t first;
    uint16_t last;
    VipId id;
  };

  // VIPs come from the configuration, not from clients, so an unkeyed mix is enough: nobody outside can choose
  // colliding entries.
  static size_t Hash(const Address& address, uint64_t what) {
    uint64_t key = (address.Mix() ^ what << 32 ^ what >> 24) * 0x9e37'79b9'7f4a'7c15;
    key ^= key >> 32;
    key *= 0xd6e8'feb8'6659'fd93;
    return static_cast<size_t>(key >> 32);
  }

  // A bit for each address (of each length) that the map has: nearly all packets that are no VIP's, such as those of a
  // flood to other addresses, are told by it, in the core's own cache, rather than by probes for each length.
  static size_t FilterBit(const Address& address, int length) {
    return static_cast<size_t>((address.Mix() + static_cast<uint64_t>(length)) * 0xc4ce'b9fe'1a85'ec53 >> 32);
  }
  bool MayHave(const Address& address, int length) const {
    const size_t bit = FilterBit(address, length) & (64 * filter_.size() - 1);
    return (filter_[bit / 64] >> bit % 64 & 1) != 0;
  }

  // The slot that holds the key, or the free one where it belongs.
  size_t Find(const Address& address, int length, uint8_t protocol, uint16_t port, Kind kind) const {
    const size_t mask = slots_.size() - 1;
    const uint64_t what = What(length, protocol, port, kind);
    size_t i = Hash(address, what) & mask;
    while (slots_[i].what != 0 && !(slots_[i].what == what && slots_[i].address == address)) i = (i + 1) & mask;
    return i;
  }

  Slot& Claim(const Address& address, int length, uint8_t protocol, uint16_t port, Kind kind) {
    Slot& slot = slots_[Find(address, length, protocol, port, kind)];
    if (slot.what != 0) return slot;
    slot = {.what = What(length, protocol, port, kind), .address = address, .value = VipId::kInvalidValue};
    return slot;
  }

  void Insert(const VipClaim<Address>& claim) {
    SLUICE_CHECK(claim.id.valid() && claim.protocol != 0 && claim.first_port <= claim.last_port);
    SLUICE_CHECK(claim.address == claim.address.Masked(claim.length));
    Slot& address = Claim(claim.address, claim.length, 0, 0, Kind::kAddress);
    if (address.value == VipId::kInvalidValue) address.value = 0;
    const size_t bit = FilterBit(claim.address, claim.length) & (64 * filter_.size() - 1);
    filter_[bit / 64] |= uint64_t{1} << bit % 64;
    if (claim.answers_echo) address.value = 1;
    if (claim.first_port == claim.last_port) {
      Slot& slot = Claim(claim.address, claim.length, claim.protocol, claim.first_port, Kind::kPort);
      SLUICE_CHECK(slot.value == VipId::kInvalidValue);
      slot.value = claim.id.value();
      return;
    }
    Slot& slot = Claim(claim.address, claim.length, claim.protocol, 0, Kind::kRanges);
    if (slot.value == VipId::kInvalidValue) {
      slot.value = static_cast<uint16_t>(ranges_.size());
      ranges_.emplace_back();
    }
    ranges_[slot.value].push_back({claim.first_port, claim.last_port, claim.id});
  }

  int address_bits_;
  std::vector<int> lengths_;      // in use, longest first
  std::vector<Slot> slots_;       // a power of two
  std::vector<uint64_t> filter_;  // a power of two
  std::vector<std::vector<Range>> ranges_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_VIP_MAP_H_
