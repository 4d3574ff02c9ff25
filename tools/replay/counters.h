#ifndef SLUICE_TOOLS_REPLAY_COUNTERS_H_
#define SLUICE_TOOLS_REPLAY_COUNTERS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tools/replay/engine.h"

namespace sluice::replay {

// Values by name, in the order of a report.
using Counters = std::vector<std::pair<std::string_view, uint64_t>>;

// All counters of an engine at one moment, by the names that reports and expectations use. They count from the engine's
// start; those of a VIP or a backend from when it was added.
struct CounterSnapshot {
  Counters totals;   // the terms of invariant 2 but the drops, in the order of the equation
  Counters dropped;  // by reason, all of them
  Counters rungs;
  std::vector<std::pair<std::string, Counters>> vips;      // that exist, by name
  std::vector<std::pair<std::string, Counters>> backends;  // that exist, by "pool/backend"
  Counters table_v4, table_v6, table_wide, table_stateful;
  uint64_t dropped_total = 0;
  uint64_t entered = 0, left = 0;  // both sides of the equation

  bool balanced() const { return entered == left; }
};

CounterSnapshot ReadCounters(Engine& engine);

// Which counter is meant: {"totals", "", "forwarded"}, {"dropped", "", "vip_icmp"}, {"vips", "www", "packets"}, ...
struct CounterName {
  std::string_view section;
  std::string object;  // of `vips` and `backends`
  std::string_view counter;
};
// Nothing when there is no such VIP or backend.
std::optional<uint64_t> FindCounter(const CounterSnapshot& snapshot, const CounterName& name);

// The counters that each VIP, backend or table has.
inline constexpr std::string_view kVipCounters[] = {"packets", "bytes", "new_flows", "dropped"};
inline constexpr std::string_view kBackendCounters[] = {"packets", "bytes", "flows_started", "flows_ended",
                                                        "flows_alive"};
inline constexpr std::string_view kTableCounters[] = {"entries",  "inserted",    "expired",
                                                      "replaced", "insert_full", "unconfirmed_full"};
inline constexpr std::string_view kTotals[] = {"received", "from_host", "originated",    "forwarded",
                                               "answered", "punted",    "sent_for_host", "held"};

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_COUNTERS_H_
