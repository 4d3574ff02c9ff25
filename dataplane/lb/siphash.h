#ifndef SLUICE_DATAPLANE_LB_SIPHASH_H_
#define SLUICE_DATAPLANE_LB_SIPHASH_H_

#include <array>
#include <cstdint>
#include <string_view>

namespace sluice::lb {

using SipKey = std::array<uint8_t, 16>;

// SipHash-2-4 (Aumasson and Bernstein, 2012): a keyed 64-bit hash of short strings, for the control path. Vectors of
// the paper's appendix A are in the tests.
uint64_t SipHash24(const SipKey& key, std::string_view data);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_SIPHASH_H_
