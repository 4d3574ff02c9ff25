#include "dataplane/lb/aes128.h"

namespace sluice::lb {
namespace {

// FIPS 197, figure 11: powers of x.
constexpr std::array<uint8_t, Aes128Key::kRounds> kRoundConstants = {0x01, 0x02, 0x04, 0x08, 0x10,
                                                                     0x20, 0x40, 0x80, 0x1b, 0x36};

AesBlock Xor(const AesBlock& a, const AesBlock& b) {
  AesBlock out;
  for (size_t i = 0; i < out.size(); ++i) out[i] = a[i] ^ b[i];
  return out;
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

}  // namespace sluice::lb
