#include "dataplane/lb/quic_lb.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "tests/support/oracle_vectors.h"

namespace sluice::lb {
namespace {

constexpr AesBlock kKey = {0xfd, 0xf7, 0x26, 0xa9, 0x89, 0x3e, 0xc0, 0x5c,
                           0x06, 0x32, 0xd3, 0x95, 0x66, 0x80, 0xba, 0xf0};

QuicServerId ServerId(const uint8_t* bytes, uint8_t length) {
  QuicServerId id;
  id.length = length;
  std::memcpy(id.bytes.data(), bytes, length);
  return id;
}

QuicLbConfig ConfigOf(const oracle::QuicIdVector& v) {
  QuicLbConfig config{.server_id_length = v.server_id_length, .nonce_length = v.nonce_length, .key = {}};
  if (v.encrypted) config.key.emplace(v.key);
  return config;
}

// Of the draft: server id 31441a, nonce 9c69c275.
TEST(QuicLbTest, PublishedFourPassVector) {
  const std::array<uint8_t, 8> published = {0x07, 0x67, 0x94, 0x7d, 0x29, 0xbe, 0x05, 0x4a};
  const std::array<uint8_t, 3> server = {0x31, 0x44, 0x1a};
  const std::array<uint8_t, 4> nonce = {0x9c, 0x69, 0xc2, 0x75};
  const QuicLbConfig config{.server_id_length = 3, .nonce_length = 4, .key = Aes128Key(kKey)};
  const auto id = EncodeQuicConnectionId(config, 0, 7, ServerId(server.data(), 3), nonce.data());
  EXPECT_TRUE(std::equal(published.begin(), published.end(), id.begin()));
  QuicLbConfigs configs;
  configs.Set(0, config);
  EXPECT_EQ(DecodeQuicServerId(configs, published.data(), published.size()), ServerId(server.data(), 3));
}

TEST(QuicLbTest, AgreesWithTheOracleForAllLengths) {
  size_t plain = 0;
  size_t single_pass = 0;
  size_t four_pass = 0;
  for (const oracle::QuicIdVector& v : oracle::kQuicId) {
    const QuicLbConfig config = ConfigOf(v);
    ASSERT_EQ(DescribeQuicLbError(config), "");
    const QuicServerId server = ServerId(v.server_id.data(), v.server_id_length);
    const auto id =
        EncodeQuicConnectionId(config, v.config, static_cast<uint8_t>(config.body_length()), server, v.nonce.data());
    EXPECT_EQ(id, v.id);
    QuicLbConfigs configs;
    configs.Set(v.config, config);
    EXPECT_EQ(DecodeQuicServerId(configs, v.id.data(), config.id_length()), server);
    ++(!v.encrypted ? plain : config.body_length() == 16 ? single_pass : four_pass);
  }
  EXPECT_GT(plain, 5u);
  EXPECT_GT(single_pass, 5u);
  EXPECT_GT(four_pass, 20u);
}

TEST(QuicLbTest, TheFirstOctetSaysWhichConfiguration) {
  const std::array<uint8_t, 2> server = {0xab, 0xcd};
  const std::array<uint8_t, 14> nonce = {1, 2, 3};
  const QuicLbConfig old{.server_id_length = 2, .nonce_length = 6, .key = {}};
  const QuicLbConfig now{.server_id_length = 2, .nonce_length = 14, .key = Aes128Key(kKey)};
  QuicLbConfigs configs;
  EXPECT_TRUE(configs.empty());
  configs.Set(1, old);
  configs.Set(6, now);
  const QuicServerId wanted = ServerId(server.data(), 2);
  // The lower bits do not matter.
  for (const uint8_t low_bits : std::array<uint8_t, 3>{0, 8, 31}) {
    const auto first = EncodeQuicConnectionId(old, 1, low_bits, wanted, nonce.data());
    const auto second = EncodeQuicConnectionId(now, 6, low_bits, wanted, nonce.data());
    EXPECT_EQ(DecodeQuicServerId(configs, first.data(), first.size()), wanted);
    EXPECT_EQ(DecodeQuicServerId(configs, second.data(), second.size()), wanted);
  }
  const auto id = EncodeQuicConnectionId(old, 1, 0, wanted, nonce.data());
  configs.Remove(1);
  EXPECT_FALSE(configs.empty());
  EXPECT_FALSE(DecodeQuicServerId(configs, id.data(), id.size()));
}

TEST(QuicLbTest, WhatNamesNoConfigurationOrIsCutIsNone) {
  QuicLbConfigs configs;
  const QuicLbConfig config{.server_id_length = 1, .nonce_length = 4, .key = {}};
  for (uint8_t number = 0; number < kQuicLbConfigs; ++number) configs.Set(number, config);
  // 0b111: the server could not make an id that is routed.
  const std::array<uint8_t, 20> unroutable = {0xe5, 1, 2, 3, 4, 5};
  EXPECT_FALSE(DecodeQuicServerId(configs, unroutable.data(), unroutable.size()));
  // Of exactly as many bytes as are there, so that a sanitizer sees a read beyond them.
  for (size_t size = 0; size <= 8; ++size) {
    std::vector<uint8_t> id(size, 0x20);
    EXPECT_EQ(DecodeQuicServerId(configs, id.data(), id.size()).has_value(), size >= config.id_length()) << size;
  }
}

TEST(QuicLbTest, LengthsAreBound) {
  const auto error = [](uint8_t server, uint8_t nonce) {
    return DescribeQuicLbError({.server_id_length = server, .nonce_length = nonce, .key = {}});
  };
  EXPECT_EQ(error(1, 4), "");
  EXPECT_EQ(error(15, 4), "");
  EXPECT_EQ(error(1, 18), "");
  EXPECT_NE(error(0, 8), "");
  EXPECT_NE(error(16, 4), "");
  EXPECT_NE(error(8, 3), "");
  EXPECT_NE(error(8, 12), "");
  EXPECT_NE(error(255, 255), "");
}

}  // namespace
}  // namespace sluice::lb
