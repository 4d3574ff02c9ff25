#include "dataplane/net/checksum.h"

#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using test::Bytes;
using test::PlainChecksum;

TEST(ChecksumTest, AgreesWithTheReferenceOnRandomInput) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    Bytes data(random() % 200);
    for (auto& byte : data) byte = static_cast<uint8_t>(random());
    EXPECT_EQ(__builtin_bswap16(InternetChecksum(data.data(), data.size())), PlainChecksum(data));
  }
}

TEST(ChecksumTest, FoldsTheLargestSums) {
  const Bytes data(65535, 0xff);
  EXPECT_EQ(__builtin_bswap16(InternetChecksum(data.data(), data.size())), PlainChecksum(data));
}

TEST(ChecksumTest, FoldIsTheRemainderWithAllOnesForZero) {
  std::mt19937 random(2);
  EXPECT_EQ(FoldSum(0), 0);
  for (const uint32_t sum :
       {1u, 0xfffeu, 0xffffu, 0x10000u, 0x1ffffu, 0x1fffeu, 0xffff0000u, 0xfffffffeu, 0xffffffffu}) {
    EXPECT_EQ(FoldSum(sum), (sum - 1) % 0xffff + 1) << sum;
  }
  for (int round = 0; round < 10000; ++round) {
    const auto sum = static_cast<uint32_t>(random() | 1);
    ASSERT_EQ(FoldSum(sum), (sum - 1) % 0xffff + 1) << sum;
  }
}

TEST(ChecksumTest, ExampleOfAnIpv4Header) {
  // RFC 1071 gives no IPv4 header; this one was summed by hand: 4500 0073 0000 4000 4011 c0a8 0001 c0a8 00c7 -> b861.
  Bytes header = {0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11,
                  0xb8, 0x61, 0xc0, 0xa8, 0x00, 0x01, 0xc0, 0xa8, 0x00, 0xc7};
  EXPECT_TRUE(ChecksumIsValid(header.data(), header.size()));
  header[8] = 0x3f;
  EXPECT_FALSE(ChecksumIsValid(header.data(), header.size()));
}

TEST(ChecksumTest, IncrementalUpdateEqualsRecomputation) {
  std::mt19937 random(2);
  for (int round = 0; round < 20000; ++round) {
    Bytes header(20);
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

// Random replacements at any offset and of any length, collected in one difference.
TEST(ChecksumTest, DeltaEqualsRecomputation) {
  std::mt19937 random(3);
  const auto fill = [&random](uint8_t* at, size_t size) {
    for (size_t i = 0; i < size; ++i) at[i] = static_cast<uint8_t>(random());
  };
  for (int round = 0; round < 20000; ++round) {
    Bytes data(120);
    fill(data.data(), data.size());
    data[0] |= 1;
    const uint16_t before = InternetChecksum(data.data(), data.size());
    ChecksumDelta delta;
    const size_t size = random() % 40;
    const size_t at = 1 + random() % (data.size() - size);
    delta.Remove(PartialSum(data.data() + at, size));
    fill(data.data() + at, size);
    delta.Add(PartialSum(data.data() + at, size));
    if (at % 2 != 0) delta = delta.AtOddOffset();
    uint8_t addresses[16];
    fill(addresses, sizeof(addresses));
    delta.Replace(&data[4], addresses, sizeof(addresses));
    std::memcpy(&data[4], addresses, sizeof(addresses));
    ASSERT_EQ(delta.Apply(before), InternetChecksum(data.data(), data.size())) << at << " " << size;
  }
}

// Four words at once are two and two, also where these carry or come to nothing.
TEST(ChecksumTest, WordsCountTheSameInAnyNumber) {
  std::mt19937_64 random(4);
  const auto draw = [&random] {
    uint64_t words = random();
    for (int i = 0; i < 4; ++i) {
      const uint64_t word = uint64_t{0xffff} << 16 * i;
      if (random() % 3 == 0) words |= word;
      if (random() % 3 == 0) words &= ~word;
    }
    return words;
  };
  for (int round = 0; round < 20000; ++round) {
    const uint64_t before = draw();
    const uint64_t after = random() % 8 == 0 ? before : draw();
    const auto checksum = static_cast<uint16_t>(draw());
    const auto added = static_cast<uint32_t>(random() % 0x1'0000);
    ChecksumDelta four, two, one;
    four.Replace(before, after);
    for (int i = 0; i < 64; i += 32) two.Replace(static_cast<uint32_t>(before >> i), static_cast<uint32_t>(after >> i));
    for (int i = 0; i < 64; i += 16) one.Replace(static_cast<uint16_t>(before >> i), static_cast<uint16_t>(after >> i));
    ASSERT_EQ(four.Apply(checksum), one.Apply(checksum)) << before << " " << after;
    ASSERT_EQ(two.Apply(checksum), one.Apply(checksum)) << before << " " << after;
    one.Add(added);
    ASSERT_EQ(four.Apply(checksum, added), one.Apply(checksum)) << before << " " << after;
    four.Replace(static_cast<uint32_t>(after), static_cast<uint32_t>(before));
    four.Add(added);
    one.Replace(static_cast<uint32_t>(after), static_cast<uint32_t>(before));
    ASSERT_EQ(four.Apply(checksum), one.Apply(checksum)) << before << " " << after;
  }
}

TEST(ChecksumTest, UdpZeroMeansNoneAndIsNeverComputed) {
  uint8_t udp[8] = {};
  ChecksumDelta delta;
  delta.Replace(uint16_t{1}, uint16_t{2});
  delta.ApplyToL4(17, udp);
  EXPECT_EQ(udp[6], 0);
  EXPECT_EQ(udp[7], 0);
  // ~(~0x0001 + 0x0001) is zero.
  udp[6] = 1;
  ChecksumDelta to_zero;
  to_zero.Replace(uint16_t{0}, uint16_t{1});
  to_zero.ApplyToL4(17, udp);
  EXPECT_EQ(udp[6], 0xff);
  EXPECT_EQ(udp[7], 0xff);
  EXPECT_EQ(to_zero.Apply(1), 0);
}

}  // namespace
}  // namespace sluice::net
