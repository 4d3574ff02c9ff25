#ifndef SLUICE_TOOLS_SIM_LADDER_ROUTER_H_
#define SLUICE_TOOLS_SIM_LADDER_ROUTER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/sim/director.h"
#include "tools/sim/router.h"

// Sluice's own ladder (dataplane/fwd), with the tables and algorithms that the packet path uses.
namespace sluice::sim {

struct LadderOptions {
  std::string mode;  // of kLadderModes, and behind a colon the pool's policy where it is not Maglev
  // kUp: what goes down is removed, with track_unsafe it is down and gives its connections away; kDrain: it drains, and
  // comes back out of the drain
  uint8_t definition = kUp;
  uint32_t directors = 1;
  uint32_t connections = 70000;  // at a time, of all directors
  uint32_t table_size = 65537;
  SelectFunction select = &fwd::SelectBackend;
};

// How a VIP may keep its connections: the words of `consistency`; with two-tier by cookies, and what spreads flows over
// the directors is a director as well, by the cookies' tier-2 id (first_tier.h).
inline constexpr std::array<std::string_view, 6> kLadderModes = {"hash",   "track",    "track_unsafe",
                                                                 "cookie", "two-tier", "stateful"};

// How its pool may choose: the words of `policy`.
inline constexpr std::array<std::pair<std::string_view, fwd::SchedulingPolicy>, 4> kPolicies = {
    {{"maglev", fwd::SchedulingPolicy::kMaglev},
     {"weighted-round-robin", fwd::SchedulingPolicy::kWeightedRoundRobin},
     {"power-of-two", fwd::SchedulingPolicy::kPowerOfTwo},
     {"least-connections", fwd::SchedulingPolicy::kLeastConnections}}};

// Behind a mode: packets that the hash or an entry places name a second backend (dataplane/fwd/second_chance.h).
inline constexpr std::string_view kSecondChanceSuffix = "+second-chance";

// "MODE" or "MODE:POLICY", of which hash and track_unsafe have Maglev only, with or without the suffix.
bool IsLadderMode(std::string_view text);

// Directors of one cluster behind a router that spreads flows over those that work as Linux does over next hops
// (hash-threshold, RFC 2992). All take up a change at once; of what was before that each knows what it saw itself. What
// the agents on backends do to timestamps is done here by the functions that the directors and the agents are tested
// with.
std::unique_ptr<Router> MakeLadder(const LadderOptions& options);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_LADDER_ROUTER_H_
