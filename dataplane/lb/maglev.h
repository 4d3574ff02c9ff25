#ifndef SLUICE_DATAPLANE_LB_MAGLEV_H_
#define SLUICE_DATAPLANE_LB_MAGLEV_H_

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "dataplane/lb/siphash.h"

namespace sluice::lb {

// Maglev's lookup table (Eisenbud et al., NSDI 2016, section 3.4), with weights.

// Where a backend's preference list starts and how it goes on: preference(j) = (offset + j * skip) mod M.
struct MaglevPermutation {
  uint32_t offset = 0;  // 0 to M - 1
  uint32_t skip = 1;    // 1 to M - 1
};

// offset = SipHash-2-4(offset_key, name) mod M, skip = SipHash-2-4(skip_key, name) mod (M - 1) + 1.
MaglevPermutation MakePermutation(const SipKey& offset_key, const SipKey& skip_key, std::string_view name,
                                  uint32_t table_size);

struct MaglevMember {
  uint16_t id = 0;      // what the slots will hold
  uint32_t weight = 0;  // above 0
  MaglevPermutation permutation;
};

// Fills all `table_size` (prime, above the number of members, below 2^29) slots. Members take turns in the order given;
// in each round a member's credit grows by its weight, and it claims its next free preferred slot as long as the credit
// is at least the largest weight, which is then taken off. The order of members is part of the result: callers sort by
// name, so that all directors agree. Empty when there are no members. O(M log M) on average.
//
// A change builds the table anew. A repair that comes to the same table would take 0.4 to 12 times as long: it
// moves many turns of most members, but where members are many more than each has slots (MaglevRepair in tests/bench).
//
// `heirs`, where wanted: for each slot the member that first came to it when it was taken, 0xffff without a second
// member. Most of the slots of a member that goes get them as owners (85 % of 1009 slots with 40 members, 98 % of 65537
// with 100); it is not all, because without a member the others' turns are not the same. Slots that nobody came to get
// theirs when all members go on from where they stopped, a step each in turn.
std::vector<uint16_t> BuildMaglevTable(std::span<const MaglevMember> members, uint32_t table_size,
                                       std::vector<uint16_t>* heirs = nullptr);

// The same without AVX2.
std::vector<uint16_t> BuildMaglevTablePortable(std::span<const MaglevMember> members, uint32_t table_size);

bool IsPrime(uint32_t n);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_MAGLEV_H_
