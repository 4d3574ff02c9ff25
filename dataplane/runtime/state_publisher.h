#ifndef SLUICE_DATAPLANE_RUNTIME_STATE_PUBLISHER_H_
#define SLUICE_DATAPLANE_RUNTIME_STATE_PUBLISHER_H_

#include <rte_rcu_qsbr.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/net/address.h"

namespace sluice::runtime {

// Says where packets for backends leave the machine. Control threads.
class NextHopSource {
 public:
  virtual ~NextHopSource() = default;
  // From now on exactly these addresses are of interest; Lookup is called for them only.
  virtual void Watch(const std::vector<net::IpAddress>& addresses) = 0;
  // What is known now; never waits for the network.
  virtual fwd::NextHop Lookup(const net::IpAddress& address) = 0;
  // Where packets to clients leave, as known now; null: nothing is known of it. The same object as long as nothing
  // changes.
  virtual std::shared_ptr<const fwd::ClientRoutes> Routes() { return nullptr; }
};

// Gives states to the workers, and frees those that no worker can hold any more, by quiescent-state-based reclamation.
//
// A state is published with the next hops of the moment. When next hops change, Refresh publishes the same state again
// with new ones under the *same* generation: the generation counts what the control plane desired, and two states of
// one generation differ in their backends' next hops and the routes to clients only.
//
// Workers are readers 0 to count - 1: each reads between Online and Offline, and calls Quiescent when it holds no
// pointer from Read any more. Needs no EAL.
class StatePublisher : public fwd::StateSink {
 public:
  // More states than this are never waiting for a worker to let go.
  static constexpr size_t kMaxUnfreed = 16;

  StatePublisher(uint32_t readers, NextHopSource* next_hops);
  // All readers must be offline for good.
  ~StatePublisher() override;

  // Control threads; these wait for each other.
  // kInvalidArgument for a null state; kResourceExhausted as StateSink says, naming the workers.
  absl::Status Publish(std::shared_ptr<const fwd::ForwardingState> state) override;
  // Publishes the newest state anew if its next hops or routes have changed. True: it was published. Without a state:
  // false.
  absl::StatusOr<bool> Refresh();
  // Frees what can be freed; returns how many states still wait.
  size_t Reclaim();
  // The newest state; null before the first.
  std::shared_ptr<const fwd::ForwardingState> Current() const;

  // Reader `reader` only.
  void Online(uint32_t reader) { rte_rcu_qsbr_thread_online(qsbr_.get(), reader); }
  void Offline(uint32_t reader) { rte_rcu_qsbr_thread_offline(qsbr_.get(), reader); }
  void Quiescent(uint32_t reader) { rte_rcu_qsbr_quiescent(qsbr_.get(), reader); }
  // The newest state; valid until the reader's next Quiescent or Offline.
  const fwd::ForwardingState* Read() const { return published_.load(std::memory_order_acquire); }

 private:
  struct Unfreed {
    std::shared_ptr<const fwd::ForwardingState> state;
    uint64_t token;
  };
  struct FreeDeleter {
    void operator()(void* memory) const { std::free(memory); }
  };
  using StateList = std::vector<std::shared_ptr<const fwd::ForwardingState>>;

  // The following hold mutex_.
  // Moves states that no reader holds to the result, to be destroyed after the lock.
  StateList TakeReclaimable();
  // kResourceExhausted when another state could not be kept.
  absl::Status CheckRoom() const;
  // The state with the next hops and routes of now.
  std::shared_ptr<const fwd::ForwardingState> Resolve(const fwd::ForwardingState& state);
  void Swap(std::shared_ptr<const fwd::ForwardingState> state);

  const uint32_t readers_;
  NextHopSource* const next_hops_;
  std::unique_ptr<rte_rcu_qsbr, FreeDeleter> qsbr_;
  std::atomic<const fwd::ForwardingState*> published_ = nullptr;
  mutable std::mutex mutex_;
  std::shared_ptr<const fwd::ForwardingState> current_;
  std::deque<Unfreed> unfreed_;  // oldest first
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_STATE_PUBLISHER_H_
