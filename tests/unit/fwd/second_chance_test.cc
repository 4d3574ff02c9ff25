#include "dataplane/fwd/second_chance.h"

#include <gtest/gtest.h>

#include "dataplane/fwd/resolve.h"
#include "dataplane/lb/flow_hash.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

class SecondChanceTest : public testing::Test {
 protected:
  SecondChanceTest() {
    pool_ = fixture_.AddPool();
    for (int i = 0; i < 4; ++i) fixture_.AddBackend(pool_, "192.0.2.1" + std::to_string(i));
    vip_ = fixture_.AddVip("203.0.113.10", 6, 80, pool_, ForwardingMode::kGue);
    fixture_.Vip(vip_).entry.second_chance = true;
    state_ = fixture_.Build();
  }

  BackendId Owner(uint64_t hash) const { return BackendId(state_->pools[0]->slots[lb::SlotOf(hash, 1009)]); }
  BackendId Second(uint64_t hash, BackendId chosen) const {
    return SecondChanceOf(*state_, (*state_->vips)[vip_.index()], hash, chosen);
  }
  // A hash for every slot.
  static uint64_t HashOf(uint64_t slot) { return ((slot << 32) / 1009 + 1) << 32; }

  test::StateFixture fixture_;
  PoolId pool_;
  VipId vip_;
  std::shared_ptr<const ForwardingState> state_;
};

TEST_F(SecondChanceTest, WhileNothingMovedWhoWouldHaveTheSlotIsNamed) {
  fixture_.Drain(BackendId(1));
  const auto without = BuildState(fixture_.spec(), 1, nullptr);
  ASSERT_TRUE(without.ok());
  size_t own = 0, right = 0;
  for (uint64_t slot = 0; slot < 1009; ++slot) {
    const BackendId owner = Owner(HashOf(slot));
    const BackendId second = Second(HashOf(slot), owner);
    ASSERT_TRUE(second.valid());
    EXPECT_NE(second, owner);
    if (owner != BackendId(1)) continue;
    ++own;
    right += (*without)->pools[0]->slots[lb::SlotOf(HashOf(slot), 1009)] == second.value() ? 1 : 0;
  }
  EXPECT_GT(own, 200u);
  EXPECT_GT(right * 100, own * 85);
}

TEST_F(SecondChanceTest, ThePreviousOwnerIsNamed) {
  for (int change = 0; change < 3; ++change) {
    const auto before = state_;
    change == 0   ? fixture_.Drain(BackendId(1))
    : change == 1 ? fixture_.Undrain(BackendId(1), pool_)
                  : static_cast<void>(fixture_.AddBackend(pool_, "192.0.2.20", 3));
    state_ = fixture_.Build();
    size_t moved = 0;
    for (uint64_t slot = 0; slot < 1009; ++slot) {
      const BackendId old(before->pools[0]->slots[slot]);
      const BackendId owner = Owner(HashOf(slot));
      if (old == owner) continue;
      ++moved;
      EXPECT_EQ(Second(HashOf(slot), owner), old);
      // Who has it by an entry may be wrong as well.
      EXPECT_EQ(Second(HashOf(slot), old), owner);
    }
    EXPECT_GT(moved, 100u);
  }
}

TEST_F(SecondChanceTest, ItIsRememberedWhileTheSlotDoesNotMoveAgain) {
  fixture_.Drain(BackendId(1));
  state_ = fixture_.Build();
  const auto moved = state_;
  fixture_.AddBackend(fixture_.AddPool(), "192.0.2.30");
  state_ = fixture_.Build();
  EXPECT_EQ(state_->pools[0], moved->pools[0]) << "shared";
  fixture_.Drain(BackendId(2));
  state_ = fixture_.Build();
  for (size_t slot = 0; slot < 1009; ++slot) {
    if (state_->pools[0]->slots[slot] != moved->pools[0]->slots[slot]) continue;
    EXPECT_EQ(state_->pools[0]->previous[slot], moved->pools[0]->previous[slot]);
  }
}

TEST_F(SecondChanceTest, WhoIsGoneOrDownIsNot) {
  fixture_.Remove(BackendId(1));
  fixture_.Down(BackendId(2), OnDown::kReschedule);
  state_ = fixture_.Build();
  for (uint64_t slot = 0; slot < 1009; ++slot) {
    const BackendId second = Second(HashOf(slot), Owner(HashOf(slot)));
    EXPECT_NE(second, BackendId(1));
    EXPECT_NE(second, BackendId(2));
  }
  fixture_.Down(BackendId(2), OnDown::kKeep);
  state_ = fixture_.Build();
  size_t named = 0;
  for (uint64_t slot = 0; slot < 1009; ++slot)
    named += Second(HashOf(slot), Owner(HashOf(slot))) == BackendId(2) ? 1 : 0;
  EXPECT_GT(named, 100u);
}

TEST_F(SecondChanceTest, ADirectorThatHasJustStartedKnowsHomes) {
  fixture_.Drain(BackendId(1));
  state_ = fixture_.Build();
  const auto fresh = BuildState(fixture_.spec(), 1, nullptr);
  ASSERT_TRUE(fresh.ok());
  NextHop hop;
  hop.port = PortId(0);
  hop.resolved = true;
  state_ = ResolveNextHops(**fresh, [&hop](const net::IpAddress&) { return hop; });
  size_t named = 0;
  for (uint64_t slot = 0; slot < 1009; ++slot)
    named += Second(HashOf(slot), Owner(HashOf(slot))) == BackendId(1) ? 1 : 0;
  EXPECT_GT(named, 200u);
}

TEST_F(SecondChanceTest, WhoHasAnAddressOfTheOtherFamilyIsNot) {
  fixture_.AddBackend(pool_, "2001:db8::20", 4);
  state_ = fixture_.Build();
  for (uint64_t slot = 0; slot < 1009; ++slot) {
    const BackendId owner = Owner(HashOf(slot));
    if (owner != BackendId(4)) continue;
    EXPECT_FALSE(Second(HashOf(slot), owner).valid());
  }
}

TEST_F(SecondChanceTest, WithoutSuchAVipNothingIsNoted) {
  fixture_.Vip(vip_).entry.second_chance = false;
  state_ = fixture_.Build();
  EXPECT_TRUE(state_->pools[0]->previous.empty());
  EXPECT_TRUE(state_->pools[0]->heirs.empty());
  // And where there are homes for another reason.
  fixture_.Vip(vip_).entry.unsafe_only = true;
  state_ = fixture_.Build();
  EXPECT_FALSE(state_->pools[0]->homes.empty());
  EXPECT_TRUE(state_->pools[0]->previous.empty());
  fixture_.Vip(vip_).entry.second_chance = true;
  state_ = fixture_.Build();
  EXPECT_EQ(state_->pools[0]->previous.size(), 1009u);
  EXPECT_EQ(state_->pools[0]->heirs.size(), 1009u);
}

}  // namespace
}  // namespace sluice::fwd
