#ifndef SLUICE_TESTS_STAGE_TRACKED_VIPS_H_
#define SLUICE_TESTS_STAGE_TRACKED_VIPS_H_

#include <string>

#include "tests/stage/two_directors.h"

namespace sluice::test {

// VIPs of each kind of packet that has loops of its own: with connection tracking behind L2 and a tunnel, without it,
// and of another policy than the pool's table.
class TrackedVipsTest : public TwoDirectorsRunsTest {
 protected:
  TrackedVipsTest() {
    using Mode = fwd::ForwardingMode;
    for (const Kind& kind : kKinds) {
      const char* const vip = VipOf(kind);
      AddVip(vip, kind.protocol, kL2Port, Mode::kL2);
      AddVip(vip, kind.protocol, kIpipPort, Mode::kIpip);
      fixture_.Vip(AddVip(vip, kind.protocol, kHashPort, Mode::kIpip)).entry.tracked = false;
      const PoolId by_turns = fixture_.Vip(AddVip(vip, kind.protocol, kTurnsPort, Mode::kIpip)).entry.pool;
      fixture_.spec().pools[by_turns.index()].policy = fwd::SchedulingPolicy::kWeightedRoundRobin;
    }
    Rebuild();
    LimitUnconfirmed(kConnections);
  }

  static const char* VipOf(const Kind& kind) { return kind.v4 ? "203.0.113.20" : "2001:db8:f::20"; }

  void LimitUnconfirmed(size_t limit) {
    for (Director* const director : {common_.get(), stages_.get()})
      director->tables.v4().unconfirmed_limit = director->tables.v6().unconfirmed_limit = limit;
  }

  // All connections are over, and both directors have noticed.
  void EndAll() {
    now_s_ += 5000;
    for (Director* const director : {common_.get(), stages_.get()}) {
      // A pass may have begun before.
      for (int pass = 0; pass < 2; ++pass)
        director->tables.Sweep(director->tables.bucket_count(), now_s_, *state_, director->counters);
    }
  }

  static constexpr uint16_t kL2Port = 80, kIpipPort = 81, kHashPort = 84, kTurnsPort = 86;
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_TRACKED_VIPS_H_
