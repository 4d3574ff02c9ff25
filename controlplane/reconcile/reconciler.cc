#include "controlplane/reconcile/reconciler.h"

#include <chrono>
#include <utility>

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

absl::StatusOr<Outcome> Reconciler::Apply(const model::DesiredState& desired) {
  const std::lock_guard lock(change_mutex_);
  const std::shared_ptr<const model::Registry> current = Current().registry;
  model::DesiredState complete = desired;
  if (complete.seed.empty()) complete.seed = current->seed;
  if (const auto complaints = validate_(complete); !complaints.empty()) return Invalid(complaints);
  absl::StatusOr<model::Change> change = model::ApplyDesired(*current, complete, Context());
  if (!change.ok()) return change.status();
  return Commit(*std::move(change));
}

absl::StatusOr<Outcome> Reconciler::AddBackend(std::string_view pool, const model::DesiredBackend& backend) {
  const std::lock_guard lock(change_mutex_);
  const std::shared_ptr<const model::Registry> current = Current().registry;
  absl::StatusOr<model::Change> change = model::AddBackend(*current, pool, backend, Context());
  if (!change.ok()) return change.status();
  const model::DesiredState around = model::DesiredAround(*current, *current->FindPool(pool), backend);
  if (auto complaints = validate_(around); !complaints.empty()) {
    NameNewBackend(around, &complaints);
    return Invalid(complaints);
  }
  return Commit(*std::move(change));
}

absl::StatusOr<Outcome> Reconciler::RemoveBackend(std::string_view pool, std::string_view backend) {
  const std::lock_guard lock(change_mutex_);
  absl::StatusOr<model::Change> change = model::RemoveBackend(*Current().registry, pool, backend, Context());
  if (!change.ok()) return change.status();
  return Commit(*std::move(change));
}

absl::StatusOr<Outcome> Reconciler::SetDrain(std::string_view pool, std::string_view backend, bool drain) {
  const std::lock_guard lock(change_mutex_);
  absl::StatusOr<model::Change> change = model::SetDrain(*Current().registry, pool, backend, drain);
  if (!change.ok()) return change.status();
  return Commit(*std::move(change));
}

absl::StatusOr<Outcome> Reconciler::SetHealth(const std::vector<model::HealthUpdate>& updates) {
  const std::lock_guard lock(change_mutex_);
  return Commit(model::SetHealth(*Current().registry, updates));
}

absl::StatusOr<Outcome> Reconciler::SetHealth(std::string_view pool, std::string_view backend, model::Health health) {
  const std::lock_guard lock(change_mutex_);
  const std::shared_ptr<const model::Registry> current = Current().registry;
  const auto record = current->GetBackend(pool, backend);
  if (!record.ok()) return record.status();
  return Commit(model::SetHealth(*current, {{(*record)->id, (*record)->generation, health}}));
}

absl::StatusOr<Outcome> Reconciler::Commit(model::Change change) {
  model::Snapshot next = Current();
  model::PublishStats stats = publish_stats();
  // The first state is published even if it is empty: workers need one to start.
  if (!change.lines.empty() || state_ == nullptr) {
    const Clock::time_point start = Clock::now();
    auto state = Publish(change.next);
    if (!state.ok()) return state.status();
    next.slots = CountSlots(**state, state_.get(), next);
    next.generation = (*state)->generation;
    next.published_at = std::chrono::system_clock::now();
    state_ = *std::move(state);
    ++stats.published;
    stats.last_time = Clock::now() - start;
    stats.total_time += stats.last_time;
  }
  next.registry = std::make_shared<const model::Registry>(std::move(change.next));
  const std::lock_guard lock(snapshot_mutex_);
  snapshot_ = std::move(next);
  publish_stats_ = stats;
  return Outcome{snapshot_.generation, std::move(change.lines)};
}

absl::StatusOr<std::shared_ptr<const fwd::ForwardingState>> Reconciler::Publish(const model::Registry& next) {
  const absl::StatusOr<fwd::StateSpec> spec = ToStateSpec(next, timeouts_);
  if (!spec.ok()) return spec.status();
  auto state = fwd::BuildState(*spec, NextGeneration(), state_.get());
  if (!state.ok()) return state.status();
  const absl::Status status = sink_.Publish(*state);
  if (status.ok()) return state;
  {
    const std::lock_guard lock(snapshot_mutex_);
    ++publish_stats_.refused;
  }
  // To the caller this is a condition that passes, not a limit of what can be configured.
  if (!absl::IsResourceExhausted(status)) return status;
  return absl::UnavailableError(
      model::Cat(std::string(status.message()), "; nothing was changed, try again in a moment"));
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
