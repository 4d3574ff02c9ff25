#include "controlplane/reconcile/reconciler.h"

#include <chrono>
#include <utility>

#include "controlplane/model/cookie_ids.h"
#include "controlplane/model/document.h"
#include "controlplane/model/pool_service.h"
#include "controlplane/model/text.h"
#include "controlplane/reconcile/state_spec.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::reconcile {
namespace {

using Clock = std::chrono::steady_clock;

// Slots of each backend, by BackendId.
std::shared_ptr<const std::vector<uint32_t>> CountSlots(const fwd::ForwardingState& state,
                                                        const fwd::ForwardingState* previous,
                                                        const model::Snapshot& before) {
  auto counts = std::make_shared<std::vector<uint32_t>>(state.backend_infos->size(), 0);
  for (size_t id = 0; id < state.pools.size(); ++id) {
    const auto& pool = state.pools[id];
    if (pool == nullptr) continue;
    // A shared table was counted before; its members still have their ids.
    if (previous != nullptr && id < previous->pools.size() && previous->pools[id] == pool) {
      for (const fwd::PoolTable::Member& member : pool->members) {
        (*counts)[member.backend.index()] = before.SlotsOf(member.backend);
      }
      continue;
    }
    for (const uint16_t backend : pool->slots) ++(*counts)[backend];
  }
  return counts;
}

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
                       const fwd::DataplaneView& view, const lb::FlowTimeouts& timeouts)
    : validate_(std::move(validate)), sink_(sink), facts_(view), timeouts_(timeouts) {
  snapshot_.registry = std::make_shared<model::Registry>(limits);
}

void Reconciler::Attach(model::Journal* journal, model::EventSink* events, std::function<uint64_t()> available_bytes) {
  journal_ = journal;
  events_ = events;
  available_bytes_ = std::move(available_bytes);
}

absl::Status Reconciler::CheckVersion(const model::ChangeRequest& request) const {
  const uint64_t version = Current().version;
  if (request.expected_version == 0 || request.expected_version == version) return absl::OkStatus();
  return absl::AbortedError(model::Cat("expected_version: ", request.expected_version, " is not in force, but ",
                                       version,
                                       "; somebody else changed the state: look at it again (`sluicectl history`)"));
}

absl::StatusOr<model::DesiredState> Reconciler::Complete(model::DesiredState desired) const {
  const std::shared_ptr<const model::Registry> current = Current().registry;
  if (desired.seed.empty()) desired.seed = current->seed;
  if (absl::Status status = model::CompleteCookieKeys(*current, &desired); !status.ok()) return status;
  if (absl::Status status = model::CompleteQuicConfigs(*current, &desired); !status.ok()) return status;
  if (const auto complaints = validate_(desired); !complaints.empty()) return Invalid(complaints);
  return desired;
}

absl::StatusOr<Outcome> Reconciler::Start(const model::KeptState& kept, uint64_t version) {
  const std::lock_guard lock(change_mutex_);
  absl::StatusOr<model::DesiredState> complete = Complete(kept.desired);
  if (!complete.ok()) return complete.status();
  absl::StatusOr<model::Change> change = model::Restore(*Current().registry, kept, Context());
  if (!change.ok()) return change.status();
  return Commit(*std::move(change), std::make_shared<const model::DesiredState>(*std::move(complete)),
                {.author = {"start", "Start"}}, version);
}

absl::StatusOr<Outcome> Reconciler::Apply(const model::DesiredState& desired, const model::ChangeRequest& request) {
  const std::lock_guard lock(change_mutex_);
  if (absl::Status status = CheckVersion(request); !status.ok()) return status;
  absl::StatusOr<model::DesiredState> complete = Complete(desired);
  if (!complete.ok()) return complete.status();
  return ApplyLocked(*std::move(complete), request);
}

absl::StatusOr<Outcome> Reconciler::ApplyLocked(model::DesiredState desired, const model::ChangeRequest& request) {
  absl::StatusOr<model::Change> change = model::ApplyDesired(*Current().registry, desired, Context());
  if (!change.ok()) return change.status();
  return Commit(*std::move(change), std::make_shared<const model::DesiredState>(std::move(desired)), request);
}

absl::StatusOr<Outcome> Reconciler::Preview(const model::DesiredState& desired) {
  const std::lock_guard lock(change_mutex_);
  const model::Snapshot now = Current();
  absl::StatusOr<model::DesiredState> complete = Complete(desired);
  if (!complete.ok()) return complete.status();
  absl::StatusOr<model::Change> change = model::ApplyDesired(*now.registry, *complete, Context());
  if (!change.ok()) return change.status();
  Outcome outcome{now.generation, std::move(change->lines), now.version, {}, {}};
  if (outcome.changes.empty() || state_ == nullptr) return outcome;
  const auto state = Build(change->next, &outcome.impact);
  if (!state.ok() && outcome.impact.fits()) return state.status();
  if (state.ok()) Compare(*now.registry, *state_, change->next, **state, facts_, &outcome.impact);
  return outcome;
}

