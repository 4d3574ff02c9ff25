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
    for (const auto& claim : claims) Insert(claim);
    for (auto& list : ranges_) {
      std::sort(list.begin(), list.end(),
                [](const Range& a, const Range& b) { return a.last - a.first < b.last - b.first; });
    }
  }

  VipId Lookup(const Address& address, uint8_t protocol, uint16_t port) const {
    for (const int length : lengths_) {
      const Address masked = length == address_bits_ ? address : address.Masked(length);
      const Slot& single = slots_[Find(masked, length, protocol, port, Kind::kPort)];
      if (single.kind == Kind::kPort) return VipId(single.value);
      const Slot& list = slots_[Find(masked, length, protocol, 0, Kind::kRanges)];
      if (list.kind != Kind::kRanges) continue;
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
      const Slot& slot = slots_[Find(masked, length, 0, 0, Kind::kAddress)];
      if (slot.kind == Kind::kAddress) return {.is_vip = true, .answers_echo = slot.value != 0};
    }
    return {};
  }

 private:
  enum class Kind : uint8_t { kFree, kAddress, kPort, kRanges };
  struct Slot {
    Address address;
    uint16_t port = 0;
    uint16_t value = 0;  // kPort: the VipId; kRanges: index into ranges_; kAddress: whether it answers echo
    uint8_t protocol = 0;
    uint8_t length = 0;
    Kind kind = Kind::kFree;
  };
  struct Range {
    uint16_t first;
    uint16_t last;
    VipId id;
  };

  // VIPs come from the configuration, not from clients, so an unkeyed mix is enough: nobody outside can choose
  // colliding entries.
  static size_t Hash(const Address& address, int length, uint8_t protocol, uint16_t port, Kind kind) {
    uint64_t key = address.Mix() ^
                   (uint64_t{port} << 32 | uint64_t{protocol} << 48 | uint64_t{static_cast<uint8_t>(length)} << 56);
    key = (key + static_cast<uint64_t>(kind)) * 0x9e37'79b9'7f4a'7c15;
    key ^= key >> 32;
    key *= 0xd6e8'feb8'6659'fd93;
    return static_cast<size_t>(key >> 32);
  }

  // The slot that holds the key, or the free one where it belongs.
  size_t Find(const Address& address, int length, uint8_t protocol, uint16_t port, Kind kind) const {
    const size_t mask = slots_.size() - 1;
    size_t i = Hash(address, length, protocol, port, kind) & mask;
    while (slots_[i].kind != Kind::kFree &&
           !(slots_[i].address == address && slots_[i].port == port && slots_[i].kind == kind &&
             slots_[i].protocol == protocol && slots_[i].length == length)) {
      i = (i + 1) & mask;
    }
    return i;
  }

  Slot& Claim(const Address& address, int length, uint8_t protocol, uint16_t port, Kind kind) {
    Slot& slot = slots_[Find(address, length, protocol, port, kind)];
    if (slot.kind != Kind::kFree) return slot;
    slot = {.address = address,
            .port = port,
            .value = VipId::kInvalidValue,
            .protocol = protocol,
            .length = static_cast<uint8_t>(length),
            .kind = kind};
    return slot;
  }

  void Insert(const VipClaim<Address>& claim) {
    SLUICE_CHECK(claim.id.valid() && claim.protocol != 0 && claim.first_port <= claim.last_port);
    SLUICE_CHECK(claim.address == claim.address.Masked(claim.length));
    Slot& address = Claim(claim.address, claim.length, 0, 0, Kind::kAddress);
    if (address.value == VipId::kInvalidValue) address.value = 0;
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
  std::vector<int> lengths_;  // in use, longest first
  std::vector<Slot> slots_;   // a power of two
  std::vector<std::vector<Range>> ranges_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_VIP_MAP_H_
