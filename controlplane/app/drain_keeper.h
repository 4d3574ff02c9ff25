#ifndef SLUICE_CONTROLPLANE_APP_DRAIN_KEEPER_H_
#define SLUICE_CONTROLPLANE_APP_DRAIN_KEEPER_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/drain/drain_book.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/store/file_journal.h"
#include "dataplane/base/periodic_thread.h"

namespace sluice::app {

// The drains of this process: what they do goes to the reconciler and to the disk; a thread looks at them twice a
// second.
class DrainKeeper final : public drain::Actions {
 public:
  // Everything must live longer. `store`: null where nothing survives the process. `exit`: asks the process to end.
  DrainKeeper(reconcile::Reconciler& reconciler, const model::DataplaneFacts& facts, model::EventSink* events,
              store::FileJournal* store, std::function<void()> exit);
  DrainKeeper(const DrainKeeper&) = delete;
  DrainKeeper& operator=(const DrainKeeper&) = delete;

  drain::DrainBook& book() { return book_; }

  absl::Status SetDrain(const std::vector<drain::Member>& members, bool drain, const model::Author& author) override;
  absl::Status Remove(const std::vector<drain::Member>& members, const model::Author& author) override;
  void Exit() override { exit_(); }
  absl::Status Keep(const std::vector<drain::Drain>& drains) override;

 private:
  void Read();

  reconcile::Reconciler& reconciler_;
  store::FileJournal* const store_;
  const std::function<void()> exit_;
  drain::DrainBook book_;
  std::optional<PeriodicThread> thread_;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_DRAIN_KEEPER_H_
