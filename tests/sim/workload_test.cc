// The standard churn workload: the simulator agrees with what was published of others, Sluice's own ladder breaks
// nothing where it must not, and a ladder that is damaged is found out.

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "tools/sim/arguments.h"
#include "tools/sim/modes.h"
#include "tools/sim/report.h"
#include "tools/sim/simulation.h"

namespace sluice::sim {
namespace {

// Broken connections in percent by the two definitions; what no outcome says is -1.
struct Share {
  double up = -1;
  double drain = -1;
};

Result Simulated(const WorkloadOptions& options, const std::vector<std::string>& modes,
                 SelectFunction select = &fwd::SelectBackend) {
  std::vector<std::unique_ptr<Router>> routers;
  for (const std::string& mode : modes) {
    for (auto& router : MakeRouters(mode, options, select)) routers.push_back(std::move(router));
  }
  return Simulate(options, routers);
}

std::map<std::string, Share> Shares(const Result& result) {
  std::map<std::string, Share> shares;
  const auto connections = static_cast<double>(result.connections);
  for (const Outcome& outcome : result.outcomes) {
    Share& share = shares[outcome.router];
    if ((outcome.definitions & kUp) != 0) share.up = 100 * static_cast<double>(outcome.up.sum()) / connections;
    if ((outcome.definitions & kDrain) != 0) share.drain = 100 * static_cast<double>(outcome.drain.sum()) / connections;
  }
  return shares;
}

// Few connections, many changes: what breaks does not depend on how many there are.
WorkloadOptions Small() {
  WorkloadOptions options;
  options.seconds = 200;
  options.connections = 500;
  options.servers = 40;
  options.updates_per_min = 30;
  options.directors = 3;
  return options;
}

TEST(WorkloadTest, ConnectionsLastAsLongAsPublished) {
  // 70 000 at a time and 32.8 million in 10 000 s.
  EXPECT_NEAR(Mean(kDurations), 21.4, 0.1);
  EXPECT_EQ(DrawRow(kDurations, 0), 0u);
  EXPECT_EQ(DrawRow(kDurations, 0.293), 1u);
  EXPECT_EQ(DrawRow(kDurations, 0.9979), 12u);
  EXPECT_EQ(DrawRow(kDurations, 0.9999), 13u);
}

TEST(WorkloadTest, OthersBreakAsManyAsPublished) {
  WorkloadOptions options;
  options.seconds = 1500;
  options.connections = 2000;
  const std::map<std::string, Share> shares = Shares(Simulated(options, {"mod-n", "maglev", "rendezvous"}));
  const auto expect_near = [](double value, double published) { EXPECT_NEAR(value, published, 0.2 * published); };
  expect_near(shares.at("mod-n").up, 49.8);
  expect_near(shares.at("maglev").up, 2.29);
  expect_near(shares.at("maglev").drain, 3.34);
  expect_near(shares.at("rendezvous").up, 0.874);
  expect_near(shares.at("rendezvous").drain, 1.96);
}

TEST(WorkloadTest, TrackingBreaksNothingWhileDirectorsStay) {
  const Result result = Simulated(Small(), {"track", "hash"});
  EXPECT_GT(result.server_changes, 40u);
  const std::map<std::string, Share> shares = Shares(result);
  EXPECT_EQ(shares.at("track").up, 0);
  EXPECT_EQ(shares.at("track").drain, 0);
  // The same changes do break connections of a VIP that goes by the hash alone.
  EXPECT_GT(shares.at("hash").up, 1);
  EXPECT_GT(shares.at("hash").drain, shares.at("hash").up);
  for (const Outcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.table_full, 0u);
    EXPECT_EQ(outcome.tracked, outcome.router == "track" ? result.connections : 0u) << outcome.router;
  }
}

TEST(WorkloadTest, TrackingWhatIsUnsafeBreaksNothingWhileDirectorsStay) {
  WorkloadOptions options = Small();
  options.seconds = 500;
  options.updates_per_min = 5;
  const Result result = Simulated(options, {"track_unsafe"});
  EXPECT_GT(result.server_changes, 40u);
  for (const Outcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.up.sum() + outcome.drain.sum(), 0u);
    EXPECT_EQ(outcome.table_full, 0u);
    // Servers that are down are a few of a hundred: so are the slots that are not at home.
    EXPECT_GT(outcome.tracked, 0u);
    EXPECT_LT(outcome.tracked * 2, result.connections);
  }
}

