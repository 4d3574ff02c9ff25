#ifndef SLUICE_CONTROLPLANE_MODEL_CHANGES_H_
#define SLUICE_CONTROLPLANE_MODEL_CHANGES_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/dataplane_facts.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/registry.h"

// Every change of the truth, as a pure function from one registry to the next. An error leaves no trace. The functions
// trust that the desired values are valid (Validator) and check what depends on the registry.
namespace sluice::model {

struct ChangeContext {
  // Generation of the state that will first show the change.
  uint64_t generation = 0;
  const DataplaneFacts& facts;
  uint64_t now_unix_s = 0;
};

struct Change {
  Registry next;
  // One line for each object: "+ ..." added, "- ..." removed, "~ ..." changed. Empty: nothing differs.
  std::vector<std::string> lines;
  // There is something new for the workers although no line tells of it.
  bool publishes = false;
};

// Replaces the whole desired state; an empty seed stands for the one in force. A pool is known by its name, a backend
// by its address and port in the pool, a VIP by address or prefix, protocol and ports: what stays keeps its id, and
// with it its connections, even under a new name (its counters then begin anew). An operator's drain of a backend that
// stays remains unless `desired` sets its `drain`, and so does its cookie id. kResourceExhausted: ids of either kind.
// kFailedPrecondition: another seed; a cookie id that rests for another backend. kNotFound: a cookie key's secret.
absl::StatusOr<Change> ApplyDesired(const Registry& current, const DesiredState& desired, const ChangeContext& context);

// kNotFound: no such pool. kAlreadyExists: the pool has a backend of the name or the address. kResourceExhausted: ids.
absl::StatusOr<Change> AddBackend(const Registry& current, std::string_view pool, const DesiredBackend& backend,
                                  const ChangeContext& context);
// kNotFound: no such pool or backend.
absl::StatusOr<Change> RemoveBackend(const Registry& current, std::string_view pool, std::string_view backend,
                                     const ChangeContext& context);
// The operator's word: it replaces the document's until the next ApplyDesired. kNotFound: no such pool or backend.
absl::StatusOr<Change> SetDrain(const Registry& current, std::string_view pool, std::string_view backend, bool drain);

struct BackendName {
  std::string pool;
  std::string backend;
};
// The same of several backends at once, all or none.
absl::StatusOr<Change> RemoveBackends(const Registry& current, const std::vector<BackendName>& backends,
                                      const ChangeContext& context);
absl::StatusOr<Change> SetDrains(const Registry& current, const std::vector<BackendName>& backends, bool drain);

// Health is nobody's wish. Updates of backends that are gone are passed over. Lines tell of backends that go up or
// down; a word that does not decide is remembered without one.
Change SetHealth(const Registry& current, const std::vector<HealthUpdate>& updates,
                 std::chrono::system_clock::time_point now);

// What a new backend of `pool` must be valid in, as a desired state of its own: the pool with one more backend, which
// comes first, and all VIPs, in whose addresses and prefixes it must not be. The other pools, which cannot be touched
// by it, are there without their backends.
DesiredState DesiredAround(const Registry& registry, const PoolRecord& pool, const DesiredBackend& extra);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_CHANGES_H_
