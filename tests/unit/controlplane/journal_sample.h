#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_JOURNAL_SAMPLE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_JOURNAL_SAMPLE_H_

#include <chrono>
#include <cstdint>
#include <string>

#include "config/dump.h"
#include "controlplane/model/journal.h"
#include "controlplane/store/state_file.h"
#include "tests/unit/controlplane/sample.h"

// Changes and states for tests of what keeps them.
namespace sluice::store {

inline model::ChangeEntry Entry(uint64_t version) {
  model::ChangeEntry entry;
  entry.version = version;
  entry.at = std::chrono::system_clock::time_point(std::chrono::milliseconds(1764345600123));
  entry.author = {"alice \"x\"\n", "Apply"};
  entry.lines = {"+ backend web/web-1: 10.0.0.1", "line\nwith a break"};
  entry.lines_total = 7;
  return entry;
}

inline model::KeptState State(uint32_t weight = 100) {
  model::KeptState state;
  state.desired = SampleServices();
  state.desired.pools[0].backends[0].weight = weight;
  state.desired.pools.push_back({.name = "spare", .table_size = 251, .backends = {}});
  state.desired.pools[0].policy = {.on_down = config::OnDown::kReset,
                                   .no_backend = config::NoBackend::kIcmp,
                                   .backup = "spare",
                                   .panic_threshold_percent = 40,
                                   .slow_start_s = 45};
  state.operator_drains = {{"web", "web-2"}};
  return state;
}

// As it was written before changes were compressed.
inline std::string Plain(uint64_t version, const model::KeptState& state) {
  return Seal("version: " + std::to_string(version) + "\nunix_ms: 1\nuser: alice\naction: Apply\nlines: 0\n" +
              config::DumpServices(state.desired));
}

}  // namespace sluice::store

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_JOURNAL_SAMPLE_H_