// What is not known goes to the slot's owner instead of its home.
fwd::Selection HomelessSelect(const fwd::ForwardingState& state, const fwd::FlowView& flow, uint32_t now_s,
                              fwd::FlowTables& tables, fwd::WorkerCounters& counters) {
  fwd::Selection selection = fwd::SelectBackend(state, flow, now_s, tables, counters);
  if (selection.rung == fwd::Rung::kScheduler) selection.backend = fwd::ScheduleFlow(state, flow);
  return selection;
}

TEST(WorkloadTest, WhoForgetsHomesIsCaught) {
  const Result result = Simulated(Small(), {"track_unsafe"}, &HomelessSelect);
  for (const Outcome& outcome : result.outcomes) EXPECT_GT(outcome.up.sum() + outcome.drain.sum(), 0u);
}

TEST(WorkloadTest, DirectorsThatComeAndGoBreakTrackedConnections) {
  WorkloadOptions options = Small();
  options.director_updates_per_min = 4;
  options.director_down_s = 20;
  const Result result = Simulated(options, {"track"});
  EXPECT_GT(result.director_changes, 10u);
  for (const Outcome& outcome : result.outcomes) {
    const Broken& broken = (outcome.definitions & kUp) != 0 ? outcome.up : outcome.drain;
    uint64_t after_directors = 0;
    for (const auto& causes : broken.by_cause) after_directors += causes[static_cast<size_t>(Cause::kDirectors)];
    EXPECT_GT(after_directors, 0u);
  }
}

TEST(WorkloadTest, ASecondChanceSavesMostOfWhatServersBreak) {
  WorkloadOptions options = Small();
  options.updates_per_min = 10;
  const std::map<std::string, Share> shares = Shares(Simulated(options, {"hash", "hash+second-chance"}));
  const Share& without = shares.at("hash");
  const Share& with = shares.at("hash+second-chance");
  EXPECT_GT(without.up, 1);
  EXPECT_LT(with.up, without.up / 4);
  EXPECT_LT(with.drain, without.drain / 4);
}

TEST(WorkloadTest, ASecondChanceSavesMostOfWhatDirectorsBreak) {
  WorkloadOptions options = Small();
  options.updates_per_min = 10;
  options.director_updates_per_min = 10;
  options.director_down_s = 20;
  const std::map<std::string, Share> shares = Shares(Simulated(options, {"track", "track+second-chance"}));
  const Share& without = shares.at("track");
  const Share& with = shares.at("track+second-chance");
  EXPECT_GT(without.up, 0.1);
  EXPECT_LT(with.up, without.up / 2);
  EXPECT_LT(with.drain, without.drain / 2);
}

TEST(WorkloadTest, CookiesBreakNothingWhateverChanges) {
  WorkloadOptions options = Small();
  options.director_updates_per_min = 10;
  options.director_down_s = 20;
  options.no_timestamps = 0.2;
  const Result result = Simulated(options, {"cookie", "two-tier", "track"});
  EXPECT_GT(result.server_changes, 40u);
  EXPECT_GT(result.director_changes, 20u);
  for (const Outcome& outcome : result.outcomes) {
    const Broken& broken = (outcome.definitions & kUp) != 0 ? outcome.up : outcome.drain;
    uint64_t with_timestamps = 0;
    for (const uint64_t count : broken.by_cause[1]) with_timestamps += count;
    if (outcome.router == "track") {
      EXPECT_GT(with_timestamps, 0u);
      continue;
    }
    EXPECT_EQ(with_timestamps, 0u);
    // Connections without timestamps have the table: one entry at each director that they came to.
    EXPECT_GT(broken.sum(), 0u);
    EXPECT_LT(outcome.tracked, result.connections);
  }
}

