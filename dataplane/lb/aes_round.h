#ifndef SLUICE_DATAPLANE_LB_AES_ROUND_H_
#define SLUICE_DATAPLANE_LB_AES_ROUND_H_

#include <array>
#include <cstdint>

namespace sluice::lb {

using AesBlock = std::array<uint8_t, 16>;

// One AES encryption round without tables of the instruction set: SubBytes, ShiftRows, MixColumns, AddRoundKey
// (FIPS 197, section 5.1), equal to the AESENC instruction. For CPUs without it and as the definition.
AesBlock AesRoundPortable(const AesBlock& state, const AesBlock& round_key);

// The last round, which leaves MixColumns out: AESENCLAST.
AesBlock AesLastRoundPortable(const AesBlock& state, const AesBlock& round_key);
// SubBytes of one byte.
uint8_t AesSubstitute(uint8_t byte);

// True when the CPU has AESENC; asked once.
bool CpuHasAes();

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_AES_ROUND_H_
