#ifndef SLUICE_CONTROLPLANE_DRAIN_DRAIN_BOOK_H_
#define SLUICE_CONTROLPLANE_DRAIN_DRAIN_BOOK_H_

#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/drain/drain.h"
#include "controlplane/model/dataplane_facts.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/model/journal.h"
#include "controlplane/model/snapshot.h"

namespace sluice::drain {

// What drains do to the world.
class Actions {
 public:
  virtual ~Actions() = default;
  // All of them in one change.
  virtual absl::Status SetDrain(const std::vector<Member>& members, bool drain, const model::Author& author) = 0;
  virtual absl::Status Remove(const std::vector<Member>& members, const model::Author& author) = 0;
  // Asks the process to end.
  virtual void Exit() = 0;
  // Writes down what has to survive the process.
  virtual absl::Status Keep(const std::vector<Drain>& drains) = 0;
};

// All drains, and what becomes of them. The time comes from outside. Any thread; readers never wait for a change.
class DrainBook {
 public:
  // On their way at once: each is a series of the metrics.
  static constexpr size_t kMaxOnTheirWay = 256;

  // Everything must live longer; `events` may be null.
  DrainBook(const model::SnapshotSource& truth, const model::DataplaneFacts& facts, Actions& actions,
            model::EventSink* events)
      : truth_(truth), facts_(facts), actions_(actions), events_(events) {}

  // Drains of an earlier process, which go on where they were; a node that was withdrawn still is.
  void Restore(std::vector<Drain> drains, Time now);

  // Kept before anything is done. kNotFound: no such pool or backend. kAlreadyExists: it is being drained by another
  // drain. kInvalidArgument: a pool without backends. kResourceExhausted: too many at once. kUnavailable: it cannot be
  // kept. Errors of Actions.
  absl::StatusOr<Drain> Start(const Order& order, std::string_view user, Time now);
  // Undoes a drain, also one that has ended and left its backends draining or the node withdrawn: what did not drain
  // before the first drain that holds it takes new flows again, the node serves. kNotFound; kFailedPrecondition: there
  // is nothing to undo.
  absl::StatusOr<Drain> Cancel(uint64_t id, std::string_view user, Time now);
  // kNotFound.
  absl::StatusOr<Drain> Get(uint64_t id) const;
  // Why whoever sends traffic here is to stop that; empty: there is no reason.
  std::string WhyWithdrawn() const;
  // By number; those that have ended are forgotten after a while.
  std::vector<Drain> List() const;
  // How many ended in each phase since the process started; undoing one that has ended counts no more.
  std::array<uint64_t, kPhases> Ended() const;

  // Looks at all drains; to be called about twice a second.
  void Tick(Time now);

 private:
  // What is known beyond the drain itself.
  struct Watched {
    Drain drain;
    uint64_t bytes_base = 0;
    uint64_t last_bytes = 0;
    uint64_t last_packets = 0;
    Time began_at = {};  // in this process
    Time last_look = {};
    Time last_traffic = {};
  };
  struct Load {
    uint64_t flows = 0;
    uint64_t packets = 0;
    uint64_t bytes = 0;
    size_t there = 0;  // members that exist
  };

  // All of these with the mutex held.
  absl::StatusOr<std::vector<Member>> MembersOf(const Order& order) const;
  // Whether the backend would take new flows, but for a drain that is over.
  bool IsLeftDraining(const Member& member) const;
  absl::Status CheckFree(const Order& order, const std::vector<Member>& members) const;
  Load LoadOf(const Drain& drain) const;
  // Members that exist and are draining (or are not).
  std::vector<Member> Those(const Drain& drain, bool draining) const;
  void Begin(Watched& watched, Time now);
  // True when something changed that is to be kept.
  bool Look(Watched& watched, Time now);
  bool LetGo(Watched& watched, Time now);
  // What drains that are over left draining, and takes new flows again, is theirs no more.
  bool LetGoOfEnded();
  bool Conclude(Watched& watched, Phase phase, Time now);
  absl::Status RemoveMembers(const Drain& drain);
  absl::Status Undo(const Drain& drain, std::string_view user, Time now);
  void End(Drain& drain, Phase phase, std::string message, Time now);
  void Tell(const Drain& drain, std::string_view what) const;
  void Forget();
  absl::Status Keep();
  // Gives readers what there is now.
  void Show();

  const model::SnapshotSource& truth_;
  const model::DataplaneFacts& facts_;
  Actions& actions_;
  model::EventSink* const events_;

  // One change at a time; held while the world is changed.
  std::mutex mutex_;
  std::map<uint64_t, Watched> drains_;
  uint64_t next_id_ = 1;
  std::shared_ptr<const model::Registry> looked_at_;  // by LetGoOfEnded
  std::array<uint64_t, kPhases> ended_ = {};

  mutable std::mutex shown_mutex_;
  std::vector<Drain> shown_;
  std::array<uint64_t, kPhases> shown_ended_ = {};
};

}  // namespace sluice::drain

#endif  // SLUICE_CONTROLPLANE_DRAIN_DRAIN_BOOK_H_
