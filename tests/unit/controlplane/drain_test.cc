#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <map>

#include "controlplane/drain/drain_book.h"
#include "controlplane/drain/drain_text.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/reconcile/view_facts.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::drain {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Drains of the sample services on a fake data plane, with a clock that the test turns.
class DrainTest : public ::testing::Test, public Actions {
 protected:
  DrainTest() { EXPECT_TRUE(reconciler_.Apply(SampleServices()).ok()); }

  absl::Status SetDrain(const std::vector<Member>& members, bool drain, const model::Author& author) override {
    std::vector<model::BackendName> names;
    for (const Member& member : members) names.push_back({member.pool, member.backend});
    return reconciler_.SetDrains(names, drain, {.author = author}).status();
  }
  absl::Status Remove(const std::vector<Member>& members, const model::Author& author) override {
    if (!next_remove_.ok()) return next_remove_;
    std::vector<model::BackendName> names;
    for (const Member& member : members) names.push_back({member.pool, member.backend});
    return reconciler_.RemoveBackends(names, {.author = author}).status();
  }
  void Exit() override { ++exits_; }
  absl::Status Keep(const std::vector<Drain>& drains) override {
    if (next_keep_.ok()) kept_ = ToText(drains);
    return next_keep_;
  }

  void SetFlows(std::string_view backend, uint64_t flows) {
    const auto record = reconciler_.Current().registry->GetBackend("web", backend);
    ASSERT_TRUE(record.ok());
    fwd::BackendStats& stats = dataplane_.backends[(*record)->id];
    stats.flows_started = 100;
    stats.flows_ended = 100 - flows;
  }
  void Traffic(std::string_view backend) {
    fwd::BackendStats& stats = dataplane_.backends[(*reconciler_.Current().registry->GetBackend("web", backend))->id];
    stats.packets += 10;
    stats.bytes += 10000;
  }
  void Pass(int s) {
    for (int i = 0; i < 2 * s; ++i) {
      now_ += std::chrono::milliseconds(500);
      book_.Tick(now_);
    }
  }
  bool Has(std::string_view backend) { return reconciler_.Current().registry->GetBackend("web", backend).ok(); }
  bool Drains(std::string_view backend) {
    return (*reconciler_.Current().registry->GetBackend("web", backend))->lifecycle == model::Lifecycle::kDraining;
  }
  uint64_t Start(const Order& order) {
    const auto drain = book_.Start(order, "alice", now_);
    EXPECT_TRUE(drain.ok()) << drain.status();
    return drain.ok() ? drain->id : 0;
  }

