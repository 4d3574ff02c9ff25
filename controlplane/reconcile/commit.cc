#include <algorithm>
#include <chrono>
#include <utility>

#include "controlplane/model/document.h"
#include "controlplane/model/pool_service.h"
#include "controlplane/model/text.h"
#include "controlplane/model/weights.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/reconcile/state_spec.h"
#include "dataplane/fwd/state_builder.h"

// The part of Reconciler that makes states of changes: those that wait are done together.
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

// By PoolId.
std::shared_ptr<const std::vector<uint32_t>> CountUnsafeSlots(const fwd::ForwardingState& state) {
  auto counts = std::make_shared<std::vector<uint32_t>>(state.pools.size(), 0);
  for (size_t id = 0; id < state.pools.size(); ++id) {
    if (state.pools[id] == nullptr) continue;
    const std::vector<bool>& unsafe = state.pools[id]->unsafe;
    (*counts)[id] = static_cast<uint32_t>(std::count(unsafe.begin(), unsafe.end(), true));
  }
  return counts;
}

absl::Status CheckVersion(const model::ChangeRequest& request, uint64_t version) {
  if (request.expected_version == 0 || request.expected_version == version) return absl::OkStatus();
  return absl::AbortedError(model::Cat("expected_version: ", request.expected_version, " is not in force, but ",
                                       version,
                                       "; somebody else changed the state: look at it again (`sluicectl history`)"));
}

model::ChangeEntry EntryOf(uint64_t version, const std::vector<std::string>& lines, const model::Author& author) {
  model::ChangeEntry entry{version, std::chrono::system_clock::now(), author, lines, lines.size()};
  if (lines.size() > model::ChangeEntry::kMaxLines) entry.lines.resize(model::ChangeEntry::kMaxLines);
  return entry;
}

}  // namespace

absl::StatusOr<Outcome> Reconciler::Submit(const model::ChangeRequest& request, const Prepare& prepare,
                                           Keeping keeping) {
  Ticket mine{.prepare = prepare, .request = request, .keeping = keeping};
  {
    const std::lock_guard lock(tickets_mutex_);
    tickets_.push_back(&mine);
  }
  const std::lock_guard lock(change_mutex_);
  // Until it is done, it is among the tickets.
  while (!mine.result) Do(TakeTickets());
  return *std::move(mine.result);
}

absl::StatusOr<Outcome> Reconciler::Submit(const model::ChangeRequest& request, const Prepare& prepare) {
  return Submit(request, prepare, Keeping());
}

size_t Reconciler::waiting() const {
  const std::lock_guard lock(tickets_mutex_);
  return tickets_.size();
}

std::vector<Reconciler::Ticket*> Reconciler::TakeTickets() {
  const std::lock_guard lock(tickets_mutex_);
  const auto end = tickets_.begin() + static_cast<std::ptrdiff_t>(std::min(tickets_.size(), kMaxTogether));
  std::vector<Ticket*> taken(tickets_.begin(), end);
  tickets_.erase(tickets_.begin(), end);
  return taken;
}

void Reconciler::Do(const std::vector<Ticket*>& tickets) {
  if (DoTogether(tickets)) return;
  // One of them is to blame, and its caller is told.
  for (Ticket* ticket : tickets) DoTogether({ticket});
}

bool Reconciler::DoTogether(const std::vector<Ticket*>& tickets) {
  const model::Snapshot before = Current();
  model::Snapshot next = before;
  std::vector<std::pair<Ticket*, Outcome>> done;
  std::vector<model::RecordedChange> records;
  // The first state is published even if it is empty: workers need one to start.
  bool publishes = state_ == nullptr;
  for (Ticket* ticket : tickets) {
    absl::StatusOr<Outcome> outcome = Admit(*ticket, &next, &records, &publishes);
    if (!outcome.ok()) {
      ticket->result = outcome.status();
      continue;
    }
    done.emplace_back(ticket, *std::move(outcome));
  }
  if (done.empty()) return true;
  const Clock::time_point start = Clock::now();
  Impact impact;
  std::shared_ptr<const fwd::ForwardingState> state;
  absl::Status status;
  if (publishes) {
    auto built = Build(*next.registry, &impact);
    if (!built.ok() && tickets.size() > 1) {
      for (Ticket* ticket : tickets) ticket->result.reset();
      return false;
    }
    status = built.status();
    if (built.ok()) state = *std::move(built);
  }
  if (status.ok()) status = Bring(std::move(state), records, std::move(next), start, &impact);
  if (!status.ok()) {
    for (auto& [ticket, outcome] : done) ticket->result = status;
    return true;
  }
  const model::Snapshot now = Current();
  // What the last of them brought about is what all did.
  done.back().second.alarms = model::PoolAlarms(*before.registry, *now.registry);
  for (auto& [ticket, outcome] : done) {
    const uint64_t flows = outcome.impact.flows_on_removed;
    outcome.impact = impact;
    outcome.impact.flows_on_removed = flows;
    outcome.generation = now.generation;
    Tell(outcome, ticket->keeping.kind, ticket->request.author);
    ticket->result = std::move(outcome);
  }
  return true;
}

