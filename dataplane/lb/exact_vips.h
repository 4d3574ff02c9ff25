#ifndef SLUICE_DATAPLANE_LB_EXACT_VIPS_H_
#define SLUICE_DATAPLANE_LB_EXACT_VIPS_H_

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/check.h"
#include "dataplane/base/ids.h"
#include "dataplane/base/unguessed.h"
#include "dataplane/lb/perfect_hash.h"
#include "dataplane/lb/vip_map.h"

namespace sluice::lb {

// The short answers of a VipMap, for packets in great numbers. Made of the same claims, immutable once built.
//
// A VIP of one address and one port wins over every other claim on its packets, so a packet that is found here needs no
// further search. What is not found may still be a VIP's, by a range of ports or a prefix; unless no claim has the
// address, which a filter of a few bits for each address tells of most addresses that are no VIP's.
template <typename Address>
class ExactVips {
  // Padded to a power of two: an index is shifted, not multiplied, and no slot lies in two cache lines.
  struct alignas(sizeof(Address) == sizeof(uint32_t) ? 16 : 32) Slot {
    Address address;
    uint32_t service = 0;
    VipId vip;

    bool IsOf(uint64_t key, const Address& wanted, uint32_t wanted_service) const {
      if constexpr (sizeof(Address) == sizeof(uint32_t) && std::endian::native == std::endian::little) {
        // Both in one comparison, with the number that the slot was found by.
        static_assert(offsetof(Slot, address) == 0 && offsetof(Slot, service) == sizeof(uint32_t));
        uint64_t own = 0;
        std::memcpy(&own, this, sizeof(own));
        return own == key;
      } else {
        return address == wanted && service == wanted_service;
      }
    }
  };

 public:
  // Port and protocol. Of free slots 0: no claim has that protocol.
  static uint32_t ServiceOf(uint8_t protocol, Be16 port) { return protocol | uint32_t{port.raw()} << 16; }
  // The number by which a VIP is looked for. Of IPv4 nothing else has it: the address below, the service above.
  static uint64_t KeyOf(const Address& address, uint32_t service) {
    const uint64_t high = service;
    return address.Mix() ^ high << 32;
  }

  // What a look-up reads. A loop over packets takes a copy: to the compiler every byte written into a packet may be one
  // of the table's own members, so that it would read those again each time.
  class Finder {
   public:
    // Find in two steps: the slot in which the answer is, to be fetched in time; and the answer. `key`: KeyOf both.
    const void* SlotOf(uint64_t key) const { return hash_.SlotOf(key); }
    VipId FindIn(const void* its_slot, uint64_t key, const Address& address, uint32_t service) const {
      const Slot& slot = *static_cast<const Slot*>(its_slot);
      if (!slot.IsOf(key, address, service)) [[unlikely]]
        return VipId();
      // Only free slots have none: the caller's question for it comes to the same.
      SLUICE_DCHECK(slot.vip.valid());
      if (!slot.vip.valid()) __builtin_unreachable();
      return slot.vip;
    }

    // FindIn without a branch, for packets of which one is a VIP's and the next is not. Of the others VIP 0, and no bit
    // of the mask, which has all bits of those.
    struct Evenly {
      uint64_t vip, mask;
    };
    Evenly FindEvenlyIn(const void* its_slot, uint64_t key, const Address& address, uint32_t service) const {
      const Slot& slot = *static_cast<const Slot*>(its_slot);
      const uint64_t mask = 0 - Unguessed(slot.IsOf(key, address, service) ? 1 : 0);
      return {.vip = slot.vip.value() & mask, .mask = mask};
    }

    // As ExactVips::MayHave.
    bool MayHave(const Address& address) const {
      if (prefixes_ != nullptr) [[unlikely]]
        return prefixes_->MayHave(address);
      return HasBit(filter_, FilterBit(address, filter_shift_));
    }

