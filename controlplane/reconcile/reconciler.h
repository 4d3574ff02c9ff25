#ifndef SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_
#define SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/model/changes.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/snapshot.h"
#include "controlplane/reconcile/outcome.h"
#include "controlplane/reconcile/view_facts.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/lb/flow_timeouts.h"

namespace sluice::reconcile {

// The one way from a wish to the workers: truth -> ForwardingState -> StateSink. Changes come one at a time; each is
// tried on a copy of the truth, and the copy becomes the truth only once the data plane took the state made from it.
// All methods on any thread. Errors of all changes, beside those of the model (changes.h): kInvalidArgument from the
// validator or the state builder; kUnavailable when the data plane does not take states at the moment (try again). No
// error leaves a trace.
class Reconciler : public model::SnapshotSource {
 public:
  // `sink` and `view` must live longer. `timeouts`: the node's, of VIPs that do not say otherwise.
  Reconciler(const model::Limits& limits, model::Validator validate, fwd::StateSink& sink,
             const fwd::DataplaneView& view, const lb::FlowTimeouts& timeouts = {});

  // Replaces the desired state; an empty seed stands for the one in force. Publishes nothing when nothing differs,
  // but for the first time.
  absl::StatusOr<Outcome> Apply(const model::DesiredState& desired);
  absl::StatusOr<Outcome> AddBackend(std::string_view pool, const model::DesiredBackend& backend);
  absl::StatusOr<Outcome> RemoveBackend(std::string_view pool, std::string_view backend);
  absl::StatusOr<Outcome> SetDrain(std::string_view pool, std::string_view backend, bool drain);
  // What checkers found, which is nobody's wish: it is not a part of the desired state, and forgotten at the end of the
  // process. Backends that are gone are passed over.
  absl::StatusOr<Outcome> SetHealth(const std::vector<model::HealthUpdate>& updates);
  // Of one backend by its names. kNotFound: no such pool or backend.
  absl::StatusOr<Outcome> SetHealth(std::string_view pool, std::string_view backend, model::Health health);

  model::Snapshot Current() const override;
  model::PublishStats publish_stats() const override;

 private:
  // All of these with change_mutex_ held.
  uint64_t NextGeneration() const;
  model::ChangeContext Context() const { return {NextGeneration(), facts_}; }
  absl::StatusOr<Outcome> Commit(model::Change change);
  absl::StatusOr<std::shared_ptr<const fwd::ForwardingState>> Publish(const model::Registry& next);

  const model::Validator validate_;
  fwd::StateSink& sink_;
  const ViewFacts facts_;
  const lb::FlowTimeouts timeouts_;

  // Serialises changes. Readers never wait for it.
  std::mutex change_mutex_;
  // The newest state that the data plane took; null before the first.
  std::shared_ptr<const fwd::ForwardingState> state_;

  mutable std::mutex snapshot_mutex_;
  model::Snapshot snapshot_;
  model::PublishStats publish_stats_;
};

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_