TEST(WorkloadTest, APlanHappensAsItIsWritten) {
  const auto arguments = ParseArguments({"--servers", "4", "--directors", "2", "--connections", "4000", "--changes",
                                         "s-4,open,s+4,d-2,d+2,s-3", "--modes", "cookie,track,hash"});
  ASSERT_TRUE(arguments.ok()) << arguments.status().message();
  const Result result = Simulated(arguments->workload, arguments->modes);
  EXPECT_EQ(result.connections, 4000u);
  EXPECT_EQ(result.server_changes, 3u);
  EXPECT_EQ(result.director_changes, 2u);
  for (const Outcome& outcome : result.outcomes) {
    const bool drain = (outcome.definitions & kDrain) != 0;
    const auto& [without, with] = (drain ? outcome.drain : outcome.up).by_cause;
    const auto share = [&result](uint64_t count) {
      return static_cast<double>(count) / static_cast<double>(result.connections);
    };
    // With four servers in place of three, a quarter of the hash is another's, and a half of the flows is director 2's.
    if (outcome.router == "hash") {
      EXPECT_NEAR(share(without[0] + with[0]), drain ? .5 : .27, .06);
    } else if (outcome.router == "track") {
      EXPECT_NEAR(share(without[1] + with[1]), .13, .04);
    } else {
      EXPECT_EQ(with[0] + with[1], 0u);
      EXPECT_NEAR(share(without[1]), .013, .008);
    }
  }
}

TEST(WorkloadTest, SlotsBreakNothingWhileDirectorsStay) {
  const Result result = Simulated(Small(), {"stateful"});
  EXPECT_GT(result.server_changes, 40u);
  for (const Outcome& outcome : result.outcomes) {
    EXPECT_EQ(outcome.up.sum() + outcome.drain.sum(), 0u);
    EXPECT_EQ(outcome.table_full, 0u);
    EXPECT_EQ(outcome.tracked, result.connections);
  }
}

TEST(WorkloadTest, PoliciesBreakNothingThatCookiesRemember) {
  WorkloadOptions options = Small();
  options.director_updates_per_min = 10;
  options.director_down_s = 20;
  const Result result =
      Simulated(options, {"cookie:weighted-round-robin", "cookie:power-of-two", "cookie:least-connections"});
  EXPECT_GT(result.director_changes, 20u);
  for (const Outcome& outcome : result.outcomes) {
    const Broken& broken = (outcome.definitions & kUp) != 0 ? outcome.up : outcome.drain;
    for (const uint64_t count : broken.by_cause[1]) EXPECT_EQ(count, 0u) << outcome.router;
    // Entries are those of clients without timestamps, which are one of ten.
    EXPECT_LT(outcome.tracked * 4, result.connections) << outcome.router;
  }
}

TEST(WorkloadTest, PoliciesSpreadBetterThanTheHash) {
  WorkloadOptions options = Small();
  options.directors = 1;
  options.connections = 2000;
  std::map<std::string, double> imbalance;
  for (const Outcome& outcome :
       Simulated(options, {"track", "track:power-of-two", "track:least-connections", "stateful:least-connections"})
           .outcomes) {
    EXPECT_EQ(outcome.up.sum() + outcome.drain.sum(), 0u) << outcome.router;
    imbalance[outcome.router] = outcome.imbalance;
  }
  for (const auto& [router, of_router] : imbalance) {
    if (router == "track") continue;
    EXPECT_LT(of_router, imbalance.at("track")) << router;
  }
}

TEST(WorkloadTest, DirectorsAloneBreakNothing) {
  WorkloadOptions options = Small();
  options.updates_per_min = 0;
  options.director_updates_per_min = 20;
  const std::map<std::string, Share> shares = Shares(Simulated(options, {"track", "hash"}));
  for (const auto& [mode, share] : shares) {
    EXPECT_EQ(share.up, 0) << mode;
    EXPECT_EQ(share.drain, 0) << mode;
  }
}

// One flow in 256 is never looked up.
fwd::Selection ForgetfulSelect(const fwd::ForwardingState& state, const fwd::FlowView& flow, uint32_t now_s,
                               fwd::FlowTables& tables, fwd::WorkerCounters& counters) {
  if (flow.hash % 256 == 0) return {.backend = fwd::ScheduleFlow(state, flow), .rung = fwd::Rung::kHashOnly};
  return fwd::SelectBackend(state, flow, now_s, tables, counters);
}

