#include "dataplane/lb/aes_round.h"

namespace sluice::lb {
namespace {

constexpr uint8_t Multiply(uint8_t a, uint8_t b) {
  uint8_t product = 0;
  for (; b != 0; b = static_cast<uint8_t>(b >> 1)) {
    if ((b & 1) != 0) product = static_cast<uint8_t>(product ^ a);
    a = AesTimesX(a);
  }
  return product;
}

// FIPS 197, section 5.1.1: the inverse in GF(2^8), then an affine map.
constexpr std::array<uint8_t, 256> MakeSubstitution() {
  std::array<uint8_t, 256> box{};
  for (unsigned v = 0; v < 256; ++v) {
    // v^254 is the inverse (and 0 for 0).
    uint8_t inverse = 1;
    for (int i = 0; i < 254; ++i) inverse = Multiply(inverse, static_cast<uint8_t>(v));
    if (v == 0) inverse = 0;
    unsigned out = 0x63;
    const unsigned wide = inverse;
    for (unsigned shift = 0; shift < 5; ++shift) out ^= (wide << shift | wide >> (8 - shift)) & 0xffu;
    box[v] = static_cast<uint8_t>(out);
  }
  return box;
}

const std::array<uint8_t, 256> kSubstitution = MakeSubstitution();

}  // namespace

AesBlock AesRoundPortable(const AesBlock& state, const AesBlock& round_key) {
  AesBlock shifted;
  // Byte i is row i % 4 of column i / 4; row r moves left by r columns.
  for (unsigned i = 0; i < 16; ++i) shifted[i] = kSubstitution[state[(i + 4 * (i % 4)) % 16]];
  AesBlock out;
  for (unsigned column = 0; column < 16; column += 4) {
    const uint8_t* a = shifted.data() + column;
    for (unsigned row = 0; row < 4; ++row) {
      const uint8_t a0 = a[row];
      const uint8_t a1 = a[(row + 1) % 4];
      const uint8_t a2 = a[(row + 2) % 4];
      const uint8_t a3 = a[(row + 3) % 4];
      out[column + row] = static_cast<uint8_t>(AesTimesX(a0) ^ AesTimesX(a1) ^ a1 ^ a2 ^ a3 ^ round_key[column + row]);
    }
  }
  return out;
}

AesBlock AesLastRoundPortable(const AesBlock& state, const AesBlock& round_key) {
  AesBlock out;
  for (unsigned i = 0; i < 16; ++i) {
    out[i] = static_cast<uint8_t>(kSubstitution[state[(i + 4 * (i % 4)) % 16]] ^ round_key[i]);
  }
  return out;
}

uint8_t AesSubstitute(uint8_t byte) { return kSubstitution[byte]; }

bool CpuHasAes() {
  static const bool has = __builtin_cpu_supports("aes") != 0;
  return has;
}

}  // namespace sluice::lb
