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
#include "dataplane/lb/vip_map.h"

namespace sluice::lb {

// The short answers of a VipMap, for packets in great numbers. Made of the same claims, immutable once built.
//
// A VIP of one address and one port wins over every other claim on its packets, so a packet that is found here needs no
// further search. What is not found may still be a VIP's, by a range of ports or a prefix; unless no claim has the
// address, which a filter of a few bits for each address tells of most addresses that are no VIP's.
template <typename Address>
class ExactVips {
  static constexpr uint32_t kFree = 0;

  static uint64_t KeyOf(const Address& address, uint32_t service) {
    const uint64_t high = service;
    return address.Mix() ^ high << 32;
  }

  // Padded to a power of two: an index is shifted, not multiplied, and no slot lies in two cache lines.
  struct alignas(sizeof(Address) == sizeof(uint32_t) ? 16 : 32) Slot {
    Address address;
    uint32_t service = kFree;
    VipId vip;

    bool IsOf(const Address& wanted, uint32_t wanted_service) const {
      if constexpr (sizeof(Address) == sizeof(uint32_t) && std::endian::native == std::endian::little) {
        // Both in one comparison, with the number that SlotOf has made of them.
        static_assert(offsetof(Slot, address) == 0 && offsetof(Slot, service) == sizeof(uint32_t));
        uint64_t own = 0;
        std::memcpy(&own, this, sizeof(own));
        return own == KeyOf(wanted, wanted_service);
      } else {
        return address == wanted && service == wanted_service;
      }
    }
  };

 public:
  // What Find reads. A loop over packets takes a copy: to the compiler every byte written into a packet may be one of
  // the table's own members, so that it would read those again each time.
  class Finder {
   public:
    explicit Finder(const ExactVips& vips)
        : slots_(vips.slots_.data()),
          mask_(vips.slots_.size() - 1),
          filter_(vips.filter_.data()),
          prefixes_(vips.has_prefixes_ ? &vips : nullptr),
          shift_(64 - std::countr_zero(vips.slots_.size())),
          filter_shift_(vips.filter_shift_) {}

    VipId Find(const Address& address, uint8_t protocol, Be16 port) const {
      const uint32_t service = ServiceOf(protocol, port);
      for (size_t i = SlotOf(address, service);; i = (i + 1) & mask_) {
        const Slot& slot = slots_[i];
        if (slot.IsOf(address, service)) [[likely]] {
          // Only free slots have none: the caller's question for it comes to the same.
          SLUICE_DCHECK(slot.vip.valid());
          if (!slot.vip.valid()) __builtin_unreachable();
          return slot.vip;
        }
        if (slot.service == kFree) return VipId();
      }
    }

    // Find, if the first look tells; invalid: it may have one nevertheless. Without a branch, for packets of which one
    // is a VIP's and the next is not.
    VipId FindAtFirst(const Address& address, uint8_t protocol, Be16 port) const {
      const uint32_t service = ServiceOf(protocol, port);
      const Slot& slot = slots_[SlotOf(address, service)];
      const auto found = static_cast<VipId::rep>(slot.IsOf(address, service) ? 0 : VipId().value());
      return VipId(static_cast<VipId::rep>(slot.vip.value() | found));
    }

    // As ExactVips::MayHave.
    bool MayHave(const Address& address) const {
      if (prefixes_ != nullptr) [[unlikely]]
        return prefixes_->MayHave(address);
      return HasBit(filter_, FilterBit(address, filter_shift_));
    }

    // Port and protocol; never kFree, because no claim has the protocol 0.
    static uint32_t ServiceOf(uint8_t protocol, Be16 port) { return port.raw() | uint32_t{protocol} << 16; }
    // The product's upper bits depend on all of the key. Not keyed, as VipMap.
    size_t SlotOf(const Address& address, uint32_t service) const {
      return static_cast<size_t>(KeyOf(address, service) * 0x9e37'79b9'7f4a'7c15 >> shift_);
    }

   private:
    const Slot* slots_;
    size_t mask_;
    const uint64_t* filter_;
    const ExactVips* prefixes_;  // null: all claims are of one address
    int shift_;                  // of a product, to a slot
    int filter_shift_;
  };
  Finder finder() const { return Finder(*this); }

  ExactVips(const std::vector<VipClaim<Address>>& claims, int address_bits) : address_bits_(address_bits) {
    size_t singles = 0;
    for (const auto& claim : claims) {
      singles += IsSingle(claim) ? 1 : 0;
      if (std::find(lengths_.begin(), lengths_.end(), claim.length) == lengths_.end()) lengths_.push_back(claim.length);
    }
    slots_.resize(std::bit_ceil(2 * singles + 2));
    filter_.resize(std::bit_ceil(kFilterBits * claims.size() + 64) / 64);
    filter_shift_ = 64 - std::countr_zero(filter_.size() * 64);
    has_prefixes_ = std::any_of(lengths_.begin(), lengths_.end(), [this](int bits) { return bits != address_bits_; });
    for (const auto& claim : claims) {
      const size_t bit = FilterBit(claim.address, filter_shift_);
      filter_[bit / 64] |= uint64_t{1} << bit % 64;
      if (IsSingle(claim)) Insert(claim);
    }
  }

  // The VIP that has the address and port for itself; invalid: it must be looked for in the VipMap.
  VipId Find(const Address& address, uint8_t protocol, Be16 port) const {
    return finder().Find(address, protocol, port);
  }

  // False: no claim has the address, whatever the protocol and port. True: one may.
  bool MayHave(const Address& address) const {
    for (const int length : lengths_) {
      const Address masked = length == address_bits_ ? address : address.Masked(length);
      if (HasBit(filter_.data(), FilterBit(masked, filter_shift_))) return true;
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

  void Insert(const VipClaim<Address>& claim) {
    const uint32_t service = Finder::ServiceOf(claim.protocol, Be16::FromHost(claim.first_port));
    size_t i = finder().SlotOf(claim.address, service);
    while (slots_[i].service != kFree) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {.address = claim.address, .service = service, .vip = claim.id};
  }

  int address_bits_;
  int filter_shift_ = 0;  // of a product, to a bit of the filter
  bool has_prefixes_ = false;
  std::vector<int> lengths_;
  std::vector<Slot> slots_;  // a power of two, at most half of them in use
  std::vector<uint64_t> filter_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_EXACT_VIPS_H_
