#ifndef SLUICE_DATAPLANE_LB_VIP_TABLE_H_
#define SLUICE_DATAPLANE_LB_VIP_TABLE_H_

#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/exact_vips.h"
#include "dataplane/lb/vip_map.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

// Which VIP a packet belongs to: address, protocol and port to VipId, for both families. Immutable once built.
class VipTable {
 public:
  struct Vip {
    net::IpPrefix prefix;  // host bits are ignored; of full length: one address
    uint8_t protocol = 0;
    // Host byte order, inclusive; equal: one port; 0 to 65535: all ports.
    uint16_t first_port = 0;
    uint16_t last_port = 0;
    bool answers_echo = false;
    VipId id;
    friend bool operator==(const Vip&, const Vip&) = default;
  };

  explicit VipTable(std::vector<Vip> vips);

  // The VIP of the longest prefix; on it a single port goes before a range, and a range before all ports. Invalid when
  // no VIP fits. `address` in LookupV6: 16 bytes in network byte order.
  VipId LookupV4(Be32 address, uint8_t protocol, Be16 port) const {
    return v4_.Lookup({address.raw()}, protocol, port.Host());
  }
  VipId LookupV6(const uint8_t* address, uint8_t protocol, Be16 port) const {
    return v6_.Lookup(LoadV6(address), protocol, port.Host());
  }
  // What is known of the address whatever the protocol and port.
  VipAddressInfo DescribeV4(Be32 address) const { return v4_.Describe({address.raw()}); }
  VipAddressInfo DescribeV6(const uint8_t* address) const { return v6_.Describe(LoadV6(address)); }

  // The short answers to both, for the fast path of packets.
  const ExactVips<VipAddressV4>& exact_v4() const { return exact_v4_; }
  const ExactVips<VipAddressV6>& exact_v6() const { return exact_v6_; }

  const std::vector<Vip>& vips() const { return vips_; }

 private:
  static VipAddressV6 LoadV6(const uint8_t* address);

  std::vector<Vip> vips_;
  VipMap<VipAddressV4> v4_;
  VipMap<VipAddressV6> v6_;
  ExactVips<VipAddressV4> exact_v4_;
  ExactVips<VipAddressV6> exact_v6_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_VIP_TABLE_H_
