#ifndef SLUICE_DATAPLANE_LB_FLOW_HASH_H_
#define SLUICE_DATAPLANE_LB_FLOW_HASH_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

// The cluster's secret that every director shares, from which all keyed hashes derive.
using Seed = std::array<uint8_t, 16>;

// Keys of the flow hash and of the Maglev table, derived from the seed once per state:
//   flow[i]  = SipHash-2-4(seed, "sluice flow i") for i = 0..3, as two 16-byte AES round keys
//   maglev_1 = SipHash-2-4 key of h1: SipHash-2-4(seed, "sluice maglev offset 0/1")
//   maglev_2 = SipHash-2-4 key of h2: SipHash-2-4(seed, "sluice maglev skip 0/1")
//   owner    = SipHash-2-4(seed, "sluice owner"): of lb/owner.h, which concerns one director only
struct HashKeys {
  explicit HashKeys(const Seed& seed);
  Seed seed;
  std::array<std::array<uint8_t, 16>, 2> flow;
  std::array<uint8_t, 16> maglev_offset;
  std::array<uint8_t, 16> maglev_skip;
  uint64_t owner;
};

// One flow's hash input, as it lies in the packet: 4 or 16 bytes per address.
struct FlowTuple {
  const uint8_t* source;
  const uint8_t* destination;
  Be16 source_port;
  Be16 destination_port;
  uint8_t protocol;
  net::Family family;
};

// The 64-bit flow hash. With K0, K1 the flow keys and R(s, k) one AES encryption round (SubBytes, ShiftRows,
// MixColumns, AddRoundKey):
//   IPv4, one block B = source(4) destination(4) source port(2) destination port(2) protocol(1) 0(3):
//     s = R(R(R(R(B ^ K0, K1), K0), K1), K0)
//   IPv6, blocks B1 = source(16), B2 = destination(16), B3 = ports(4) protocol(1) 0(11):
//     s = B1 ^ K0; s = R(R(s, K1), K0) ^ B2; s = R(R(s, K1), K0) ^ B3; s = R(R(R(R(s, K1), K0), K1), K0)
// The hash is the first 8 bytes of s as a little-endian number. Both variants below give equal values. Directors of a
// cluster must agree on it, so it is pinned by vectors in tests/unit.
uint64_t FlowHashPortable(const HashKeys& keys, const FlowTuple& tuple);
// With AES-NI where the CPU has it, else the portable one. Fills hashes[0..count).
void FlowHashes(const HashKeys& keys, const FlowTuple* tuples, size_t count, uint64_t* hashes);

// The slot of a table of `slot_count` for a hash: the upper 32 bits scaled, so that no division is needed and the
// lower bits stay free for the connection table.
constexpr uint32_t SlotOf(uint64_t hash, uint32_t slot_count) {
  return static_cast<uint32_t>(((hash >> 32) * slot_count) >> 32);
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FLOW_HASH_H_
