#ifndef SLUICE_DATAPLANE_LB_AES128_H_
#define SLUICE_DATAPLANE_LB_AES128_H_

#include <array>
#include <cstddef>

#include "dataplane/lb/aes_round.h"

namespace sluice::lb {

// AES-128 (FIPS 197): the key with its schedule, of which no round lies in two cache lines.
class alignas(sizeof(AesBlock)) Aes128Key {
 public:
  static constexpr int kRounds = 10;
  explicit Aes128Key(const AesBlock& key);
  // 0 to kRounds.
  const AesBlock& round_key(int round) const { return schedule_[static_cast<size_t>(round)]; }

 private:
  std::array<AesBlock, kRounds + 1> schedule_;
};

// The definition, for CPUs without AES instructions. Its tables of bytes make its time depend on the data a little.
AesBlock Aes128EncryptPortable(const Aes128Key& key, const AesBlock& block);
AesBlock Aes128DecryptPortable(const Aes128Key& key, const AesBlock& block);

// With the CPU's instructions where it has them, in constant time; else as above.
AesBlock Aes128Encrypt(const Aes128Key& key, const AesBlock& block);
AesBlock Aes128Decrypt(const Aes128Key& key, const AesBlock& block);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_AES128_H_
