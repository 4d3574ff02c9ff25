#include "dataplane/fwd/quic.h"

#include <gtest/gtest.h>

#include <array>

#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"
#include "tests/unit/fwd/cookie_sample.h"

namespace sluice::fwd {
namespace {

lb::QuicServerId Id(std::initializer_list<uint8_t> bytes) {
  lb::QuicServerId id;
  for (const uint8_t byte : bytes) id.bytes[id.length++] = byte;
  return id;
}

class QuicRungTest : public testing::Test {
 protected:
  QuicRungTest() : counters_(16, 64), tables_({.v4 = 1000, .v6 = 16, .wide = 16}, memory_.Source()) {
    for (const uint8_t pool : std::array<uint8_t, 2>{0, 1}) {
      pools_[pool] = fixture_.AddPool();
      for (uint8_t i = 0; i < 3; ++i) {
        const BackendId id = fixture_.AddBackend(pools_[pool], "192.0.2." + std::to_string(10 + 10 * pool + i));
        fixture_.spec().backends[id.index()].info.quic_server_ids = {Id({pool, i, 7}), Id({i})};
      }
      vips_[pool] = fixture_.AddVip("203.0.113.1" + std::to_string(pool), net::kProtocolUdp, 443, pools_[pool]);
      fixture_.Vip(vips_[pool]).entry.cookies = true;
      fixture_.Vip(vips_[pool]).entry.quic = true;
    }
    fixture_.spec().quic_configs[0] = {.server_id_length = 3, .nonce_length = 4, .secret = kSecret};
    fixture_.spec().quic_configs[6] = {.server_id_length = 1, .nonce_length = 5, .secret = {}};
    state_ = fixture_.Build();
  }

  Selection Give(const std::vector<uint8_t>& id, int pool = 0, uint16_t port = 5000) {
    const FlowView flow = {.client = kClient,
                           .destination = kVip,
                           .protocol = net::kProtocolUdp,
                           .has_echo = !id.empty(),
                           .client_port = Be16::FromHost(port),
                           .destination_port = Be16::FromHost(443),
                           .vip = vips_[pool],
                           .quic_id = id.data(),
                           .quic_id_size = static_cast<uint8_t>(id.size()),
                           .hash = port * 0x9e37'79b9'7f4a'7c15};
    return SelectBackend(*state_, flow, 0, tables_, counters_);
  }
  std::vector<uint8_t> ConnectionId(uint8_t number, const lb::QuicServerId& server) const {
    lb::QuicLbConfig config;
    config.server_id_length = fixture_copy_[number]->server_id_length;
    config.nonce_length = fixture_copy_[number]->nonce_length;
    if (fixture_copy_[number]->secret) config.key.emplace(*fixture_copy_[number]->secret);
    const std::array<uint8_t, 8> nonce = {9, 8, 7, 6, 5, 4, 3, 2};
    const auto id = lb::EncodeQuicConnectionId(config, number, 3, server, nonce.data());
    return {id.begin(), id.begin() + static_cast<ptrdiff_t>(config.id_length())};
  }

  static constexpr uint8_t kClient[4] = {198, 51, 100, 7};
  static constexpr uint8_t kVip[4] = {203, 0, 113, 10};
  test::TestMemory memory_;
  test::StateFixture fixture_;
  PoolId pools_[2];
  VipId vips_[2];
  std::shared_ptr<const ForwardingState> state_;
  const QuicConfigSpecs& fixture_copy_ = fixture_.spec().quic_configs;
  WorkerCounters counters_;
  FlowTables tables_;
};

TEST_F(QuicRungTest, AnIdNamesItsServerFromAnyAddress) {
  for (uint8_t i = 0; i < 3; ++i) {
    for (const uint16_t port : std::array<uint16_t, 3>{5000, 5001, 60000}) {
      for (const auto& id : {ConnectionId(0, Id({0, i, 7})), ConnectionId(6, Id({i}))}) {
        const Selection said = Give(id, 0, port);
        EXPECT_EQ(said.rung, Rung::kQuic);
        EXPECT_EQ(said.backend, BackendId(i));
      }
    }
  }
  EXPECT_EQ(Give(ConnectionId(6, Id({1})), 1).backend, BackendId(4)) << "the same id in the other pool";
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 0u);
  EXPECT_EQ(counters_.cookies_refused.Value(), 0u);
}

TEST_F(QuicRungTest, WhatNamesNobodyGoesByTheTuple) {
  // Of the other pool, of no server, of no configuration, unroutable, too short, and none.
  EXPECT_EQ(Give(ConnectionId(0, Id({1, 0, 7})), 0, 1).rung, Rung::kScheduler);
  EXPECT_EQ(Give(ConnectionId(6, Id({9})), 0, 2).rung, Rung::kScheduler);
  EXPECT_EQ(Give({0x20, 1, 2, 3, 4, 5, 6, 7, 8}, 0, 3).rung, Rung::kScheduler);
  EXPECT_EQ(Give({0xe0, 1, 2, 3, 4, 5, 6, 7, 8}, 0, 4).rung, Rung::kScheduler);
  EXPECT_EQ(Give({0xc0, 1, 2, 3, 4, 5}, 0, 5).rung, Rung::kScheduler);
  EXPECT_EQ(counters_.cookies_refused.Value(), 5u);
  // The first packets of a client: remembered for a while.
  const Selection first = Give({}, 0, 6);
  EXPECT_EQ(first.rung, Rung::kScheduler);
  EXPECT_EQ(Give({}, 0, 6).rung, Rung::kConnectionTable);
  EXPECT_EQ(Give({}, 0, 6).backend, first.backend);
  EXPECT_EQ(counters_.cookies_refused.Value(), 5u);
}

TEST_F(QuicRungTest, ChangesOfBackendsAndConfigurations) {
  const std::vector<uint8_t> id = ConnectionId(0, Id({0, 1, 7}));
  fixture_.Drain(BackendId(1));
  state_ = fixture_.Build();
  EXPECT_EQ(Give(id).backend, BackendId(1));
  fixture_.Remove(BackendId(1));
  state_ = fixture_.Build();
  EXPECT_EQ(Give(id).rung, Rung::kScheduler);
  const std::vector<uint8_t> other = ConnectionId(0, Id({0, 2, 7}));
  EXPECT_EQ(Give(other).backend, BackendId(2));
  fixture_.spec().quic_configs[0]->secret = lb::AesBlock{9};
  state_ = fixture_.Build();
  EXPECT_NE(Give(other, 0, 7).rung, Rung::kQuic);
}

TEST_F(QuicRungTest, PartsAreSharedAndDigestsTellWhatDiffers) {
  const auto before = state_;
  state_ = fixture_.Build();
  EXPECT_EQ(before->quic_configs, state_->quic_configs);
  EXPECT_EQ(before->quic_servers, state_->quic_servers);
  EXPECT_EQ(before->cookie_digest, state_->cookie_digest);
  fixture_.spec().backends[5].info.quic_server_ids.pop_back();
  state_ = fixture_.Build();
  EXPECT_EQ(before->quic_servers[0], state_->quic_servers[0]);
  EXPECT_NE(before->quic_servers[1], state_->quic_servers[1]);
  EXPECT_NE(before->cookie_digest.ids, state_->cookie_digest.ids);
  EXPECT_EQ(before->cookie_digest.keys, state_->cookie_digest.keys);
  fixture_.spec().quic_configs[0]->secret = lb::AesBlock{9};
  state_ = fixture_.Build();
  EXPECT_NE(before->cookie_digest.keys, state_->cookie_digest.keys);
}

}  // namespace
}  // namespace sluice::fwd
