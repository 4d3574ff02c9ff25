#include "dataplane/lb/cookie.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <random>
#include <set>
#include <vector>

#include "dataplane/lb/binary_field.h"
#include "tests/support/cookie_halves.h"
#include "tests/support/oracle_vectors.h"

namespace sluice::lb {
namespace {

using testing::HasSubstr;

constexpr AesBlock kSecret = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
constexpr AesBlock kOtherSecret = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17};

// A client's flow to a VIP; `number` makes the client's address and port.
struct Flow {
  explicit Flow(uint32_t number, net::Family f = net::Family::kIpv4) : family(f) {
    for (size_t i = 0; i < 4; ++i) client[i] = static_cast<uint8_t>(number >> (8 * i));
    port = static_cast<uint16_t>(number * 31);
  }
  FlowTuple tuple() const {
    return {.source = client.data(),
            .destination = vip.data(),
            .source_port = Be16::FromHost(port),
            .destination_port = Be16::FromHost(443),
            .protocol = 6,
            .family = family};
  }
  net::Family family;
  std::array<uint8_t, 16> client{};
  std::array<uint8_t, 16> vip = {203, 0, 113, 10};
  uint16_t port = 0;
};

CookieKeys OneKey() {
  CookieKeys keys;
  keys.Set(0, kSecret);
  return keys;
}

TEST(BinaryFieldTest, PolynomialsAreTheOracles) {
  for (int bits = kMinFieldBits; bits <= kMaxFieldBits; ++bits) {
    const uint32_t polynomial = kFieldPolynomial[static_cast<size_t>(bits)];
    EXPECT_EQ(polynomial, oracle::kFieldPolynomials[static_cast<size_t>(bits - kMinFieldBits)]);
    // The product by carry-less instructions folds twice, which is enough as long as this holds.
    const int degree = 31 - __builtin_clz(polynomial);
    EXPECT_LT(2 * degree - 2, bits);
  }
}

TEST(BinaryFieldTest, Inverses) {
  static_assert(FieldMultiply(8, 0x57, 0x83) == 0xc1);  // FIPS 197, section 4.2
  for (int bits = kMinFieldBits; bits <= kMaxFieldBits; ++bits) {
    for (const uint32_t a : {1u, 2u, 3u, (1u << bits) - 1}) {
      EXPECT_EQ(FieldMultiply(bits, a, FieldInverse(bits, a)), 1u) << bits << " bits, " << a;
    }
  }
  for (uint32_t a = 1; a < 1024; ++a) EXPECT_EQ(FieldMultiply(10, a, FieldInverse(10, a)), 1u);
}

TEST(CookieTest, RoundTripInAllLayouts) {
  std::mt19937 random(6);
  for (uint32_t round = 0; round < 4000; ++round) {
    CookieLayout layout = {.key_bits = static_cast<uint8_t>(1 + random() % 3),
                           .tier_bits = static_cast<uint8_t>(random() % 6),
                           .backend_bits = static_cast<uint8_t>(2 + random() % 9),
                           .check_bits = static_cast<uint8_t>(random() % 7)};
    ASSERT_LE(layout.bits(), kMaxCookieBits);
    const uint32_t number = static_cast<uint32_t>(random()) & ((1u << layout.key_bits) - 1);
    CookieKeys keys;
    keys.Set(number, kSecret);
    const CookieFields fields = {.tier = static_cast<uint32_t>(random()) & ((1u << layout.tier_bits) - 1),
                                 .backend = static_cast<uint32_t>(random()) & ((1u << layout.backend_bits) - 1)};
    const Flow flow(round, round % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6);
    const uint32_t cookie = EncodeCookie(layout, keys, number, flow.tuple(), fields);
    EXPECT_EQ(cookie >> layout.bits(), 0u);
    EXPECT_EQ(DecodeCookie(layout, keys, flow.tuple(), cookie), fields);
    EXPECT_EQ(DecodeCookiePortable(layout, keys, flow.tuple(), cookie), fields);
  }
}

TEST(CookieTest, FastAndPortableAgreeOnEveryValue) {
  const CookieKeys keys = OneKey();
  const CookieLayout layout = {.key_bits = 1, .tier_bits = 2, .backend_bits = 7, .check_bits = 3};
  const CookieReader backend(layout, CookieReader::Id::kBackend, layout.backend_bits);
  const CookieReader tier(layout, CookieReader::Id::kTier, layout.tier_bits);
  ASSERT_TRUE(test::CpuReadsInHalves());
  for (const auto family : {net::Family::kIpv4, net::Family::kIpv6}) {
    for (uint32_t number = 0; number < 8; ++number) {
      const Flow flow(number, family);
      for (uint32_t cookie = 0; cookie < 1u << layout.bits(); ++cookie) {
        const auto said = DecodeCookiePortable(layout, keys, flow.tuple(), cookie);
        ASSERT_EQ(DecodeCookie(layout, keys, flow.tuple(), cookie), said);
        ASSERT_EQ(test::ReadInHalves(backend, keys, flow.tuple(), cookie),
                  said ? std::optional(said->backend) : std::nullopt);
        ASSERT_EQ(test::ReadInHalves(tier, keys, flow.tuple(), cookie),
                  said ? std::optional(said->tier) : std::nullopt);
      }
    }
  }
}

// What the fast path reads, of fields of every width that a layout can have, with keys that are there and are not, and
// with tables in which not every id has a place.
TEST(CookieTest, HalvesGiveWhatTheWholeGives) {
  ASSERT_TRUE(test::CpuReadsInHalves());
  CookieKeys keys;
  keys.Set(0, kSecret);
  keys.Set(3, kOtherSecret);
  std::mt19937 random(10);
  const auto draw = [&](uint32_t end) { return static_cast<uint32_t>(random() % end); };
  for (int width = kMinFieldBits; width < kMaxCookieBits; ++width) {
    int read = 0;
    for (int round = 0; round < 3000; ++round) {
      CookieLayout layout = {.key_bits = 1, .backend_bits = static_cast<uint8_t>(1 + draw(16)), .check_bits = 0};
      layout.tier_bits = static_cast<uint8_t>(draw(kMaxTierBits + 1));
      const int check_bits = width - layout.permuted_bits();
      if (check_bits < 0 || check_bits > kMaxCheckBits) continue;
      layout.check_bits = static_cast<uint8_t>(check_bits);
      layout.key_bits =
          static_cast<uint8_t>(1 + draw(static_cast<uint32_t>(std::min(kMaxKeyBits, kMaxCookieBits - width))));
      const bool of_tier = draw(2) == 0;
      const uint32_t table_bits = draw(17);
      const CookieReader reader(layout, of_tier ? CookieReader::Id::kTier : CookieReader::Id::kBackend, table_bits);
      const Flow flow(static_cast<uint32_t>(random()), draw(2) == 0 ? net::Family::kIpv4 : net::Family::kIpv6);
      auto cookie = static_cast<uint32_t>(random());
      if (draw(4) != 0) {
        const CookieFields fields = {.tier = draw(1u << layout.tier_bits), .backend = draw(1u << layout.backend_bits)};
        const uint32_t number = layout.key_bits > 1 && draw(2) == 0 ? 3 : 0;
        // Whatever the clock says.
        cookie = EncodeCookie(layout, keys, number, flow.tuple(), fields) | cookie >> layout.bits() << layout.bits();
      }
      const auto said = DecodeCookiePortable(layout, keys, flow.tuple(), cookie);
      std::optional<uint32_t> expected;
      if (said) expected = of_tier ? said->tier : said->backend;
      if (expected && *expected >> table_bits != 0) expected.reset();
      ASSERT_EQ(test::ReadInHalves(reader, keys, flow.tuple(), cookie), expected) << width << " bits";
      read += expected ? 1 : 0;
    }
    EXPECT_GT(read, 20) << width << " bits";
  }
}

TEST(CookieTest, EveryPartOfTheTupleCounts) {
  const CookieKeys keys = OneKey();
  const CookieLayout layout = {.backend_bits = 16};
  for (const auto family : {net::Family::kIpv4, net::Family::kIpv6}) {
    const Flow base(5, family);
    std::set<uint32_t> cookies;
    const auto add = [&](const FlowTuple& tuple) { cookies.insert(EncodeCookie(layout, keys, 0, tuple, {0, 1})); };
    add(base.tuple());
    size_t tuples = 1;
    for (size_t byte = 0; byte < (family == net::Family::kIpv4 ? 4u : 16u); ++byte, tuples += 2) {
      Flow other = base;
      other.client[byte] ^= 0x10;
      add(other.tuple());
      other = base;
      other.vip[byte] ^= 0x10;
      add(other.tuple());
    }
    FlowTuple tuple = base.tuple();
    tuple.source_port = Be16::FromHost(1);
    add(tuple);
    tuple = base.tuple();
    tuple.destination_port = Be16::FromHost(1);
    add(tuple);
    tuple = base.tuple();
    tuple.protocol = 17;
    add(tuple);
    // Of 65536 values two of 36 are the same with a chance of 1 %; these are not.
    EXPECT_EQ(cookies.size(), tuples + 3);
  }
}

// What a forger achieves who takes his own genuine cookie and changes it: the chance to pass is that of a guess, and
// where he lands is spread evenly.
TEST(CookieTest, ChangedCookiesPassByChanceOnly) {
  const CookieKeys keys = OneKey();
  for (const uint8_t check_bits : {uint8_t{0}, uint8_t{2}, uint8_t{4}, uint8_t{6}}) {
    const CookieLayout layout = {.backend_bits = 6, .check_bits = check_bits};
    const uint32_t values = 1u << layout.permuted_bits();
    constexpr uint32_t kFlows = 4000;
    // The same change for all flows, by exclusive or, as one that has a pattern in mind would do it.
    for (const uint32_t change : {1u, 1u << (layout.permuted_bits() - 1), values - 1}) {
      uint32_t passed = 0;
      std::array<uint32_t, 64> landed{};
      for (uint32_t number = 0; number < kFlows; ++number) {
        const Flow flow(number);
        const uint32_t cookie = EncodeCookie(layout, keys, 0, flow.tuple(), {0, 17});
        const auto fields = DecodeCookie(layout, keys, flow.tuple(), cookie ^ change);
        if (!fields) continue;
        ++passed;
        ++landed[fields->backend];
      }
      const double expected = kFlows * (values / static_cast<double>(1u << check_bits) - 1) / (values - 1);
      EXPECT_NEAR(passed, expected, 5 * std::sqrt(expected) + 1) << "check bits " << int{check_bits};
      // A changed cookie never names the same backend without check bits: the permutation is one to one.
      if (check_bits == 0) {
        EXPECT_EQ(landed[17], 0u);
      }
      for (uint32_t backend = 0; backend < 64; ++backend) {
        if (backend == 17) continue;
        EXPECT_NEAR(landed[backend], passed / 63.0, 6 * std::sqrt(passed / 63.0) + 2);
      }
    }
  }
}

TEST(CookieTest, GuessedCookiesPassByChanceOnly) {
  const CookieKeys keys = OneKey();
  const CookieLayout layout = {.backend_bits = 8, .check_bits = 5};
  std::mt19937 random(7);
  double passed = 0;
  constexpr int kGuesses = 100'000;
  for (int i = 0; i < kGuesses; ++i) {
    const Flow flow(static_cast<uint32_t>(random()));
    const uint32_t guess = static_cast<uint32_t>(random()) & ((1u << layout.permuted_bits()) - 1);
    if (DecodeCookie(layout, keys, flow.tuple(), guess)) ++passed;
  }
  EXPECT_NEAR(passed, kGuesses / 32.0, 5 * std::sqrt(kGuesses / 32.0));
}

TEST(CookieTest, TwoKeysDuringARotation) {
  const CookieLayout layout = {.backend_bits = 8, .check_bits = 8};
  CookieKeys keys;
  keys.Set(0, kSecret);
  keys.Set(1, kOtherSecret);
  const Flow flow(9);
  const uint32_t old_cookie = EncodeCookie(layout, keys, 0, flow.tuple(), {0, 3});
  const uint32_t new_cookie = EncodeCookie(layout, keys, 1, flow.tuple(), {0, 3});
  EXPECT_EQ(DecodeCookie(layout, keys, flow.tuple(), old_cookie), (CookieFields{0, 3}));
  EXPECT_EQ(DecodeCookie(layout, keys, flow.tuple(), new_cookie), (CookieFields{0, 3}));
  keys.Remove(0);
  EXPECT_EQ(DecodeCookie(layout, keys, flow.tuple(), old_cookie), std::nullopt);
  EXPECT_EQ(DecodeCookiePortable(layout, keys, flow.tuple(), old_cookie), std::nullopt);
  EXPECT_EQ(DecodeCookie(layout, keys, flow.tuple(), new_cookie), (CookieFields{0, 3}));
  // Another secret under the same number.
  keys.Set(1, kSecret);
  EXPECT_NE(DecodeCookie(layout, keys, flow.tuple(), new_cookie), (CookieFields{0, 3}));
}

TEST(CookieLayoutTest, WindowsAreThoseOfTheArithmetic) {
  // What simulation and live connections showed: 15 bits 65 s, 12 bits 524 s, 10 bits 35 minutes, 8 bits 2.3 hours.
  const auto window_s = [](uint8_t bits, uint8_t clock_bits) {
    const CookieLayout layout = {.backend_bits = static_cast<uint8_t>(bits - 1), .clock_bits = clock_bits};
    return layout.idle_window_ms() / 1000;
  };
  EXPECT_EQ(window_s(15, 0), 65u);
  EXPECT_EQ(window_s(12, 0), 524u);
  EXPECT_EQ(window_s(10, 0), 2097u);
  EXPECT_EQ(window_s(8, 0), 8388u);
  EXPECT_EQ(window_s(14, 6), 8388u);
}

// RFC 7323, section 5.3: a segment is dropped when its TSval is before the last one in serial arithmetic.
bool PawsDrops(uint32_t last, uint32_t now) { return static_cast<int32_t>(now - last) < 0; }

TEST(CookieLayoutTest, AClientTakesSegmentsWithinTheWindowAndNotBeyond) {
  std::mt19937 random(8);
  for (int round = 0; round < 20'000; ++round) {
    CookieLayout layout = {.backend_bits = static_cast<uint8_t>(2 + random() % 14),
                           .check_bits = static_cast<uint8_t>(random() % 5)};
    layout.clock_bits = static_cast<uint8_t>(random() % static_cast<uint32_t>(std::min(10, layout.bits()) + 1));
    const uint32_t cookie = static_cast<uint32_t>(random()) & ((1u << layout.bits()) - 1);
    const auto start = static_cast<uint32_t>(random());
    const uint64_t window = std::min<uint64_t>(layout.idle_window_ms(), 1u << 31);
    const uint32_t before = EncodeTimestamp(layout, start, cookie);
    // A tick less, since the clock on the wire may tick just before or after.
    const auto idle = static_cast<uint32_t>(random() % (window - layout.tick_ms()));
    EXPECT_FALSE(PawsDrops(before, EncodeTimestamp(layout, start + idle, cookie)));
    const auto too_long = static_cast<uint32_t>(window + layout.tick_ms());
    if (window < 1u << 31) {
      EXPECT_TRUE(PawsDrops(before, EncodeTimestamp(layout, start + too_long, cookie)));
    }
  }
}

TEST(CookieLayoutTest, TicksComeBack) {
  std::mt19937 random(9);
  for (int round = 0; round < 20'000; ++round) {
    CookieLayout layout = {.backend_bits = static_cast<uint8_t>(2 + random() % 14),
                           .check_bits = static_cast<uint8_t>(random() % 5)};
    layout.clock_bits = static_cast<uint8_t>(random() % static_cast<uint32_t>(std::min(10, layout.bits()) + 1));
    const auto latest = static_cast<uint32_t>(random());
    const uint64_t goes_round = uint64_t{1} << (32 - layout.bits() + layout.clock_bits);
    const auto age = static_cast<uint32_t>(random() % (goes_round - layout.tick_ms()));
    const uint32_t sent = latest - age;
    const uint32_t wire = EncodeTimestamp(layout, sent, 1);
    EXPECT_EQ(CookieOf(layout, wire), 1u);
    EXPECT_EQ(TickOf(layout, wire, latest), sent >> layout.clock_bits);
  }
}

TEST(CookieLayoutTest, FewestClockBits) {
  const auto bits_for = [](uint8_t backend_bits, uint64_t idle_s) {
    return ClockBitsFor({.backend_bits = backend_bits}, idle_s * 1000);
  };
  EXPECT_EQ(bits_for(7, 7200), 0);
  EXPECT_EQ(bits_for(8, 7200), 1);
  EXPECT_EQ(bits_for(13, 7200), 6);
  EXPECT_EQ(bits_for(16, 7200), 9);
  EXPECT_EQ(bits_for(16, 600), 6);
  EXPECT_EQ(bits_for(16, 86400), std::nullopt);
}

TEST(CookieLayoutTest, WhatIsWrongIsNamedWithTheArithmetic) {
  EXPECT_EQ(DescribeLayoutError({}, kDefaultIdleMs),
            "the cookie's 1 + 0 + 8 + 0 = 9 bits (key, tier, backend, check) "
            "with 0 low clock bits leave an idle window of 2^(31-9+0) = 2^22 ms = 4194.3 s, less than the 7200 s for "
            "which connections may idle; give clock_bits 1");
  EXPECT_EQ(DescribeLayoutError({.clock_bits = 1}, kDefaultIdleMs), "");
  EXPECT_THAT(DescribeLayoutError({.backend_bits = 16, .check_bits = 4, .clock_bits = 10}, kDefaultIdleMs),
              HasSubstr("even clock_bits 10 leave 1048.6 s: take 3 bits off"));
  EXPECT_EQ(DescribeLayoutError({.key_bits = 0}, 1000), "key_bits: 0 is out of range; give a whole number from 1 to 3");
  EXPECT_EQ(DescribeLayoutError({.backend_bits = 17}, 1000),
            "backend_bits: 17 is out of range; give a whole number from 1 to 16");
  EXPECT_EQ(DescribeLayoutError({.clock_bits = 10}, 1000),
            "clock_bits: 10 is out of range; give a whole number from 0 to 9");
  EXPECT_THAT(DescribeLayoutError({.tier_bits = 8, .backend_bits = 16}, 1000), HasSubstr("= 25 bits"));
  EXPECT_THAT(DescribeLayoutError({.clock_bits = 9}, kMaxIdleMs + 1), HasSubstr("clients forget timestamps"));
}

}  // namespace
}  // namespace sluice::lb
