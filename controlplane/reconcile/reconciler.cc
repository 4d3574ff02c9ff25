#include "controlplane/reconcile/reconciler.h"

#include <chrono>
#include <utility>

#include "controlplane/model/cookie_ids.h"
#include "controlplane/model/document.h"
#include "controlplane/model/text.h"

namespace sluice::reconcile {
namespace {

absl::Status Invalid(const std::vector<model::Complaint>& complaints) {
  std::string lines;
  for (const model::Complaint& complaint : complaints) {
    lines += model::Cat(lines.empty() ? "" : "\n", complaint.field, ": ", complaint.message);
  }
  return absl::InvalidArgumentError(lines);
}

// Paths into a desired state that the caller has never seen say nothing to him: the new backend, which is the last of
// the first pool, is called what it is called in the request, and so is everything that it does not get on with.
void NameNewBackend(const model::DesiredState& around, std::vector<model::Complaint>* complaints) {
  const std::string path = model::Cat("services.pools[0].backends[", around.pools[0].backends.size() - 1, "]");
  for (model::Complaint& complaint : *complaints) {
    const bool of_backend = complaint.field.starts_with(path);
    complaint.field = of_backend ? "backend" + complaint.field.substr(path.size()) : "backend";
  }
}

}  // namespace

Reconciler::Reconciler(const model::Limits& limits, model::Validator validate, fwd::StateSink& sink,
                       const fwd::DataplaneView& view, const NodePart& node, std::function<model::SteadyTime()> clock)
    : validate_(std::move(validate)), sink_(sink), facts_(view), node_(node), clock_(std::move(clock)) {
  snapshot_.registry = std::make_shared<model::Registry>(limits);
}

void Reconciler::Attach(model::Journal* journal, model::EventSink* events, std::function<uint64_t()> available_bytes) {
  journal_ = journal;
  events_ = events;
  available_bytes_ = std::move(available_bytes);
}

absl::StatusOr<model::DesiredState> Reconciler::Complete(const model::Registry& current,
                                                         model::DesiredState desired) const {
  if (desired.seed.empty()) desired.seed = current.seed;
  if (absl::Status status = model::CompleteCookieKeys(current, &desired); !status.ok()) return status;
  if (absl::Status status = model::CompleteQuicConfigs(current, &desired); !status.ok()) return status;
  if (const auto complaints = validate_(desired); !complaints.empty()) return Invalid(complaints);
  return desired;
}

absl::StatusOr<Outcome> Reconciler::Start(const model::KeptState& kept, uint64_t version) {
  const auto prepare = [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    absl::StatusOr<model::DesiredState> complete = Complete(*now.registry, kept.desired);
    if (!complete.ok()) return complete.status();
    absl::StatusOr<model::Change> change = model::Restore(*now.registry, kept, Context());
    if (!change.ok()) return change.status();
    return Prepared{*std::move(change), std::make_shared<const model::DesiredState>(*std::move(complete))};
  };
  return Submit({.author = {"start", "Start"}}, prepare, {.recorded = false, .version = version});
}

absl::StatusOr<Outcome> Reconciler::Apply(const model::DesiredState& desired, const model::ChangeRequest& request) {
  return Submit(request, [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    absl::StatusOr<model::DesiredState> complete = Complete(*now.registry, desired);
    if (!complete.ok()) return complete.status();
    return PrepareApply(*now.registry, *std::move(complete));
  });
}

absl::StatusOr<Reconciler::Prepared> Reconciler::PrepareApply(const model::Registry& current,
                                                              model::DesiredState desired) const {
  absl::StatusOr<model::Change> change = model::ApplyDesired(current, desired, Context());
  if (!change.ok()) return change.status();
  return Prepared{*std::move(change), std::make_shared<const model::DesiredState>(std::move(desired))};
}

absl::StatusOr<Outcome> Reconciler::Preview(const model::DesiredState& desired) {
  const std::lock_guard lock(change_mutex_);
  const model::Snapshot now = Current();
  absl::StatusOr<model::DesiredState> complete = Complete(*now.registry, desired);
  if (!complete.ok()) return complete.status();
  absl::StatusOr<model::Change> change = model::ApplyDesired(*now.registry, *complete, Context());
  if (!change.ok()) return change.status();
  Outcome outcome{now.generation, std::move(change->lines), now.version, {}, {}};
  if (outcome.changes.empty() || state_ == nullptr) return outcome;
  const auto state = Build(change->next, &outcome.impact);
  if (!state.ok() && outcome.impact.fits()) return state.status();
  if (state.ok()) Compare(*now.registry, *state_, change->next, **state, &outcome.impact);
  if (state.ok()) outcome.impact.flows_on_removed = FlowsOnRemoved(*now.registry, change->next, facts_);
  return outcome;
}

absl::StatusOr<Outcome> Reconciler::Change(const Edit& edit, std::string_view object,
                                           const model::ChangeRequest& request) {
  return Submit(request, [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    model::DesiredState document = model::DocumentOf(*now.registry, *now.document);
    std::string path;
    if (absl::Status status = edit(document, &path); !status.ok()) return status;
    if (auto complaints = validate_(document); !complaints.empty()) {
      for (model::Complaint& complaint : complaints) {
        const bool of_object = !path.empty() && complaint.field.starts_with(path);
        complaint.field = of_object ? model::Cat(object, complaint.field.substr(path.size())) : std::string(object);
      }
      return Invalid(complaints);
    }
    return PrepareApply(*now.registry, std::move(document));
  });
}

absl::StatusOr<Outcome> Reconciler::AddBackend(std::string_view pool, const model::DesiredBackend& backend,
                                               const model::ChangeRequest& request) {
  return Submit(request, [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    absl::StatusOr<model::Change> change = model::AddBackend(*now.registry, pool, backend, Context());
    if (!change.ok()) return change.status();
    const model::DesiredState around = model::DesiredAround(*now.registry, *now.registry->FindPool(pool), backend);
    if (auto complaints = validate_(around); !complaints.empty()) {
      NameNewBackend(around, &complaints);
      return Invalid(complaints);
    }
    return Prepared{*std::move(change)};
  });
}

absl::StatusOr<Outcome> Reconciler::RemoveBackend(std::string_view pool, std::string_view backend,
                                                  const model::ChangeRequest& request) {
  return RemoveBackends({{std::string(pool), std::string(backend)}}, request);
}

absl::StatusOr<Outcome> Reconciler::RemoveBackends(const std::vector<model::BackendName>& backends,
                                                   const model::ChangeRequest& request) {
  return Submit(request, [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    absl::StatusOr<model::Change> change = model::RemoveBackends(*now.registry, backends, Context());
    if (!change.ok()) return change.status();
    return Prepared{*std::move(change)};
  });
}

absl::StatusOr<Outcome> Reconciler::SetDrain(std::string_view pool, std::string_view backend, bool drain,
                                             const model::ChangeRequest& request) {
  return SetDrains({{std::string(pool), std::string(backend)}}, drain, request);
}

absl::StatusOr<Outcome> Reconciler::SetDrains(const std::vector<model::BackendName>& backends, bool drain,
                                              const model::ChangeRequest& request) {
  return Submit(request, [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    absl::StatusOr<model::Change> change = model::SetDrains(*now.registry, backends, drain);
    if (!change.ok()) return change.status();
    return Prepared{*std::move(change)};
  });
}

absl::StatusOr<Outcome> Reconciler::SetHealth(const std::vector<model::HealthUpdate>& updates) {
  // Before the first state there are no backends.
  if (Current().generation == 0) return Outcome{};
  return Submit({},
                [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
                  return Prepared{model::SetHealth(*now.registry, updates, std::chrono::system_clock::now())};
                },
                {.recorded = false, .version = 0, .kind = model::EventKind::kHealth});
}

absl::Status Reconciler::AdvanceWeights(const std::vector<model::LoadPercent>& loads) {
  const model::Snapshot current = Current();
  if (current.generation == 0 || (loads.empty() && !model::StartsSlowly(*current.registry))) return absl::OkStatus();
  const auto prepare = [&](const model::Snapshot& now) -> absl::StatusOr<Prepared> {
    model::Change change{*now.registry, {}};
    change.publishes = model::AdvanceWeights(clock_(), loads, &change.next);
    return Prepared{std::move(change)};
  };
  return Submit({}, prepare, {.recorded = false, .version = 0, .kind = model::EventKind::kHealth}).status();
}

absl::StatusOr<Outcome> Reconciler::ReportHealth(std::string_view pool, std::string_view backend, model::Health health,
                                                 std::string reason) {
  const std::shared_ptr<const model::Registry> current = Current().registry;
  const auto record = current->GetBackend(pool, backend);
  if (!record.ok()) return record.status();
  return SetHealth({{.backend = (*record)->id,
                     .generation = (*record)->generation,
                     .source = model::HealthSource::kReport,
                     .health = health,
                     .reason = std::move(reason)}});
}

model::ChangeContext Reconciler::Context() const {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return {NextGeneration(), facts_,
          static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(now).count())};
}

uint64_t Reconciler::NextGeneration() const { return state_ == nullptr ? 1 : state_->generation + 1; }

model::Snapshot Reconciler::Current() const {
  const std::lock_guard lock(snapshot_mutex_);
  return snapshot_;
}

model::PublishStats Reconciler::publish_stats() const {
  const std::lock_guard lock(snapshot_mutex_);
  return publish_stats_;
}

}  // namespace sluice::reconcile