absl::StatusOr<Outcome> Reconciler::Admit(const Ticket& ticket, model::Snapshot* now,
                                          std::vector<model::RecordedChange>* records, bool* publishes) const {
  if (absl::Status status = CheckVersion(ticket.request, now->version); !status.ok()) return status;
  absl::StatusOr<Prepared> prepared = ticket.prepare(*now);
  if (!prepared.ok()) return prepared.status();
  const model::Snapshot before = *now;
  model::BeginSlowStarts(*before.registry, clock_(), &prepared->change.next);
  *publishes = *publishes || prepared->change.publishes || !prepared->change.lines.empty();
  now->registry = std::make_shared<const model::Registry>(std::move(prepared->change.next));
  if (prepared->document != nullptr) now->document = std::move(prepared->document);
  Outcome outcome;
  outcome.changes = std::move(prepared->change.lines);
  outcome.impact.flows_on_removed = FlowsOnRemoved(*before.registry, *now->registry, facts_);
  if (ticket.keeping.recorded) {
    model::KeptState kept = model::Keep(*now->registry, *now->document);
    const bool differs = !outcome.changes.empty() || state_ == nullptr ||
                         // A document may say the same in other words, which must be kept too.
                         kept != model::Keep(*before.registry, *before.document);
    if (differs) {
      const uint64_t used = journal_ == nullptr ? 0 : journal_->VersionsUsed();
      now->version = std::max(now->version, used) + 1;
      records->push_back({EntryOf(now->version, outcome.changes, ticket.request.author), std::move(kept)});
    }
  } else if (ticket.keeping.version != 0) {
    now->version = ticket.keeping.version;
  }
  outcome.version = now->version;
  return outcome;
}

absl::Status Reconciler::Bring(std::shared_ptr<const fwd::ForwardingState> state,
                               const std::vector<model::RecordedChange>& records, model::Snapshot next,
                               Clock::time_point start, Impact* impact) {
  if (journal_ != nullptr && !records.empty()) {
    if (absl::Status status = journal_->Record(records); !status.ok()) {
      return absl::UnavailableError(model::Cat("the change cannot be kept, so it was not made: ",
                                               std::string(status.message()), "; mend that and try again"));
    }
  }
  model::PublishStats stats = publish_stats();
  if (state != nullptr) {
    if (absl::Status status = Publish(state); !status.ok()) {
      if (journal_ == nullptr) return status;
      for (auto record = records.rbegin(); record != records.rend(); ++record) journal_->Revoke(record->entry.version);
      return status;
    }
    const model::Snapshot before = Current();
    if (state_ != nullptr) Compare(*before.registry, *state_, *next.registry, *state, impact);
    next.slots = CountSlots(*state, state_.get(), next);
    next.unsafe_slots = CountUnsafeSlots(*state);
    next.generation = state->generation;
    next.published_at = std::chrono::system_clock::now();
    next.cookie_ids_digest = state->cookie_digest.ids;
    next.cookie_keys_digest = state->cookie_digest.keys;
    state_ = std::move(state);
    stats.last_time = Clock::now() - start;
    stats.time.Observe(stats.last_time);
  }
  const std::lock_guard lock(snapshot_mutex_);
  snapshot_ = std::move(next);
  publish_stats_ = stats;
  return absl::OkStatus();
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
  absl::StatusOr<fwd::StateSpec> spec = ToStateSpec(next, node_);
  if (!spec.ok()) return spec.status();
  impact->state_bytes = EstimateBytes(*spec, state_.get());
  impact->available_bytes = available_bytes_ == nullptr ? 0 : available_bytes_();
  if (!impact->fits()) {
    return absl::ResourceExhaustedError(
        model::Cat("the new state takes about ", impact->state_bytes >> 20, " MiB beside the running one, and the ",
                   "machine has ", impact->available_bytes >> 20,
                   " MiB left; give pools a smaller table_size, or the machine more memory"));
  }
  spec->now_s =
      static_cast<uint32_t>(std::chrono::duration_cast<std::chrono::seconds>(clock_().time_since_epoch()).count());
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

}  // namespace sluice::reconcile
