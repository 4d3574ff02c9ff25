#include "dataplane/lb/vip_table.h"

#include <bit>
#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::lb {
namespace {

// VIPs come from the configuration, not from clients, so an unkeyed mix is enough: nobody outside can
// choose colliding entries, and a lookup costs one probe whatever a client sends unless VIPs themselves cluster.
inline size_t Mix(uint64_t key) {
  key *= 0x9e37'79b9'7f4a'7c15;
  key ^= key >> 32;
  key *= 0xd6e8'feb8'6659'fd93;
  return static_cast<size_t>(key >> 32);
}

inline size_t HashV4(uint32_t address, uint8_t protocol, uint16_t port) {
  return Mix(uint64_t{address} | uint64_t{port} << 32 | uint64_t{protocol} << 48);
}

inline size_t HashV6(const uint8_t* address, uint8_t protocol, uint16_t port) {
  uint64_t high = 0;
  uint64_t low = 0;
  std::memcpy(&high, address, sizeof(high));
  std::memcpy(&low, address + 8, sizeof(low));
  return Mix((high * 0xff51'afd7'ed55'8ccd) ^ low ^ (uint64_t{port} << 16 | uint64_t{protocol} << 40));
}

// Stands for "some VIP has this address".
constexpr uint8_t kAnyProtocol = 0;
constexpr uint16_t kAnyPort = 0;

size_t CapacityFor(size_t entries) { return std::bit_ceil(entries * 2 + 2); }

template <typename Slots, typename Same>
size_t FindSlot(const Slots& slots, size_t hash, const Same& same) {
  const size_t mask = slots.size() - 1;
  size_t i = hash & mask;
  while (slots[i].used && !same(slots[i])) i = (i + 1) & mask;
  return i;
}

}  // namespace

VipTable::VipTable(std::vector<Vip> vips) : vips_(std::move(vips)) {
  size_t count_v4 = 0;
  for (const Vip& vip : vips_) count_v4 += vip.address.is_v4() ? 1u : 0u;
  // Each VIP brings at most one entry of its own and one for its address.
  v4_.resize(CapacityFor(2 * count_v4));
  v6_.resize(CapacityFor(2 * (vips_.size() - count_v4)));
  for (const Vip& vip : vips_) {
    SLUICE_CHECK(vip.id.valid() && vip.protocol != kAnyProtocol && vip.port != kAnyPort);
    const uint16_t port = Be16::FromHost(vip.port).raw();
    if (vip.address.is_v4()) {
      InsertV4(vip.address.v4().raw(), vip.protocol, port, vip.id);
      InsertV4(vip.address.v4().raw(), kAnyProtocol, kAnyPort, VipId());
    } else {
      InsertV6(vip.address.data(), vip.protocol, port, vip.id);
      InsertV6(vip.address.data(), kAnyProtocol, kAnyPort, VipId());
    }
  }
}

size_t VipTable::FindV4(uint32_t address, uint8_t protocol, uint16_t port) const {
  return FindSlot(v4_, HashV4(address, protocol, port),
                  [=](const SlotV4& s) { return s.address == address && s.port == port && s.protocol == protocol; });
}

size_t VipTable::FindV6(const uint8_t* address, uint8_t protocol, uint16_t port) const {
  return FindSlot(v6_, HashV6(address, protocol, port), [=](const SlotV6& s) {
    return s.port == port && s.protocol == protocol && std::memcmp(s.address.data(), address, 16) == 0;
  });
}

void VipTable::InsertV4(uint32_t address, uint8_t protocol, uint16_t port, VipId id) {
  SlotV4& slot = v4_[FindV4(address, protocol, port)];
  SLUICE_CHECK(!slot.used || !id.valid());
  slot = {.address = address, .port = port, .protocol = protocol, .used = true, .id = id};
}

void VipTable::InsertV6(const uint8_t* address, uint8_t protocol, uint16_t port, VipId id) {
  SlotV6& slot = v6_[FindV6(address, protocol, port)];
  SLUICE_CHECK(!slot.used || !id.valid());
  std::memcpy(slot.address.data(), address, 16);
  slot.port = port;
  slot.protocol = protocol;
  slot.used = true;
  slot.id = id;
}

VipId VipTable::LookupV4(Be32 address, uint8_t protocol, Be16 port) const {
  return v4_[FindV4(address.raw(), protocol, port.raw())].id;
}

VipId VipTable::LookupV6(const uint8_t* address, uint8_t protocol, Be16 port) const {
  return v6_[FindV6(address, protocol, port.raw())].id;
}

bool VipTable::HasAddressV4(Be32 address) const { return v4_[FindV4(address.raw(), kAnyProtocol, kAnyPort)].used; }

bool VipTable::HasAddressV6(const uint8_t* address) const { return v6_[FindV6(address, kAnyProtocol, kAnyPort)].used; }

}  // namespace sluice::lb
