#ifndef SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_
#define SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/model/changes.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/model/journal.h"
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
// validator or the state builder; kUnavailable when the data plane does not take states or the journal cannot be
// written at the moment (try again); kAborted when the author has not seen the version in force. No error leaves a
// trace.
class Reconciler : public model::SnapshotSource {
 public:
  // `sink` and `view` must live longer. `timeouts`: the node's, of VIPs that do not say otherwise.
  Reconciler(const model::Limits& limits, model::Validator validate, fwd::StateSink& sink,
             const fwd::DataplaneView& view, const lb::FlowTimeouts& timeouts = {});

  // Where changes are written before the workers see them, and told afterwards; both may be null. `available_bytes`
  // says what memory the machine has left; 0: unknown. Before the first change; they must live longer.
  void Attach(model::Journal* journal, model::EventSink* events, std::function<uint64_t()> available_bytes);

  // The first state of a process: one that is in the journal already, as the change `version`.
  absl::StatusOr<Outcome> Start(const model::KeptState& kept, uint64_t version);

  // Replaces the desired state; an empty seed stands for the one in force. Publishes nothing when nothing differs,
  // but for the first time.
  absl::StatusOr<Outcome> Apply(const model::DesiredState& desired, const model::ChangeRequest& request = {});
  // What Apply would do now; changes nothing.
  absl::StatusOr<Outcome> Preview(const model::DesiredState& desired);
  // A single change of the document (model/document.h); complaints about what stands at `path` name `object` instead.
  using Edit = std::function<absl::Status(model::DesiredState& document, std::string* path)>;
  absl::StatusOr<Outcome> Change(const Edit& edit, std::string_view object, const model::ChangeRequest& request = {});
  absl::StatusOr<Outcome> AddBackend(std::string_view pool, const model::DesiredBackend& backend,
                                     const model::ChangeRequest& request = {});
  absl::StatusOr<Outcome> RemoveBackend(std::string_view pool, std::string_view backend,
                                        const model::ChangeRequest& request = {});
  absl::StatusOr<Outcome> SetDrain(std::string_view pool, std::string_view backend, bool drain,
                                   const model::ChangeRequest& request = {});
  // Several at once, all or none.
  absl::StatusOr<Outcome> RemoveBackends(const std::vector<model::BackendName>& backends,
                                         const model::ChangeRequest& request = {});
  absl::StatusOr<Outcome> SetDrains(const std::vector<model::BackendName>& backends, bool drain,
                                    const model::ChangeRequest& request = {});
  // What checkers found, which is nobody's wish: no version, nothing in the journal, forgotten at the end of the
  // process. Backends that are gone are passed over. A batch is one state, however many backends it is about.
  absl::StatusOr<Outcome> SetHealth(const std::vector<model::HealthUpdate>& updates);
  // A report about one backend by its names. kNotFound: no such pool or backend.
  absl::StatusOr<Outcome> ReportHealth(std::string_view pool, std::string_view backend, model::Health health,
                                       std::string reason);

  model::Snapshot Current() const override;
  model::PublishStats publish_stats() const override;

 private:
  // All of these with change_mutex_ held.
  uint64_t NextGeneration() const;
  model::ChangeContext Context() const;
  absl::Status CheckVersion(const model::ChangeRequest& request) const;
  absl::StatusOr<Outcome> ApplyLocked(model::DesiredState desired, const model::ChangeRequest& request);
  absl::StatusOr<model::DesiredState> Complete(model::DesiredState desired) const;
  // `document`: what is desired from now on; null: as before. `version`: the one that is in force afterwards, with
  // nothing to be written; absent: a new one, where something differs that is to be kept.
  absl::StatusOr<Outcome> Commit(model::Change change, std::shared_ptr<const model::DesiredState> document,
                                 const model::ChangeRequest& request, std::optional<uint64_t> version = {},
                                 model::EventKind kind = model::EventKind::kChange);
  absl::StatusOr<Outcome> SetHealthLocked(const std::vector<model::HealthUpdate>& updates);
  // Fills in the parts of `impact` that concern memory; kResourceExhausted when it does not suffice.
  absl::StatusOr<std::shared_ptr<const fwd::ForwardingState>> Build(const model::Registry& next, Impact* impact) const;
  absl::Status Publish(std::shared_ptr<const fwd::ForwardingState> state);
  absl::Status Record(uint64_t version, const std::vector<std::string>& lines, const model::KeptState& kept,
                      const model::Author& author);
  void Tell(const Outcome& outcome, model::EventKind kind, const model::Author& author) const;

  const model::Validator validate_;
  fwd::StateSink& sink_;
  const ViewFacts facts_;
  const lb::FlowTimeouts timeouts_;
  model::Journal* journal_ = nullptr;
  model::EventSink* events_ = nullptr;
  std::function<uint64_t()> available_bytes_;

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
