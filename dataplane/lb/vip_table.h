#ifndef SLUICE_DATAPLANE_LB_VIP_TABLE_H_
#define SLUICE_DATAPLANE_LB_VIP_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

// Which VIP a packet belongs to: address, protocol and port to VipId. Immutable once built; linear probing at a load of
// at most one half.
class VipTable {
 public:
  struct Vip {
    net::IpAddress address;
    uint8_t protocol = 0;
    uint16_t port = 0;  // host byte order
    VipId id;
    friend bool operator==(const Vip&, const Vip&) = default;
  };

  // The (address, protocol, port) must differ between VIPs.
  explicit VipTable(std::vector<Vip> vips);

  // Invalid when no VIP has them. `address`: 4 or 16 bytes in network byte order.
  VipId LookupV4(Be32 address, uint8_t protocol, Be16 port) const;
  VipId LookupV6(const uint8_t* address, uint8_t protocol, Be16 port) const;
  // True when any VIP has the address, whatever its protocol and port.
  bool HasAddressV4(Be32 address) const;
  bool HasAddressV6(const uint8_t* address) const;

  const std::vector<Vip>& vips() const { return vips_; }

 private:
  // All fields as in the packet. `id` is invalid in the entries that only say that some VIP has the address (protocol
  // and port 0), and in free slots.
  struct SlotV4 {
    uint32_t address = 0;
    uint16_t port = 0;
    uint8_t protocol = 0;
    bool used = false;
    VipId id;
  };
  struct SlotV6 {
    std::array<uint8_t, 16> address{};
    uint16_t port = 0;
    uint8_t protocol = 0;
    bool used = false;
    VipId id;
  };

  // The slot that holds the key, or the free one where it belongs.
  size_t FindV4(uint32_t address, uint8_t protocol, uint16_t port) const;
  size_t FindV6(const uint8_t* address, uint8_t protocol, uint16_t port) const;
  void InsertV4(uint32_t address, uint8_t protocol, uint16_t port, VipId id);
  void InsertV6(const uint8_t* address, uint8_t protocol, uint16_t port, VipId id);

  std::vector<Vip> vips_;
  // Sizes are powers of two.
  std::vector<SlotV4> v4_;
  std::vector<SlotV6> v6_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_VIP_TABLE_H_
