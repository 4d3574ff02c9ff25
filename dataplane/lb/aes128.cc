#include "dataplane/lb/aes128.h"

#include <immintrin.h>

namespace sluice::lb {
namespace {

// FIPS 197, figure 11: powers of x.
constexpr std::array<uint8_t, Aes128Key::kRounds> kRoundConstants = {0x01, 0x02, 0x04, 0x08, 0x10,
                                                                     0x20, 0x40, 0x80, 0x1b, 0x36};

std::array<uint8_t, 256> MakeInverse() {
  std::array<uint8_t, 256> inverse{};
  for (size_t byte = 0; byte < inverse.size(); ++byte) {
    inverse[AesSubstitute(static_cast<uint8_t>(byte))] = static_cast<uint8_t>(byte);
  }
  return inverse;
}

// FIPS 197, sections 5.3.1 and 5.3.2: InvShiftRows and InvSubBytes.
AesBlock ShiftBackAndSubstitute(const AesBlock& in) {
  static const std::array<uint8_t, 256> kInverse = MakeInverse();
  AesBlock out;
  for (size_t column = 0; column < 4; ++column) {
    for (size_t row = 0; row < 4; ++row) out[4 * ((column + row) % 4) + row] = kInverse[in[4 * column + row]];
  }
  return out;
}

// Section 5.3.3. InvMixColumns is MixColumns after adding 4 times the sums of bytes two apart, which is cheaper than
// four products for each byte.
AesBlock MixColumnsBack(const AesBlock& in) {
  AesBlock out;
  for (size_t c = 0; c < in.size(); c += 4) {
    std::array<uint8_t, 4> a{};
    for (size_t i = 0; i < 4; ++i) {
      a[i] = in[c + i] ^ AesTimesX(AesTimesX(static_cast<uint8_t>(in[c + i] ^ in[c + (i + 2) % 4])));
    }
    const auto all = static_cast<uint8_t>(a[0] ^ a[1] ^ a[2] ^ a[3]);
    for (size_t i = 0; i < 4; ++i) {
      out[c + i] = a[i] ^ all ^ AesTimesX(static_cast<uint8_t>(a[i] ^ a[(i + 1) % 4]));
    }
  }
  return out;
}

__attribute__((target("aes,sse4.1"))) inline __m128i Load(const AesBlock& block) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(block.data()));
}

__attribute__((target("aes,sse4.1"))) inline AesBlock Store(__m128i state) {
  AesBlock out;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.data()), state);
  return out;
}

__attribute__((target("aes,sse4.1"))) AesBlock EncryptAesNi(const Aes128Key& key, const AesBlock& block) {
  __m128i state = _mm_xor_si128(Load(block), Load(key.round_key(0)));
  for (int round = 1; round < Aes128Key::kRounds; ++round) state = _mm_aesenc_si128(state, Load(key.round_key(round)));
  return Store(_mm_aesenclast_si128(state, Load(key.round_key(Aes128Key::kRounds))));
}

// AESDEC is a round of the equivalent inverse cipher (section 5.3.5), whose round keys go through InvMixColumns.
__attribute__((target("aes,sse4.1"))) AesBlock DecryptAesNi(const Aes128Key& key, const AesBlock& block) {
  __m128i state = _mm_xor_si128(Load(block), Load(key.round_key(Aes128Key::kRounds)));
  for (int round = Aes128Key::kRounds - 1; round > 0; --round) {
    state = _mm_aesdec_si128(state, _mm_aesimc_si128(Load(key.round_key(round))));
  }
  return Store(_mm_aesdeclast_si128(state, Load(key.round_key(0))));
}

}  // namespace

Aes128Key::Aes128Key(const AesBlock& key) {
  schedule_[0] = key;
  for (size_t round = 1; round < schedule_.size(); ++round) {
    const AesBlock& before = schedule_[round - 1];
    AesBlock& now = schedule_[round];
    for (size_t i = 0; i < 4; ++i) {
      // The last word, rotated by a byte and substituted.
      const uint8_t mixed = AesSubstitute(before[12 + (i + 1) % 4]);
      now[i] = static_cast<uint8_t>(before[i] ^ mixed ^ (i == 0 ? kRoundConstants[round - 1] : 0));
    }
    for (size_t i = 4; i < 16; ++i) now[i] = before[i] ^ now[i - 4];
  }
}

AesBlock Aes128EncryptPortable(const Aes128Key& key, const AesBlock& block) {
  AesBlock state = Xor(block, key.round_key(0));
  for (int round = 1; round < Aes128Key::kRounds; ++round) state = AesRoundPortable(state, key.round_key(round));
  return AesLastRoundPortable(state, key.round_key(Aes128Key::kRounds));
}

AesBlock Aes128DecryptPortable(const Aes128Key& key, const AesBlock& block) {
  AesBlock state = Xor(block, key.round_key(Aes128Key::kRounds));
  for (int round = Aes128Key::kRounds - 1; round > 0; --round) {
    state = MixColumnsBack(Xor(ShiftBackAndSubstitute(state), key.round_key(round)));
  }
  return Xor(ShiftBackAndSubstitute(state), key.round_key(0));
}

AesBlock Aes128Encrypt(const Aes128Key& key, const AesBlock& block) {
  return CpuHasAes() ? EncryptAesNi(key, block) : Aes128EncryptPortable(key, block);
}

AesBlock Aes128Decrypt(const Aes128Key& key, const AesBlock& block) {
  return CpuHasAes() ? DecryptAesNi(key, block) : Aes128DecryptPortable(key, block);
}

}  // namespace sluice::lb
