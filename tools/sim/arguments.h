#ifndef SLUICE_TOOLS_SIM_ARGUMENTS_H_
#define SLUICE_TOOLS_SIM_ARGUMENTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "tools/sim/workload.h"

namespace sluice::sim {

struct Arguments {
  WorkloadOptions workload;
  std::vector<std::string> modes;  // names of kModes
  bool json = false;
  bool help = false;
};

inline constexpr char kUsage[] =
    R"(sluice-sim [OPTIONS]: connections that changes of servers and directors break, by the standard churn workload

  --modes NAME,...         what to simulate (default: all): hash, track, track_unsafe, cookie, stateful: Sluice's own ladder by
                           the VIP's consistency; two-tier: cookies, and a first tier that spreads over the directors;
                           and MODE:POLICY with a policy of the pool's: weighted-round-robin, power-of-two,
                           least-connections, as in cookie:power-of-two; with +second-chance behind it, packets name a
                           second backend;
                           mod-n, maglev, rendezvous, maglev+second-chance, rendezvous+second-chance: what others do
  --seconds S              length of the run (1000; published figures have 10000)
  --updates N              servers that go down in a minute (15.6)
  --servers N              (468)
  --connections N          at a time (70000)
  --directors N            (4)
  --director-updates N     directors that end in a minute (0)
  --director-down S        mean time until one is back, with empty tables (60)
  --no-timestamps SHARE    of connections whose packets carry no timestamps, 0 to 1 (0.1)
  --changes STEP,...       these and nothing else, while all connections stay, as in s-4,open,s+4,d-2,d+2: server 4 is not
                           there, connections begin, it comes, director 2 ends, and returns with empty tables
  --seed N                 the same seed and options give the same result (1)
  --json                   one JSON object instead of a table
  --help
)";

// Errors: kInvalidArgument, and the message names the option.
absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_ARGUMENTS_H_
