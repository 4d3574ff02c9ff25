#include "controlplane/probe/runner.h"

#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <set>
#include <vector>

namespace sluice::probe {
namespace {

class NoSink final : public model::HealthSink {
 public:
  void Report(model::HealthUpdate) override {}
};

// A probe that does not come to its end for as long as the test wants: it stands for thousands of them.
class BlockingWays final : public Ways {
 public:
  absl::StatusOr<Way> Open(const health::CheckTarget&) override {
    begun.set_value();
    may_end.wait();
    return absl::UnavailableError("no way");
  }
  void Close(const Way&) override {}
  void Keep(const std::set<net::IpAddress>&) override {}

  std::promise<void> begun;
  std::promise<void> end;
  const std::shared_future<void> may_end = end.get_future().share();
};

TEST(RunnerTest, StatusIsToldWhileAProbeIsMade) {
  BlockingWays ways;
  NoSink sink;
  auto runner = Runner::Start(1, "/", ways, sink);
  ASSERT_TRUE(runner.ok()) << runner.status();
  health::Wish wish;
  wish.subscriber.backend = BackendId(7);
  wish.spec.target.address = net::IpAddress::V4(Be32::FromHost(0x7f00'0001));
  wish.spec.target.port = 80;
  wish.spec.config.interval_ms = 3'600'000;
  (*runner)->Configure({wish});
  ways.begun.get_future().wait();

  auto status = std::async(std::launch::async, [&] { return (*runner)->StatusOf(BackendId(7)); });
  const bool told = status.wait_for(std::chrono::seconds(10)) == std::future_status::ready;
  ways.end.set_value();
  EXPECT_TRUE(told);
  ASSERT_TRUE(status.get().has_value());
  (*runner)->Stop();
}

}  // namespace
}  // namespace sluice::probe
