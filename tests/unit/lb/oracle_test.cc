// The production hashes and tables against values that an independent Python implementation computed
// (tools/oracle/vectors.py). Directors of different versions must agree on these, so a difference here is a break of
// compatibility, not a vector to be updated.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "dataplane/lb/cookie.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/maglev.h"
#include "dataplane/lb/siphash.h"
#include "tests/support/cookie_halves.h"
#include "tests/support/oracle_vectors.h"

namespace sluice::lb {
namespace {

TEST(OracleTest, SipHash) {
  for (const auto& v : oracle::kSipHash24) EXPECT_EQ(SipHash24(oracle::kSeed, v.message), v.hash) << v.message;
}

TEST(OracleTest, DerivedKeys) {
  const HashKeys keys(oracle::kSeed);
  EXPECT_EQ(keys.flow[0], oracle::kFlowKey0);
  EXPECT_EQ(keys.flow[1], oracle::kFlowKey1);
  EXPECT_EQ(keys.maglev_offset, oracle::kMaglevOffsetKey);
  EXPECT_EQ(keys.maglev_skip, oracle::kMaglevSkipKey);
}

TEST(OracleTest, FlowHash) {
  for (const auto& v : oracle::kFlowHash) {
    const HashKeys keys(v.seed);
    const auto source = net::IpAddress::Parse(v.source);
    const auto destination = net::IpAddress::Parse(v.destination);
    ASSERT_TRUE(source && destination);
    const FlowTuple tuple = {.source = source->data(),
                             .destination = destination->data(),
                             .source_port = Be16::FromHost(v.source_port),
                             .destination_port = Be16::FromHost(v.destination_port),
                             .protocol = v.protocol,
                             .family = source->family()};
    uint64_t fast = 0;
    FlowHashes(keys, &tuple, 1, &fast);
    EXPECT_EQ(fast, v.hash) << v.source;
    EXPECT_EQ(FlowHashPortable(keys, tuple), v.hash) << v.source;
    EXPECT_EQ(SlotOf(v.hash, 65537), v.slot_of_65537);
  }
}

TEST(OracleTest, Permutation) {
  const HashKeys keys(oracle::kSeed);
  for (const auto& v : oracle::kPermutation) {
    const auto p = MakePermutation(keys.maglev_offset, keys.maglev_skip, v.name, v.table_size);
    EXPECT_EQ(p.offset, v.offset) << v.name;
    EXPECT_EQ(p.skip, v.skip) << v.name;
  }
}

uint64_t Fnv1a(const std::vector<uint16_t>& slots) {
  uint64_t hash = 0xcbf2'9ce4'8422'2325;
  for (const uint16_t slot : slots) hash = (hash ^ (slot & 0xff)) * 0x100'0000'01b3;
  return hash;
}

TEST(OracleTest, Tables) {
  for (const auto& v : oracle::kTable) {
    const HashKeys keys(v.seed);
    std::vector<MaglevMember> members;
    for (size_t i = 0; i < v.names.size() && v.weights[i] > 0; ++i) {
      members.push_back(
          {.id = static_cast<uint16_t>(i),
           .weight = v.weights[i],
           .permutation = MakePermutation(keys.maglev_offset, keys.maglev_skip, v.names[i], v.table_size)});
    }
    const auto slots = BuildMaglevTable(members, v.table_size);
    ASSERT_EQ(slots.size(), v.table_size);
    EXPECT_TRUE(std::equal(v.first_slots.begin(), v.first_slots.end(), slots.begin()));
    for (size_t i = 0; i < v.names.size(); ++i) {
      EXPECT_EQ(std::count(slots.begin(), slots.end(), static_cast<uint16_t>(i)), v.slots_of_member[i]);
    }
    EXPECT_EQ(Fnv1a(slots), v.fnv1a);
  }
}

TEST(OracleTest, Cookies) {
  ASSERT_TRUE(test::CpuReadsInHalves());
  for (const auto& v : oracle::kCookie) {
    const CookieLayout layout = {.key_bits = v.key_bits,
                                 .tier_bits = v.tier_bits,
                                 .backend_bits = v.backend_bits,
                                 .check_bits = v.check_bits,
                                 .clock_bits = v.clock_bits};
    const auto client = net::IpAddress::Parse(v.client);
    const auto vip = net::IpAddress::Parse(v.vip);
    ASSERT_TRUE(client && vip);
    const FlowTuple tuple = {.source = client->data(),
                             .destination = vip->data(),
                             .source_port = Be16::FromHost(v.client_port),
                             .destination_port = Be16::FromHost(v.vip_port),
                             .protocol = 6,
                             .family = client->family()};
    CookieKeys keys;
    keys.Set(v.key_number, v.secret);
    const CookieFields fields = {.tier = v.tier, .backend = v.backend};
    EXPECT_EQ(EncodeCookie(layout, keys, v.key_number, tuple, fields), v.cookie) << v.client;
    EXPECT_EQ(DecodeCookie(layout, keys, tuple, v.cookie), fields) << v.client;
    EXPECT_EQ(DecodeCookiePortable(layout, keys, tuple, v.cookie), fields) << v.client;
    const CookieReader backend(layout, CookieReader::Id::kBackend, layout.backend_bits);
    const CookieReader tier(layout, CookieReader::Id::kTier, layout.tier_bits);
    EXPECT_EQ(test::ReadInHalves(backend, keys, tuple, v.wire), v.backend) << v.client;
    EXPECT_EQ(test::ReadInHalves(tier, keys, tuple, v.wire), v.tier) << v.client;
    EXPECT_EQ(EncodeTimestamp(layout, v.timestamp, v.cookie), v.wire);
    EXPECT_EQ(CookieOf(layout, v.wire), v.cookie);
  }
}

}  // namespace
}  // namespace sluice::lb
