#include "controlplane/app/drain_keeper.h"

#include <chrono>
#include <utility>

#include "controlplane/drain/drain_text.h"
#include "dataplane/base/log.h"

namespace sluice::app {
namespace {

constexpr std::chrono::milliseconds kLook(500);
constexpr const char kNote[] = "drains";

std::vector<model::BackendName> NamesOf(const std::vector<drain::Member>& members) {
  std::vector<model::BackendName> names;
  for (const drain::Member& member : members) names.push_back({member.pool, member.backend});
  return names;
}

absl::Status Logged(std::string_view what, const absl::StatusOr<reconcile::Outcome>& outcome) {
  if (!outcome.ok()) return outcome.status();
  reconcile::LogOutcome(what, *outcome);
  return absl::OkStatus();
}

}  // namespace

DrainKeeper::DrainKeeper(reconcile::Reconciler& reconciler, const model::DataplaneFacts& facts,
                         model::EventSink* events, store::FileJournal* store, std::function<void()> exit)
    : reconciler_(reconciler), store_(store), exit_(std::move(exit)), book_(reconciler, facts, *this, events) {
  Read();
  thread_.emplace("sluice-drains", kLook, [this] { book_.Tick(std::chrono::system_clock::now()); });
}

void DrainKeeper::Read() {
  if (store_ == nullptr) return;
  const absl::StatusOr<std::string> text = store_->ReadNote(kNote);
  if (absl::IsNotFound(text.status())) return;
  absl::StatusOr<std::vector<drain::Drain>> drains = text.ok() ? drain::FromText(*text) : text.status();
  if (!drains.ok()) {
    SLUICE_LOG(kError) << "drains: those of before are forgotten (backends that drained still do): "
                       << drains.status().message();
    return;
  }
  book_.Restore(*std::move(drains), std::chrono::system_clock::now());
  if (const std::string why = book_.WhyWithdrawn(); !why.empty()) {
    SLUICE_LOG(kWarning) << "drains: this node is still " << why << "; `sluicectl undrain node` ends that";
  }
}

absl::Status DrainKeeper::SetDrain(const std::vector<drain::Member>& members, bool drain, const model::Author& author) {
  return Logged(drain ? "drain" : "end of a drain", reconciler_.SetDrains(NamesOf(members), drain, {.author = author}));
}

absl::Status DrainKeeper::Remove(const std::vector<drain::Member>& members, const model::Author& author) {
  return Logged("end of a drain", reconciler_.RemoveBackends(NamesOf(members), {.author = author}));
}

absl::Status DrainKeeper::Keep(const std::vector<drain::Drain>& drains) {
  if (store_ == nullptr) return absl::OkStatus();
  absl::Status status = store_->WriteNote(kNote, drain::ToText(drains));
  if (!status.ok()) {
    SLUICE_LOG(kError) << "drains: cannot be kept: " << status.message();
  }
  return status;
}

}  // namespace sluice::app