   private:
    friend ExactVips;
    typename PerfectHash<Slot>::Finder hash_;
    const uint64_t* filter_;
    const ExactVips* prefixes_;  // null: all claims are of one address
    int filter_shift_;           // of a product, to a bit of the filter
  };
  const Finder& finder() const { return finder_; }

  ExactVips(const std::vector<VipClaim<Address>>& claims, int address_bits)
      : address_bits_(address_bits), slots_(KeysOf(claims)) {
    for (const auto& claim : claims) {
      if (std::find(lengths_.begin(), lengths_.end(), claim.length) == lengths_.end()) lengths_.push_back(claim.length);
    }
    filter_.resize(std::bit_ceil(kFilterBits * claims.size() + 64) / 64);
    finder_.hash_ = slots_.finder();
    finder_.filter_ = filter_.data();
    finder_.filter_shift_ = 64 - std::countr_zero(filter_.size() * 64);
    const bool has_prefixes =
        std::any_of(lengths_.begin(), lengths_.end(), [this](int bits) { return bits != address_bits_; });
    finder_.prefixes_ = has_prefixes ? this : nullptr;
    for (const auto& claim : claims) {
      const size_t bit = FilterBit(claim.address, finder_.filter_shift_);
      filter_[bit / 64] |= uint64_t{1} << bit % 64;
      if (!IsSingle(claim)) continue;
      const uint32_t service = ServiceOf(claim);
      Slot& slot = slots_.SlotOf(KeyOf(claim.address, service));
      // Of two with the same key, which happens to none of IPv4, one is left to the VipMap.
      if (slot.service == 0) slot = {.address = claim.address, .service = service, .vip = claim.id};
    }
  }

  // Finders point into it.
  ExactVips(const ExactVips&) = delete;
  ExactVips& operator=(const ExactVips&) = delete;

  // The VIP that has the address and port for itself; invalid: it must be looked for in the VipMap.
  VipId Find(const Address& address, uint8_t protocol, Be16 port) const {
    const uint32_t service = ServiceOf(protocol, port);
    const uint64_t key = KeyOf(address, service);
    return finder().FindIn(finder().SlotOf(key), key, address, service);
  }

  // False: no claim has the address, whatever the protocol and port. True: one may.
  bool MayHave(const Address& address) const {
    for (const int length : lengths_) {
      const Address masked = length == address_bits_ ? address : address.Masked(length);
      if (HasBit(filter_.data(), FilterBit(masked, finder_.filter_shift_))) return true;
    }
    return false;
  }

 private:
  // Of 16 addresses that are no VIP's one at most needs the search.
  static constexpr size_t kFilterBits = 16;

  bool IsSingle(const VipClaim<Address>& claim) const {
    return claim.length == address_bits_ && claim.first_port == claim.last_port;
  }

  static size_t FilterBit(const Address& masked, int shift) {
    return static_cast<size_t>((masked.Mix() + 1) * 0xd6e8'feb8'6659'fd93 >> shift);
  }
  static bool HasBit(const uint64_t* filter, size_t bit) { return (filter[bit / 64] >> bit % 64 & 1) != 0; }

  static uint32_t ServiceOf(const VipClaim<Address>& claim) {
    return ServiceOf(claim.protocol, Be16::FromHost(claim.first_port));
  }

  // Of the claims that are single.
  std::vector<uint64_t> KeysOf(const std::vector<VipClaim<Address>>& claims) const {
    std::vector<uint64_t> keys;
    for (const auto& claim : claims) {
      if (IsSingle(claim)) keys.push_back(KeyOf(claim.address, ServiceOf(claim)));
    }
    std::sort(keys.begin(), keys.end());
    keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
    return keys;
  }

  int address_bits_;
  std::vector<int> lengths_;
  PerfectHash<Slot> slots_;  // half of them at most in use
  std::vector<uint64_t> filter_;
  Finder finder_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_EXACT_VIPS_H_
