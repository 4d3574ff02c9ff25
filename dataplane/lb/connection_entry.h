#ifndef SLUICE_DATAPLANE_LB_CONNECTION_ENTRY_H_
#define SLUICE_DATAPLANE_LB_CONNECTION_ENTRY_H_

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/flow_state.h"

namespace sluice::lb {

// Packed to two bytes, so that an IPv4 entry takes 16 bytes and four share a cache line.
#pragma pack(push, 2)

// The tuple of a connection without the VIP's address and protocol: the VipId stands for them.
struct ConnectionKeyV4 {
  uint32_t client = 0;  // as in the packet
  Be16 client_port;
  Be16 destination_port;
  VipId vip;
  // Client and ports are eight bytes in a row: two comparisons and one branch rather than four of each.
  friend bool operator==(const ConnectionKeyV4& a, const ConnectionKeyV4& b) {
    uint64_t tuple_a = 0;
    uint64_t tuple_b = 0;
    std::memcpy(&tuple_a, &a, sizeof(tuple_a));
    std::memcpy(&tuple_b, &b, sizeof(tuple_b));
    return ((tuple_a ^ tuple_b) | (uint64_t{a.vip.value()} ^ b.vip.value())) == 0;
  }

  // A cheap mix of all fields; only to find the second bucket, so it need not be keyed.
  uint64_t Mix() const {
    uint64_t v = client | uint64_t{client_port.raw()} << 32 | uint64_t{destination_port.raw()} << 48;
    v = (v ^ vip.value()) * 0x9e37'79b9'7f4a'7c15;
    return v ^ v >> 32;
  }
};
static_assert(offsetof(ConnectionKeyV4, vip) == sizeof(uint64_t));

struct ConnectionKeyV6 {
  uint64_t client_high = 0;  // as in the packet
  uint64_t client_low = 0;
  Be16 client_port;
  Be16 destination_port;
  VipId vip;
  friend bool operator==(const ConnectionKeyV6&, const ConnectionKeyV6&) = default;

  uint64_t Mix() const {
    uint64_t v = client_high * 0xff51'afd7'ed55'8ccd ^ client_low;
    v ^= uint64_t{client_port.raw()} << 16 ^ uint64_t { destination_port.raw() } << 32 ^ uint64_t { vip.value() } << 48;
    v *= 0x9e37'79b9'7f4a'7c15;
    return v ^ v >> 32;
  }
};

// For VIPs that are prefixes: the destination address is part of the tuple. IPv4 addresses take the first four bytes.
struct ConnectionKeyWide {
  uint64_t client_high = 0;  // as in the packet
  uint64_t client_low = 0;
  uint64_t destination_high = 0;
  uint64_t destination_low = 0;
  Be16 client_port;
  Be16 destination_port;
  VipId vip;
  friend bool operator==(const ConnectionKeyWide&, const ConnectionKeyWide&) = default;

  uint64_t Mix() const {
    uint64_t v = client_high * 0xff51'afd7'ed55'8ccd ^ client_low;
    v = (v ^ destination_high) * 0xc4ce'b9fe'1a85'ec53 ^ destination_low;
    v ^= uint64_t{client_port.raw()} << 16 ^ uint64_t { destination_port.raw() } << 32 ^ uint64_t { vip.value() } << 48;
    v *= 0x9e37'79b9'7f4a'7c15;
    return v ^ v >> 32;
  }
};

// What follows the key in an entry.
struct ConnectionValue {
  BackendId backend;
  // Monotonic seconds modulo 2^16 of the last packet.
  uint16_t last_seen_s = 0;
  // Low byte of the backend's generation. The id is quarantined until no entry of the old backend is left, so this only
  // has to catch a fault.
  uint8_t generation = 0;
  // FlowState in bits 0 to 2; bit 3: the entry lies in its second bucket. In the first entry of a bucket, bits 4 to 7
  // count the entries that did not fit here and lie in their second bucket; 15 means "15 or more" and stays.
  uint8_t state_bits = 0;
};

template <typename Key>
struct ConnectionEntry {
  Key key;
  ConnectionValue value;

  FlowState state() const { return static_cast<FlowState>(value.state_bits & 0x07); }
  void set_state(FlowState state) {
    value.state_bits = static_cast<uint8_t>((value.state_bits & 0xf8) | static_cast<uint8_t>(state));
  }
  uint16_t IdleSeconds(uint32_t now_s) const { return static_cast<uint16_t>(now_s - value.last_seen_s); }
};

using ConnectionEntryV4 = ConnectionEntry<ConnectionKeyV4>;
using ConnectionEntryV6 = ConnectionEntry<ConnectionKeyV6>;
using ConnectionEntryWide = ConnectionEntry<ConnectionKeyWide>;
static_assert(sizeof(ConnectionEntryV4) == 16);
static_assert(sizeof(ConnectionEntryV6) == 28);
static_assert(sizeof(ConnectionEntryWide) == 44);

#pragma pack(pop)

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_CONNECTION_ENTRY_H_
