#include "dataplane/fwd/copies.h"

#include "dataplane/fwd/by_pool.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

using Backends = std::vector<BackendId>;

bool MakesCopies(const VipEntry& vip) { return vip.cookies && !vip.first_tier && !IsNat(vip.mode); }

// What the packet, or an entry, said of the flow's backend counts as known.
bool IsGuess(Rung rung) {
  return rung == Rung::kScheduler || rung == Rung::kSchedulerNoEntry || rung == Rung::kHashOnly || rung == Rung::kSafe;
}

}  // namespace

void BuildPoolBackends(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state) {
  const auto pools = ForPools<Backends>(spec, MakesCopies);
  ForBackends(spec, pools, [](const BackendSpec& backend, Backends& of_pool) { of_pool.push_back(backend.id); });
  // New flows may have gone to the backup, and stay there.
  std::vector<std::shared_ptr<Backends>> of_backups;
  for (const PoolSpec& pool : spec.pools) {
    if (!pool.backup.valid() || pool.id.index() >= pools.size() || pools[pool.id.index()] == nullptr) continue;
    of_backups.assign(pool.backup.index() + size_t{1}, nullptr);
    of_backups.back() = pools[pool.id.index()];
    ForBackends(spec, of_backups, [](const BackendSpec& backend, Backends& all) { all.push_back(backend.id); });
  }
  using Shared = std::vector<std::shared_ptr<const Backends>>;
  state.pool_backends = ShareByPool(pools, previous != nullptr ? previous->pool_backends : Shared());
}

bool GoesToAllBackends(const VipEntry& vip, const FlowView& flow, Rung rung) {
  if (!MakesCopies(vip) || !IsGuess(rung) || flow.is_part) return false;
  const bool is_reset = flow.protocol == net::kProtocolTcp && (flow.tcp_flags & net::kTcpRst) != 0;
  return flow.related || is_reset;
}

}  // namespace sluice::fwd
