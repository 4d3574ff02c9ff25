#ifndef SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_
#define SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
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
#include "controlplane/model/weights.h"
#include "controlplane/reconcile/outcome.h"
#include "controlplane/reconcile/timeouts.h"
#include "controlplane/reconcile/view_facts.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/interfaces.h"

namespace sluice::reconcile {

// The one way from a wish to the workers: truth -> ForwardingState -> StateSink. Changes come one after the other; each
// is tried on a copy of the truth, and the copy becomes the truth only once the data plane took the state made from it.
// Those that come while a state is made wait, and then are one state together: each with its version, its entry in the
// journal, and its own answer, which none gets before it is kept and published.
// All methods on any thread. Errors of all changes, beside those of the model (changes.h): kInvalidArgument from the
// validator or the state builder; kUnavailable when the data plane does not take states or the journal cannot be
// written at the moment (try again); kAborted when the author has not seen the version in force. No error leaves a
// trace.
class Reconciler : public model::SnapshotSource {
 public:
  // `sink` and `view` must live longer. `node`: what VIPs have of the machine they are on. `clock`: of slow
  // starts.
  Reconciler(const model::Limits& limits, model::Validator validate, fwd::StateSink& sink,
             const fwd::DataplaneView& view, const NodePart& node = {},
             std::function<model::SteadyTime()> clock = std::chrono::steady_clock::now);

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

  // Takes slow starts further and lets reports of load count; to be called about twice a second. No version, no events;
  // at most one state. kUnavailable: the workers did not take it; the next call tries again.
  absl::Status AdvanceWeights(const std::vector<model::LoadPercent>& loads);

  model::Snapshot Current() const override;
  model::PublishStats publish_stats() const override;
  // Changes that have come and are not begun with. Any thread.
  size_t waiting() const;

 private:
  // What a change makes of the truth. `document`: what is desired from now on; null: as before.
  struct Prepared {
    model::Change change;
    std::shared_ptr<const model::DesiredState> document = nullptr;
  };
  using Prepare = std::function<absl::StatusOr<Prepared>(const model::Snapshot& now)>;
  struct Keeping {
    // Whether a version and an entry in the journal tell of the change, where it differs in what is to be kept.
    bool recorded = true;
    // Of one that is in the journal already.
    uint64_t version = 0;
    model::EventKind kind = model::EventKind::kChange;
  };
  // A change that waits in the frame of its caller.
  struct Ticket {
    const Prepare& prepare;
    const model::ChangeRequest& request;
    Keeping keeping;
    std::optional<absl::StatusOr<Outcome>> result = std::nullopt;
  };
  // More are not one state: all of them are to be in the history.
  static constexpr size_t kMaxTogether = 32;

  // Does the change, or waits until another caller has done it along with its own. `prepare` may run on that one's
  // thread, with change_mutex_ held.
  absl::StatusOr<Outcome> Submit(const model::ChangeRequest& request, const Prepare& prepare, Keeping keeping);
  absl::StatusOr<Outcome> Submit(const model::ChangeRequest& request, const Prepare& prepare);
  // All of these with change_mutex_ held.
  std::vector<Ticket*> TakeTickets();
  // Gives all of them results, as one state where that is possible.
  void Do(const std::vector<Ticket*>& tickets);
  // False: they cannot be one state, and have no results.
  bool DoTogether(const std::vector<Ticket*>& tickets);
  // `now` becomes what the change makes of it, and `publishes` true where workers are to see it.
  absl::StatusOr<Outcome> Admit(const Ticket& ticket, model::Snapshot* now, std::vector<model::RecordedChange>* records,
                                bool* publishes) const;
  // `next` becomes what all see; the state is null where nothing differs that workers see. `start`: of making it.
  absl::Status Bring(std::shared_ptr<const fwd::ForwardingState> state,
                     const std::vector<model::RecordedChange>& records, model::Snapshot next,
                     std::chrono::steady_clock::time_point start, Impact* impact);
  uint64_t NextGeneration() const;
  model::ChangeContext Context() const;
  absl::StatusOr<Prepared> PrepareApply(const model::Registry& current, model::DesiredState desired) const;
  absl::StatusOr<model::DesiredState> Complete(const model::Registry& current, model::DesiredState desired) const;
  // Fills in the parts of `impact` that concern memory; kResourceExhausted when it does not suffice.
  absl::StatusOr<std::shared_ptr<const fwd::ForwardingState>> Build(const model::Registry& next, Impact* impact) const;
  absl::Status Publish(std::shared_ptr<const fwd::ForwardingState> state);
  void Tell(const Outcome& outcome, model::EventKind kind, const model::Author& author) const;

  const model::Validator validate_;
  fwd::StateSink& sink_;
  const ViewFacts facts_;
  const NodePart node_;
  const std::function<model::SteadyTime()> clock_;
  model::Journal* journal_ = nullptr;
  model::EventSink* events_ = nullptr;
  std::function<uint64_t()> available_bytes_;

  // Serialises states. Readers never wait for it.
  std::mutex change_mutex_;
  mutable std::mutex tickets_mutex_;
  std::deque<Ticket*> tickets_;  // the oldest first
  // The newest state that the data plane took; null before the first.
  std::shared_ptr<const fwd::ForwardingState> state_;

  mutable std::mutex snapshot_mutex_;
  model::Snapshot snapshot_;
  model::PublishStats publish_stats_;
};

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_RECONCILER_H_