  FakeDataplane dataplane_;
  reconcile::Reconciler reconciler_{{.vips = 8, .pools = 8, .backends = 8}, ValidateSample, dataplane_, dataplane_};
  reconcile::ViewFacts facts_{dataplane_};
  model::EventBus events_;
  DrainBook book_{reconciler_, facts_, *this, &events_};
  Time now_ = Time(seconds(1'700'000'000));
  absl::Status next_remove_;
  absl::Status next_keep_;
  int exits_ = 0;
  std::string kept_;
};

TEST_F(DrainTest, EndsWithTheLastFlowAndRemoves) {
  SetFlows("web-1", 20);
  const uint64_t id = Start({.scope = Scope::kBackend, .pool = "web", .backend = "web-1", .then = Then::kRemove});
  EXPECT_TRUE(Drains("web-1"));
  Pass(10);
  SetFlows("web-1", 5);
  Traffic("web-1");
  Pass(5);
  const Drain half = *book_.Get(id);
  EXPECT_EQ(half.phase, Phase::kDraining);
  EXPECT_EQ(half.flows_at_start, 20u);
  EXPECT_EQ(half.flows_left, 5u);
  EXPECT_EQ(half.bytes, 10000u);
  EXPECT_EQ(half.EstimatedLeft(now_), seconds(5)) << "15 flows ended in 15 s";
  SetFlows("web-1", 0);
  Pass(1);
  const Drain end = *book_.Get(id);
  EXPECT_EQ(end.phase, Phase::kFinished);
  EXPECT_EQ(end.message, "nothing left after 15 s; removed");
  EXPECT_FALSE(Has("web-1"));
  const auto told = events_.ReadAfter(0, 10, std::chrono::milliseconds(0)).events;
  ASSERT_EQ(told.size(), 2u);
  EXPECT_EQ(told[0].kind, model::EventKind::kDrain);
  EXPECT_EQ(told[0].object, "backend web/web-1");
  EXPECT_EQ(told[0].message, "drain 1 began, 20 flows");
  EXPECT_EQ(told[1].message, "drain 1 finished: nothing left after 15 s; removed");
}

TEST_F(DrainTest, TheDeadlineStopsAndReportsOrRemoves) {
  SetFlows("web-1", 3);
  SetFlows("web-2", 4);
  const uint64_t stop = Start({.pool = "web", .backend = "web-1", .deadline = seconds(10)});
  const uint64_t remove = Start({.pool = "web", .backend = "web-2", .deadline = seconds(20), .then = Then::kRemove});
  Pass(9);
  EXPECT_EQ(book_.Get(stop)->phase, Phase::kDraining);
  Pass(1);
  EXPECT_EQ(book_.Get(stop)->phase, Phase::kExpired);
  EXPECT_EQ(book_.Get(stop)->message, "after 10 s 3 flows were left; the drain stays");
  EXPECT_TRUE(Drains("web-1"));
  EXPECT_EQ(book_.Get(remove)->phase, Phase::kDraining);
  Pass(10);
  EXPECT_EQ(book_.Get(remove)->phase, Phase::kExpired);
  EXPECT_EQ(book_.Get(remove)->message, "after 20 s 4 flows were left; removed");
  EXPECT_FALSE(Has("web-2"));
}

TEST_F(DrainTest, APoolDrainsInOneChangeAndACancelLeavesWhatDrainedBefore) {
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok());
  SetFlows("web-1", 1);
  const size_t states = dataplane_.states.size();
  const uint64_t id = Start({.scope = Scope::kPool, .pool = "web"});
  EXPECT_EQ(dataplane_.states.size(), states + 1);
  EXPECT_TRUE(Drains("web-1"));
  const auto again = book_.Start({.pool = "web", .backend = "web-1"}, "bob", now_);
  EXPECT_EQ(again.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(again.status().message()), HasSubstr("drain 1 of pool web"));
  ASSERT_TRUE(book_.Cancel(id, "bob", now_).ok());
  EXPECT_FALSE(Drains("web-1"));
  EXPECT_TRUE(Drains("web-2"));
  EXPECT_EQ(book_.Get(id)->phase, Phase::kCancelled);
  EXPECT_EQ(book_.Cancel(id, "bob", now_).status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_EQ(book_.Cancel(77, "bob", now_).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(DrainTest, SomebodyElseEndsIt) {
  SetFlows("web-1", 1);
  SetFlows("web-2", 1);
  const uint64_t undrained = Start({.pool = "web", .backend = "web-1"});
  const uint64_t removed = Start({.pool = "web", .backend = "web-2"});
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  ASSERT_TRUE(reconciler_.RemoveBackend("web", "web-2").ok());
  Pass(1);
  EXPECT_EQ(book_.Get(undrained)->phase, Phase::kCancelled);
  EXPECT_EQ(book_.Get(removed)->phase, Phase::kFinished);
  EXPECT_EQ(book_.Get(removed)->message, "the backends are gone");
}

TEST_F(DrainTest, ABackendThatIsWantedBackLeavesItsPoolsDrain) {
  SetFlows("web-1", 1);
  SetFlows("web-2", 1);
  const uint64_t id = Start({.scope = Scope::kPool, .pool = "web", .then = Then::kRemove});
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  Pass(1);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kDraining);
  EXPECT_EQ(book_.Get(id)->message, "web/web-1 takes new flows again");
  EXPECT_THAT(book_.Get(id)->members, ElementsAre(Member{"web", "web-2", false}));
  SetFlows("web-2", 0);
  Pass(1);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kFinished);
  EXPECT_TRUE(Has("web-1"));
  EXPECT_FALSE(Has("web-2"));
}

TEST_F(DrainTest, ADrainThatEndedAndStaysIsUndone) {
  const uint64_t id = Start({.scope = Scope::kPool, .pool = "web"});
  Pass(2);
  ASSERT_EQ(book_.Get(id)->phase, Phase::kFinished);
  EXPECT_TRUE(Drains("web-1"));
  ASSERT_TRUE(book_.Cancel(id, "bob", now_).ok());
  EXPECT_FALSE(Drains("web-1"));
  EXPECT_FALSE(Drains("web-2"));
  EXPECT_EQ(book_.Get(id)->message, "cancelled by bob");
  const uint64_t removes = Start({.pool = "web", .backend = "web-1", .then = Then::kRemove});
  Pass(2);
  EXPECT_EQ(book_.Cancel(removes, "bob", now_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DrainTest, WhatAnEarlierDrainLeftDrainingComesBackWithTheLastOne) {
  const uint64_t first = Start({.pool = "web", .backend = "web-1"});
  Pass(2);
  ASSERT_EQ(book_.Get(first)->phase, Phase::kFinished);
  SetFlows("web-2", 1);
  const uint64_t second = Start({.scope = Scope::kPool, .pool = "web", .then = Then::kRemove});
  EXPECT_THAT(book_.Get(second)->members, ElementsAre(Member{"web", "web-1", false}, Member{"web", "web-2", false}));
  ASSERT_TRUE(book_.Cancel(second, "bob", now_).ok());
  EXPECT_FALSE(Drains("web-1")) << "it took new flows before there was any drain";
  EXPECT_FALSE(Drains("web-2"));
  EXPECT_EQ(book_.Cancel(first, "bob", now_).status().code(), absl::StatusCode::kFailedPrecondition);
  // One that took new flows in between, and was then drained by hand, is the hand's.
  const uint64_t third = Start({.pool = "web", .backend = "web-1"});
  Pass(2);
  ASSERT_EQ(book_.Get(third)->phase, Phase::kFinished);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  Pass(1);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true).ok());
  SetFlows("web-1", 1);
  const uint64_t fourth = Start({.pool = "web", .backend = "web-1"});
  ASSERT_TRUE(book_.Cancel(fourth, "bob", now_).ok());
  EXPECT_TRUE(Drains("web-1"));
  EXPECT_EQ(book_.Cancel(third, "bob", now_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DrainTest, ADrainThatIsUndoneAfterItsEndCountsOnce) {
  SetFlows("web-1", 3);
  const uint64_t id = Start({.pool = "web", .backend = "web-1", .deadline = seconds(2)});
  Pass(3);
  ASSERT_EQ(book_.Get(id)->phase, Phase::kExpired);
  ASSERT_TRUE(book_.Cancel(id, "bob", now_).ok());
  EXPECT_EQ(book_.Get(id)->phase, Phase::kCancelled);
  EXPECT_EQ(book_.Ended()[static_cast<size_t>(Phase::kExpired)], 1u);
  EXPECT_EQ(book_.Ended()[static_cast<size_t>(Phase::kCancelled)], 0u);
}

TEST_F(DrainTest, WhatCannotBeKeptIsNotBegun) {
  next_keep_ = absl::UnavailableError("the disk is full");
  const auto drain = book_.Start({.pool = "web", .backend = "web-1"}, "alice", now_);
  EXPECT_EQ(drain.status().code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(drain.status().message()), HasSubstr("the disk is full"));
  EXPECT_FALSE(Drains("web-1"));
  EXPECT_TRUE(book_.List().empty());
}

TEST_F(DrainTest, WhereConnectionsAreNotCountedSilenceIsTheEnd) {
  config::ServiceConfig services = SampleServices();
  services.vips[0].tracking = config::ConnectionTracking::kOff;
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const uint64_t id = Start({.pool = "web", .backend = "web-1"});
  EXPECT_FALSE(book_.Get(id)->counts_flows);
  for (int i = 0; i < 5; ++i) {
    Traffic("web-1");
    Pass(9);
  }
  EXPECT_EQ(book_.Get(id)->phase, Phase::kDraining);
  Pass(2);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kFinished);
}

TEST_F(DrainTest, ARemovalThatIsRefusedIsTriedAgainOrSaid) {
  const uint64_t id = Start({.pool = "web", .backend = "web-1", .then = Then::kRemove});
  next_remove_ = absl::UnavailableError("worker 1 is stuck");
  Pass(3);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kDraining);
  EXPECT_THAT(book_.Get(id)->message, HasSubstr("worker 1 is stuck"));
  next_remove_ = absl::InvalidArgumentError("no");
  Pass(1);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kFailed);
  EXPECT_THAT(book_.Get(id)->message, HasSubstr("not removed: no"));
}

TEST_F(DrainTest, ANodeWithdrawsWaitsAndEnds) {
  SetFlows("web-1", 9);
  const uint64_t id = Start({.scope = Scope::kNode, .then = Then::kExit});
  EXPECT_EQ(book_.WhyWithdrawn(), "withdrawn by drain 1 of alice");
  EXPECT_FALSE(Drains("web-1")) << "what still comes is served";
  for (int i = 0; i < 4; ++i) {
    Traffic("web-1");
    Pass(5);
  }
  EXPECT_EQ(exits_, 0);
  Pass(6);
  EXPECT_EQ(exits_, 1);
  EXPECT_EQ(book_.Get(id)->phase, Phase::kFinished);
  EXPECT_EQ(book_.Get(id)->message, "nothing comes any more, after 25 s; sluiced ends");
  Pass(20);
  EXPECT_EQ(exits_, 1);
  EXPECT_EQ(book_.WhyWithdrawn(), "") << "the next process serves";
}

TEST_F(DrainTest, ANodeStaysWithdrawnUntilThatIsUndone) {
  const uint64_t first = Start({.scope = Scope::kNode, .deadline = seconds(3)});
  for (int i = 0; i < 3; ++i) {
    Traffic("web-1");
    Pass(1);
  }
  EXPECT_EQ(book_.Get(first)->phase, Phase::kExpired);
  EXPECT_NE(book_.WhyWithdrawn(), "");
  const uint64_t second = Start({.scope = Scope::kNode});
  Pass(12);
  EXPECT_EQ(book_.Get(second)->phase, Phase::kFinished);
  EXPECT_EQ(book_.Get(second)->message, "nothing comes any more, after 10 s; the node stays withdrawn");
  EXPECT_NE(book_.WhyWithdrawn(), "");
  ASSERT_TRUE(book_.Cancel(second, "bob", now_).ok());
  EXPECT_EQ(book_.WhyWithdrawn(), "");
  EXPECT_EQ(book_.Cancel(first, "bob", now_).status().code(), absl::StatusCode::kFailedPrecondition);
}

TEST_F(DrainTest, DrainsGoOnAfterARestart) {
  SetFlows("web-1", 7);
  const uint64_t id = Start({.pool = "web", .backend = "web-1", .deadline = seconds(60), .then = Then::kRemove});
  const uint64_t node = Start({.scope = Scope::kNode});
  const auto kept = FromText(kept_);
  ASSERT_TRUE(kept.ok()) << kept.status();
  EXPECT_THAT(*kept, ElementsAre(*book_.Get(id), *book_.Get(node)));
  DrainBook next(reconciler_, facts_, *this, nullptr);
  next.Restore(*kept, now_ + seconds(30));
  EXPECT_EQ(next.WhyWithdrawn(), "withdrawn by drain 2 of alice");
  next.Tick(now_ + seconds(40));
  EXPECT_EQ(next.Get(node)->phase, Phase::kFinished);
  EXPECT_EQ(next.Get(id)->phase, Phase::kDraining);
  next.Tick(now_ + seconds(60));
  EXPECT_EQ(next.Get(id)->phase, Phase::kExpired);
  EXPECT_FALSE(Has("web-1"));
  DrainBook third(reconciler_, facts_, *this, nullptr);
  third.Restore(*FromText(kept_), now_ + seconds(90));
  EXPECT_EQ(third.WhyWithdrawn(), "withdrawn by drain 2 of alice") << "its drain is over, and it stays so";
  SetFlows("web-2", 1);
  EXPECT_EQ(third.Start({.pool = "web", .backend = "web-2"}, "alice", now_)->id, node + 1);
}

// The process ended between the drain's being written and its being done.
TEST_F(DrainTest, WhatWasWrittenAndNotDoneEnds) {
  SetFlows("web-1", 7);
  Start({.pool = "web", .backend = "web-1"});
  const auto kept = FromText(kept_);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  DrainBook next(reconciler_, facts_, *this, nullptr);
  next.Restore(*kept, now_);
  next.Tick(now_ + seconds(1));
  EXPECT_EQ(next.Get(1)->phase, Phase::kCancelled);
}

TEST_F(DrainTest, OldDrainsAreForgotten) {
  for (size_t i = 0; i < 250; ++i) {
    const uint64_t id = Start({.pool = "web", .backend = "web-1"});
    ASSERT_TRUE(book_.Cancel(id, "bob", now_).ok());
  }
  SetFlows("web-2", 1);
  Start({.pool = "web", .backend = "web-2"});
  EXPECT_LE(book_.List().size(), 101u);
  EXPECT_EQ(book_.Ended()[static_cast<size_t>(Phase::kCancelled)], 250u);
}

TEST_F(DrainTest, TextThatIsDamagedIsSaid) {
  EXPECT_TRUE(FromText("")->empty());
  EXPECT_FALSE(FromText("scope: node\n").ok());
  EXPECT_FALSE(FromText("drain: x\n").ok());
  EXPECT_FALSE(FromText("drain: 1\nphase: lost\n").ok());
  EXPECT_FALSE(FromText("drain: 1\nmember: web\n").ok());
  EXPECT_TRUE(FromText("drain: 1\nof_a_later_version: 1\n").ok());
}

TEST_F(DrainTest, WhatIsNotThereIsNotDrained) {
  EXPECT_EQ(book_.Start({.pool = "web", .backend = "web-9"}, "a", now_).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(book_.Start({.scope = Scope::kPool, .pool = "api"}, "a", now_).status().code(),
            absl::StatusCode::kNotFound);
  dataplane_.next_publish = absl::ResourceExhaustedError("worker 1 is stuck");
  EXPECT_EQ(book_.Start({.pool = "web", .backend = "web-1"}, "a", now_).status().code(),
            absl::StatusCode::kUnavailable);
  EXPECT_TRUE(book_.List().empty());
  EXPECT_TRUE(FromText(kept_)->empty()) << "nothing is left of it";
}

}  // namespace
}  // namespace sluice::drain