absl::StatusOr<Outcome> Reconciler::Change(const Edit& edit, std::string_view object,
                                           const model::ChangeRequest& request) {
  const std::lock_guard lock(change_mutex_);
  if (absl::Status status = CheckVersion(request); !status.ok()) return status;
  const model::Snapshot now = Current();
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
  return ApplyLocked(std::move(document), request);
}

absl::StatusOr<Outcome> Reconciler::AddBackend(std::string_view pool, const model::DesiredBackend& backend,
                                               const model::ChangeRequest& request) {
  const std::lock_guard lock(change_mutex_);
  if (absl::Status status = CheckVersion(request); !status.ok()) return status;
  const std::shared_ptr<const model::Registry> current = Current().registry;
  absl::StatusOr<model::Change> change = model::AddBackend(*current, pool, backend, Context());
  if (!change.ok()) return change.status();
  const model::DesiredState around = model::DesiredAround(*current, *current->FindPool(pool), backend);
  if (auto complaints = validate_(around); !complaints.empty()) {
    NameNewBackend(around, &complaints);
    return Invalid(complaints);
  }
  return Commit(*std::move(change), nullptr, request);
}

absl::StatusOr<Outcome> Reconciler::RemoveBackend(std::string_view pool, std::string_view backend,
                                                  const model::ChangeRequest& request) {
  return RemoveBackends({{std::string(pool), std::string(backend)}}, request);
}

absl::StatusOr<Outcome> Reconciler::RemoveBackends(const std::vector<model::BackendName>& backends,
                                                   const model::ChangeRequest& request) {
  const std::lock_guard lock(change_mutex_);
  if (absl::Status status = CheckVersion(request); !status.ok()) return status;
  absl::StatusOr<model::Change> change = model::RemoveBackends(*Current().registry, backends, Context());
  if (!change.ok()) return change.status();
  return Commit(*std::move(change), nullptr, request);
}

absl::StatusOr<Outcome> Reconciler::SetDrain(std::string_view pool, std::string_view backend, bool drain,
                                             const model::ChangeRequest& request) {
  return SetDrains({{std::string(pool), std::string(backend)}}, drain, request);
}

absl::StatusOr<Outcome> Reconciler::SetDrains(const std::vector<model::BackendName>& backends, bool drain,
                                              const model::ChangeRequest& request) {
  const std::lock_guard lock(change_mutex_);
  if (absl::Status status = CheckVersion(request); !status.ok()) return status;
  absl::StatusOr<model::Change> change = model::SetDrains(*Current().registry, backends, drain);
  if (!change.ok()) return change.status();
  return Commit(*std::move(change), nullptr, request);
}

absl::StatusOr<Outcome> Reconciler::SetHealth(const std::vector<model::HealthUpdate>& updates) {
  const std::lock_guard lock(change_mutex_);
  return SetHealthLocked(updates);
}

absl::StatusOr<Outcome> Reconciler::ReportHealth(std::string_view pool, std::string_view backend, model::Health health,
                                                 std::string reason) {
  const std::lock_guard lock(change_mutex_);
  const std::shared_ptr<const model::Registry> current = Current().registry;
  const auto record = current->GetBackend(pool, backend);
  if (!record.ok()) return record.status();
  return SetHealthLocked({{.backend = (*record)->id,
                           .generation = (*record)->generation,
                           .source = model::HealthSource::kReport,
                           .health = health,
                           .reason = std::move(reason)}});
}

absl::StatusOr<Outcome> Reconciler::SetHealthLocked(const std::vector<model::HealthUpdate>& updates) {
  // Before the first state there are no backends.
  if (state_ == nullptr) return Outcome{};
  const model::Snapshot now = Current();
  return Commit(model::SetHealth(*now.registry, updates, std::chrono::system_clock::now()), nullptr, {}, now.version,
                model::EventKind::kHealth);
}

