#include "dataplane/lb/flow_hash.h"

#include <gtest/gtest.h>
#include <immintrin.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "dataplane/lb/aes_round.h"
#include "dataplane/lb/siphash.h"

namespace sluice::lb {
namespace {

Seed CountingSeed() {
  Seed seed{};
  for (size_t i = 0; i < seed.size(); ++i) seed[i] = static_cast<uint8_t>(i);
  return seed;
}

// Appendix A of the SipHash paper, and the empty string and eight bytes of its reference vectors.
TEST(SipHashTest, PublishedVectors) {
  std::string data;
  for (char c = 0; c < 15; ++c) data += c;
  EXPECT_EQ(SipHash24(CountingSeed(), data), 0xa129ca6149be45e5u);
  EXPECT_EQ(SipHash24(CountingSeed(), ""), 0x726fdb47dd0e0e31u);
  EXPECT_EQ(SipHash24(CountingSeed(), data.substr(0, 8)), 0x93f5f5799a932462u);
}

AesBlock FromHex(const char* hex) {
  AesBlock block;
  for (size_t i = 0; i < 16; ++i) {
    block[i] = static_cast<uint8_t>(std::stoi(std::string(hex + 2 * i, 2), nullptr, 16));
  }
  return block;
}

// FIPS 197, appendix B: the state after AddRoundKey of round 1 is the start of round 2.
TEST(AesRoundTest, Fips197Example) {
  EXPECT_EQ(AesRoundPortable(FromHex("193de3bea0f4e22b9ac68d2ae9f84808"), FromHex("a0fafe1788542cb123a339392a6c7605")),
            FromHex("a49c7ff2689f352b6b5bea43026a5049"));
}

__attribute__((target("aes,sse2"))) AesBlock Hardware(const AesBlock& state, const AesBlock& key) {
  const __m128i s = _mm_loadu_si128(reinterpret_cast<const __m128i*>(state.data()));
  const __m128i k = _mm_loadu_si128(reinterpret_cast<const __m128i*>(key.data()));
  AesBlock out;
  _mm_storeu_si128(reinterpret_cast<__m128i*>(out.data()), _mm_aesenc_si128(s, k));
  return out;
}

TEST(AesRoundTest, EqualsTheInstruction) {
  ASSERT_TRUE(CpuHasAes()) << "this machine has no AESENC to compare with";
  std::mt19937 random(4);
  for (int round = 0; round < 1000; ++round) {
    AesBlock state;
    AesBlock key;
    for (auto& b : state) b = static_cast<uint8_t>(random());
    for (auto& b : key) b = static_cast<uint8_t>(random());
    EXPECT_EQ(AesRoundPortable(state, key), Hardware(state, key));
  }
}

struct RandomFlow {
  std::array<uint8_t, 16> source{};
  std::array<uint8_t, 16> destination{};
  FlowTuple tuple(net::Family family, uint16_t source_port) const {
    return {.source = source.data(),
            .destination = destination.data(),
            .source_port = Be16::FromHost(source_port),
            .destination_port = Be16::FromHost(443),
            .protocol = 6,
            .family = family};
  }
};

TEST(FlowHashTest, FastAndPortableAgree) {
  const HashKeys keys(CountingSeed());
  std::mt19937 random(5);
  for (int round = 0; round < 1000; ++round) {
    RandomFlow flow;
    for (auto& b : flow.source) b = static_cast<uint8_t>(random());
    for (auto& b : flow.destination) b = static_cast<uint8_t>(random());
    const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
    const FlowTuple tuple = flow.tuple(family, static_cast<uint16_t>(random()));
    uint64_t fast = 0;
    FlowHashes(keys, &tuple, 1, &fast);
    EXPECT_EQ(fast, FlowHashPortable(keys, tuple));
  }
}

TEST(FlowHashTest, EveryInputBitMatters) {
  const HashKeys keys(CountingSeed());
  for (const auto family : {net::Family::kIpv4, net::Family::kIpv6}) {
    RandomFlow base;
    const uint64_t reference = FlowHashPortable(keys, base.tuple(family, 1000));
    const size_t bits = family == net::Family::kIpv4 ? 32 : 128;
    double flipped = 0;
    for (size_t bit = 0; bit < bits; ++bit) {
      RandomFlow changed = base;
      changed.source[bit / 8] = static_cast<uint8_t>(1u << (bit % 8));
      const uint64_t hash = FlowHashPortable(keys, changed.tuple(family, 1000));
      EXPECT_NE(hash, reference);
      flipped += std::popcount(hash ^ reference);
    }
    // Half of the 64 output bits on average.
    EXPECT_NEAR(flipped / static_cast<double>(bits), 32.0, 2.5);
    FlowTuple other = base.tuple(family, 1000);
    other.protocol = 17;
    EXPECT_NE(FlowHashPortable(keys, other), reference);
    other = base.tuple(family, 1000);
    other.destination_port = Be16::FromHost(444);
    EXPECT_NE(FlowHashPortable(keys, other), reference);
  }
}

TEST(FlowHashTest, SpreadsSequentialPortsEvenlyOverSlotsAndBuckets) {
  const HashKeys keys(CountingSeed());
  constexpr uint32_t kBins = 64;
  std::vector<double> upper(kBins);
  std::vector<double> lower(kBins);
  RandomFlow flow;
  constexpr int kFlows = 64000;
  for (int i = 0; i < kFlows; ++i) {
    const uint64_t hash = FlowHashPortable(keys, flow.tuple(net::Family::kIpv4, static_cast<uint16_t>(i)));
    ++upper[SlotOf(hash, kBins)];
    ++lower[SlotOf(hash << 32, kBins)];
  }
  for (const auto& bins : {upper, lower}) {
    double chi_square = 0;
    for (const double n : bins) chi_square += (n - 1000.0) * (n - 1000.0) / 1000.0;
    // 63 degrees of freedom: 120 has a probability below 1e-5.
    EXPECT_LT(chi_square, 120.0);
  }
}

TEST(FlowHashTest, DependsOnTheSeed) {
  Seed other = CountingSeed();
  other[15] = 0;
  const RandomFlow flow;
  const FlowTuple tuple = flow.tuple(net::Family::kIpv4, 1);
  EXPECT_NE(FlowHashPortable(HashKeys(CountingSeed()), tuple), FlowHashPortable(HashKeys(other), tuple));
}

}  // namespace
}  // namespace sluice::lb
