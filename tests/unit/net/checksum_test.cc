#include "dataplane/net/checksum.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

namespace sluice::net {
namespace {

// The plainest possible reading of RFC 1071, in network byte order, as the reference.
uint16_t ReferenceChecksum(const std::vector<uint8_t>& data) {
  uint64_t sum = 0;
  for (size_t i = 0; i < data.size(); i += 2) {
    sum += static_cast<uint64_t>(data[i]) << 8 | (i + 1 < data.size() ? data[i + 1] : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

TEST(ChecksumTest, AgreesWithTheReferenceOnRandomInput) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<uint8_t> data(random() % 200);
    for (auto& byte : data) byte = static_cast<uint8_t>(random());
    EXPECT_EQ(__builtin_bswap16(InternetChecksum(data.data(), data.size())), ReferenceChecksum(data));
  }
}

TEST(ChecksumTest, FoldsTheLargestSums) {
  const std::vector<uint8_t> data(65535, 0xff);
  EXPECT_EQ(__builtin_bswap16(InternetChecksum(data.data(), data.size())), ReferenceChecksum(data));
}

TEST(ChecksumTest, ExampleOfAnIpv4Header) {
  // RFC 1071 gives no IPv4 header; this one was summed by hand: 4500 0073 0000 4000 4011 c0a8 0001 c0a8 00c7 -> b861.
  std::vector<uint8_t> header = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                                 0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
  EXPECT_TRUE(ChecksumIsValid(header.data(), header.size()));
  header[8] = 0x3f;
  EXPECT_FALSE(ChecksumIsValid(header.data(), header.size()));
}

TEST(ChecksumTest, IncrementalUpdateEqualsRecomputation) {
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    std::vector<uint8_t> header(20);
    for (auto& byte : header) byte = static_cast<uint8_t>(random());
    const uint16_t before = InternetChecksum(header.data(), header.size());
    const size_t at = random() % 10 * 2;
    uint16_t old_word = 0;
    std::memcpy(&old_word, header.data() + at, 2);
    const auto new_word = static_cast<uint16_t>(random());
    std::memcpy(header.data() + at, &new_word, 2);
    const uint16_t expected = InternetChecksum(header.data(), header.size());
    const uint16_t updated = UpdateChecksum(before, old_word, new_word);
    // 0 and 0xffff are the same number in ones' complement; real headers are never all zero, so both verify.
    EXPECT_TRUE(updated == expected || (updated ^ expected) == 0xffff) << at;
  }
}

}  // namespace
}  // namespace sluice::net
