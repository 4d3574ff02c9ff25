#ifndef SLUICE_TOOLS_REPLAY_SCENARIO_H_
#define SLUICE_TOOLS_REPLAY_SCENARIO_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/net/address.h"
#include "tools/replay/counters.h"

// A scenario: steps that are taken one after the other on one running state. tools/replay/README.md describes the file.
namespace sluice::replay {

// Lets a capture arrive. Empty fields: the default port, the files of the command line.
struct ReplayStep {
  std::string capture, port, out, host;
};

// Applies the services of a configuration file.
struct ApplyStep {
  std::string file;
  // Set: the change must be refused, and the message must contain this.
  std::optional<std::string> refused;
};

// Changes one backend, as calls of the API do.
struct BackendStep {
  enum class Change : uint8_t { kAdd, kDrain, kUndrain, kWeight, kRemove, kDown, kUp };
  Change change = Change::kDrain;
  std::string name;  // "pool/backend"
  std::optional<net::IpAddress> address;
  std::optional<uint32_t> weight;
  std::optional<std::string> refused;  // as above

  std::string pool() const { return name.substr(0, name.find('/')); }
  std::string backend() const { return name.substr(name.find('/') + 1); }
};

struct AdvanceStep {
  uint32_t seconds = 0;
};

// A counter is what it should be.
struct Expectation {
  enum class Relation : uint8_t { kEqual, kAtLeast, kAtMost };
  CounterName counter;
  std::string path;  // "backends.web/web-1.packets"
  int line = 0;
  Relation relation = Relation::kEqual;
  uint64_t value = 0;

  bool HoldsFor(uint64_t actual) const;
  // "3", "at least 3"
  std::string Expected() const;
};

struct ExpectStep {
  std::vector<Expectation> expectations;
};

struct Step {
  int line = 0;
  std::variant<std::monostate, ReplayStep, ApplyStep, BackendStep, AdvanceStep, ExpectStep> action;
};

struct Scenario {
  std::string file;
  std::vector<Step> steps;
};

// Reads a scenario. Relative paths in it start from its folder and are returned complete. All problems are found in one
// go, each a line "FILE:LINE:COLUMN: FIELD: what is wrong with which value; the remedy".
absl::StatusOr<Scenario> LoadScenario(const std::string& path);

// "replay", "apply", "backend", "advance", "expect"
std::string_view KindOf(const Step& step);
// What the step does, for people: "backend web/web-1: drain".
std::string Describe(const Step& step);
std::string_view ChangeName(BackendStep::Change change);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_SCENARIO_H_
