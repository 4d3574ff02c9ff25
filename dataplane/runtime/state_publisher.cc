#include "dataplane/runtime/state_publisher.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/base/check.h"
#include "dataplane/fwd/resolve.h"

namespace sluice::runtime {
namespace {

std::vector<net::IpAddress> BackendAddresses(const fwd::ForwardingState& state) {
  std::vector<net::IpAddress> addresses;
  for (const fwd::BackendInfo& info : *state.backend_infos) {
    if (info.state != fwd::BackendState::kAbsent) addresses.push_back(info.address);
  }
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  return addresses;
}

// As far as next hops go; the rest is equal for two resolutions of one state.
bool SameNextHop(const fwd::BackendEntry& a, const fwd::BackendEntry& b) {
  return std::memcmp(&a.ether, &b.ether, sizeof(a.ether)) == 0 && a.outer == b.outer && a.port == b.port &&
         a.resolved == b.resolved && a.on_link == b.on_link && a.has_source == b.has_source;
}

bool SameNextHops(const fwd::BackendTable& a, const fwd::BackendTable& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), SameNextHop);
}

}  // namespace

StatePublisher::StatePublisher(uint32_t readers, NextHopSource* next_hops) : readers_(readers), next_hops_(next_hops) {
  SLUICE_CHECK(readers > 0);
  const size_t bytes = (rte_rcu_qsbr_get_memsize(readers) + size_t{RTE_CACHE_LINE_SIZE} - 1) /
                       size_t{RTE_CACHE_LINE_SIZE} * size_t{RTE_CACHE_LINE_SIZE};
  qsbr_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(size_t{RTE_CACHE_LINE_SIZE}, bytes)));
  SLUICE_CHECK(qsbr_ != nullptr);
  SLUICE_CHECK(rte_rcu_qsbr_init(qsbr_.get(), readers) == 0);
  for (uint32_t reader = 0; reader < readers; ++reader) {
    SLUICE_CHECK(rte_rcu_qsbr_thread_register(qsbr_.get(), reader) == 0);
  }
}

StatePublisher::~StatePublisher() = default;

absl::Status StatePublisher::Publish(std::shared_ptr<const fwd::ForwardingState> state) {
  if (state == nullptr || state->backend_infos == nullptr) {
    return absl::InvalidArgumentError("the forwarding state to publish is null or has no backend table");
  }
  StateList freed;  // destroyed after the lock
  const std::lock_guard<std::mutex> lock(mutex_);
  freed = TakeReclaimable();
  if (absl::Status status = CheckRoom(); !status.ok()) return status;
  next_hops_->Watch(BackendAddresses(*state));
  Swap(Resolve(*state));
  return absl::OkStatus();
}

absl::StatusOr<bool> StatePublisher::Refresh() {
  StateList freed;
  const std::lock_guard<std::mutex> lock(mutex_);
  if (current_ == nullptr) return false;
  auto resolved = Resolve(*current_);
  if (resolved->client_routes == current_->client_routes && SameNextHops(*resolved->backends, *current_->backends)) {
    return false;
  }
  freed = TakeReclaimable();
  if (absl::Status status = CheckRoom(); !status.ok()) return status;
  Swap(std::move(resolved));
  return true;
}

std::shared_ptr<const fwd::ForwardingState> StatePublisher::Resolve(const fwd::ForwardingState& state) {
  return fwd::ResolveNextHops(
      state, [this](const net::IpAddress& address) { return next_hops_->Lookup(address); }, next_hops_->Routes());
}

size_t StatePublisher::Reclaim() {
  StateList freed;
  const std::lock_guard<std::mutex> lock(mutex_);
  freed = TakeReclaimable();
  return unfreed_.size();
}

std::shared_ptr<const fwd::ForwardingState> StatePublisher::Current() const {
  const std::lock_guard<std::mutex> lock(mutex_);
  return current_;
}

StatePublisher::StateList StatePublisher::TakeReclaimable() {
  StateList freed;
  while (!unfreed_.empty() && rte_rcu_qsbr_check(qsbr_.get(), unfreed_.front().token, false) == 1) {
    freed.push_back(std::move(unfreed_.front().state));
    unfreed_.pop_front();
  }
  return freed;
}

absl::Status StatePublisher::CheckRoom() const {
  if (unfreed_.size() < kMaxUnfreed) return absl::OkStatus();
  std::string workers;
  for (uint32_t reader = 0; reader < readers_; ++reader) {
    const uint64_t seen = __atomic_load_n(&qsbr_->qsbr_cnt[reader].cnt, __ATOMIC_ACQUIRE);
    if (seen != __RTE_QSBR_CNT_THR_OFFLINE && seen < unfreed_.front().token) {
      absl::StrAppend(&workers, workers.empty() ? "" : ", ", reader);
    }
  }
  return absl::ResourceExhaustedError(
      absl::StrCat(unfreed_.size(), " older forwarding states are still in use because worker ", workers,
                   " makes no progress; nothing was changed. Try again; if it persists, look for what holds the "
                   "worker's CPU, or restart sluiced"));
}

void StatePublisher::Swap(std::shared_ptr<const fwd::ForwardingState> state) {
  published_.store(state.get(), std::memory_order_release);
  if (current_ != nullptr) {
    unfreed_.push_back({.state = std::move(current_), .token = rte_rcu_qsbr_start(qsbr_.get())});
  }
  current_ = std::move(state);
}

}  // namespace sluice::runtime