// Backends that drain lose their connections.
fwd::Selection ImpatientSelect(const fwd::ForwardingState& state, const fwd::FlowView& flow, uint32_t now_s,
                               fwd::FlowTables& tables, fwd::WorkerCounters& counters) {
  fwd::Selection selection = fwd::SelectBackend(state, flow, now_s, tables, counters);
  if ((*state.backends)[selection.backend.index()].state == fwd::BackendState::kDraining) {
    selection.backend = fwd::ScheduleFlow(state, flow);
  }
  return selection;
}

TEST(WorkloadTest, ADamagedLadderIsCaught) {
  const std::map<std::string, Share> forgetful = Shares(Simulated(Small(), {"track"}, &ForgetfulSelect));
  EXPECT_GT(forgetful.at("track").up, 0);
  EXPECT_GT(forgetful.at("track").drain, 0);
  const std::map<std::string, Share> impatient = Shares(Simulated(Small(), {"track"}, &ImpatientSelect));
  EXPECT_EQ(impatient.at("track").up, 0);
  EXPECT_GT(impatient.at("track").drain, 0);
}

// One echo in 256 is read wrong.
fwd::Selection DyslexicSelect(const fwd::ForwardingState& state, const fwd::FlowView& flow, uint32_t now_s,
                              fwd::FlowTables& tables, fwd::WorkerCounters& counters) {
  fwd::FlowView damaged = flow;
  if (flow.hash % 256 == 0) damaged.echo ^= 1;
  return fwd::SelectBackend(state, damaged, now_s, tables, counters);
}

TEST(WorkloadTest, DamagedCookiesAndSlotsAreCaught) {
  // What finds no slot is in the connection table from then on, so slots bear wrong echoes.
  const std::pair<std::string, SelectFunction> damaged[] = {
      {"cookie", &DyslexicSelect}, {"two-tier", &DyslexicSelect}, {"stateful", &ForgetfulSelect}};
  for (const auto& [mode, select] : damaged) {
    const Result result = Simulated(Small(), {mode}, select);
    for (const Outcome& outcome : result.outcomes) EXPECT_GT(outcome.up.sum() + outcome.drain.sum(), 0u) << mode;
  }
}

std::string Json(const WorkloadOptions& options) {
  std::ostringstream out;
  PrintJson(options, Simulated(options, ModeNames()), out);
  return out.str();
}

TEST(WorkloadTest, TheSeedDecides) {
  WorkloadOptions options = Small();
  options.seconds = 40;
  options.director_updates_per_min = 4;
  const std::string once = Json(options);
  EXPECT_EQ(Json(options), once);
  options.seed = 2;
  EXPECT_NE(Json(options), once);
}

TEST(ArgumentsTest, SayWhatIsWrong) {
  const auto good = ParseArguments({"--modes", "track,mod-n", "--seconds", "7.5", "--seed", "9", "--json"});
  ASSERT_TRUE(good.ok());
  EXPECT_EQ(good->modes, (std::vector<std::string>{"track", "mod-n"}));
  EXPECT_EQ(good->workload.seconds, 7.5);
  EXPECT_EQ(good->workload.seed, 9u);
  EXPECT_TRUE(good->json);
  for (const auto& words : std::vector<std::vector<std::string>>{{"--modes", "track,magic"},
                                                                 {"--modes", "hash:least-connections"},
                                                                 {"--modes", "track_unsafe:power-of-two"},
                                                                 {"--modes", "track:magic"},
                                                                 {"--seconds", "-1"},
                                                                 {"--directors", "0"},
                                                                 {"--no-timestamps", "nan"},
                                                                 {"--changes", "open,x-1"},
                                                                 {"--changes", "s-1"},
                                                                 {"--changes", "open,d-5"},
                                                                 {"--seed"},
                                                                 {"--speed", "1"}}) {
    const auto bad = ParseArguments(words);
    ASSERT_FALSE(bad.ok()) << words[0];
    EXPECT_NE(std::string(bad.status().message()).find(words[0]), std::string::npos) << bad.status().message();
  }
}

}  // namespace
}  // namespace sluice::sim
