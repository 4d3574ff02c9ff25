#include "dataplane/lb/aes128.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <random>

namespace sluice::lb {
namespace {

// FIPS 197, appendix C.1, both ways.
TEST(Aes128Test, PublishedVector) {
  AesBlock key;
  AesBlock plain;
  for (size_t i = 0; i < 16; ++i) {
    key[i] = static_cast<uint8_t>(i);
    plain[i] = static_cast<uint8_t>(0x11 * i);
  }
  const AesBlock cipher = {0x69, 0xc4, 0xe0, 0xd8, 0x6a, 0x7b, 0x04, 0x30,
                           0xd8, 0xcd, 0xb7, 0x80, 0x70, 0xb4, 0xc5, 0x5a};
  EXPECT_EQ(Aes128EncryptPortable(Aes128Key(key), plain), cipher);
  EXPECT_EQ(Aes128DecryptPortable(Aes128Key(key), cipher), plain);
  EXPECT_EQ(Aes128Decrypt(Aes128Key(key), cipher), plain);
  EXPECT_EQ(Aes128Encrypt(Aes128Key(key), plain), cipher);
}

TEST(Aes128Test, BothVariantsAreEqualAndUndoEncryption) {
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    AesBlock key;
    AesBlock block;
    for (uint8_t& byte : key) byte = static_cast<uint8_t>(random());
    for (uint8_t& byte : block) byte = static_cast<uint8_t>(random());
    const Aes128Key schedule(key);
    EXPECT_EQ(Aes128Encrypt(schedule, block), Aes128EncryptPortable(schedule, block));
    EXPECT_EQ(Aes128Decrypt(schedule, block), Aes128DecryptPortable(schedule, block));
    EXPECT_EQ(Aes128Decrypt(schedule, Aes128Encrypt(schedule, block)), block);
  }
}

}  // namespace
}  // namespace sluice::lb
