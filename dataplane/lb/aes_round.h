#ifndef SLUICE_DATAPLANE_LB_AES_ROUND_H_
#define SLUICE_DATAPLANE_LB_AES_ROUND_H_

#include <array>
#include <cstddef>
#include <cstdint>

namespace sluice::lb {

using AesBlock = std::array<uint8_t, 16>;

inline AesBlock Xor(const AesBlock& a, const AesBlock& b) {
  AesBlock out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = a[i] ^ b[i];
  return out;
}

// Multiplication by x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1.
constexpr uint8_t AesTimesX(uint8_t v) {
  return static_cast<uint8_t>(static_cast<unsigned>(v) << 1 ^ ((v & 0x80) != 0 ? 0x11bu : 0u));
}

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