absl::StatusOr<Outcome> Reconciler::Commit(model::Change change, std::shared_ptr<const model::DesiredState> document,
                                           const model::ChangeRequest& request, std::optional<uint64_t> version,
                                           model::EventKind kind) {
  model::Snapshot next = Current();
  model::PublishStats stats = publish_stats();
  const model::Snapshot before = next;
  if (document != nullptr) next.document = std::move(document);
  Outcome outcome;
  // The first state is published even if it is empty: workers need one to start.
  const bool publishes = !change.lines.empty() || state_ == nullptr;
  const Clock::time_point start = Clock::now();
  std::shared_ptr<const fwd::ForwardingState> state;
  if (publishes) {
    auto built = Build(change.next, &outcome.impact);
    if (!built.ok()) return built.status();
    state = *std::move(built);
  }
  if (version) {
    next.version = *version;
  } else {
    model::KeptState kept = model::Keep(change.next, *next.document);
    // A document may say the same in other words, which must be kept too.
    if (publishes || kept != model::Keep(*before.registry, *before.document)) {
      ++next.version;
      if (absl::Status status = Record(next.version, change.lines, kept, request.author); !status.ok()) return status;
    }
  }
  if (publishes) {
    if (absl::Status status = Publish(state); !status.ok()) {
      if (journal_ != nullptr && next.version != before.version) journal_->Revoke(next.version);
      return status;
    }
    if (state_ != nullptr) Compare(*before.registry, *state_, change.next, *state, facts_, &outcome.impact);
    next.slots = CountSlots(*state, state_.get(), next);
    next.generation = state->generation;
    next.published_at = std::chrono::system_clock::now();
    next.cookie_ids_digest = state->cookie_digest.ids;
    next.cookie_keys_digest = state->cookie_digest.keys;
    state_ = std::move(state);
    stats.last_time = Clock::now() - start;
    stats.time.Observe(stats.last_time);
  }
  next.registry = std::make_shared<const model::Registry>(std::move(change.next));
  outcome.generation = next.generation;
  outcome.version = next.version;
  outcome.changes = std::move(change.lines);
  outcome.alarms = model::PoolAlarms(*before.registry, *next.registry);
  {
    const std::lock_guard lock(snapshot_mutex_);
    snapshot_ = std::move(next);
    publish_stats_ = stats;
  }
  Tell(outcome, kind, request.author);
  return outcome;
}

absl::Status Reconciler::Record(uint64_t version, const std::vector<std::string>& lines, const model::KeptState& kept,
                                const model::Author& author) {
  if (journal_ == nullptr) return absl::OkStatus();
  model::ChangeEntry entry{version, std::chrono::system_clock::now(), author, lines, lines.size()};
  if (lines.size() > model::ChangeEntry::kMaxLines) entry.lines.resize(model::ChangeEntry::kMaxLines);
  const absl::Status status = journal_->Record(entry, kept);
  if (status.ok()) return status;
  return absl::UnavailableError(model::Cat(
      "the change cannot be kept, so it was not made: ", std::string(status.message()), "; mend that and try again"));
}

void Reconciler::Tell(const Outcome& outcome, model::EventKind kind, const model::Author& author) const {
  if (events_ == nullptr) return;
  const auto tell = [&](std::string object, std::string message) {
    model::Event event;
    event.kind = kind;
    event.object = std::move(object);
    event.message = std::move(message);
    if (kind == model::EventKind::kChange) {
      event.user = author.user;
      event.version = outcome.version;
    }
    events_->Publish(std::move(event));
  };
  // Of very many changes the first ones only.
  constexpr size_t kMaxEvents = 100;
  for (size_t i = 0; i < outcome.changes.size() && i < kMaxEvents; ++i) {
    const std::string& line = outcome.changes[i];
    // "~ backend web/web-1: weight 100 -> 50"
    const size_t colon = line.find(": ");
    tell(line.substr(2, colon == std::string::npos ? colon : colon - 2), line);
  }
  if (outcome.changes.size() > kMaxEvents) {
    tell("", model::Cat("and ", outcome.changes.size() - kMaxEvents, " more changes"));
  }
  kind = model::EventKind::kAlarm;
  for (const model::Alarm& alarm : outcome.alarms) tell(alarm.object, alarm.message);
}

absl::StatusOr<std::shared_ptr<const fwd::ForwardingState>> Reconciler::Build(const model::Registry& next,
                                                                              Impact* impact) const {
  const absl::StatusOr<fwd::StateSpec> spec = ToStateSpec(next, timeouts_);
  if (!spec.ok()) return spec.status();
  impact->state_bytes = EstimateBytes(*spec, state_.get());
  impact->available_bytes = available_bytes_ == nullptr ? 0 : available_bytes_();
  if (!impact->fits()) {
    return absl::ResourceExhaustedError(
        model::Cat("the new state takes about ", impact->state_bytes >> 20, " MiB beside the running one, and the ",
                   "machine has ", impact->available_bytes >> 20,
                   " MiB left; give pools a smaller table_size, or the machine more memory"));
  }
  return fwd::BuildState(*spec, NextGeneration(), state_.get());
}

absl::Status Reconciler::Publish(std::shared_ptr<const fwd::ForwardingState> state) {
  const absl::Status status = sink_.Publish(std::move(state));
  if (status.ok()) return status;
  {
    const std::lock_guard lock(snapshot_mutex_);
    ++publish_stats_.refused;
  }
  // To the caller this is a condition that passes, not a limit of what can be configured.
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::UnavailableError(
      model::Cat(std::string(status.message()), "; nothing was changed, try again in a moment"));
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
