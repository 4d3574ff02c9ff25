#ifndef SLUICE_DATAPLANE_FWD_BY_POOL_H_
#define SLUICE_DATAPLANE_FWD_BY_POOL_H_

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/lb/siphash.h"

// What VIPs of one kind share of their pools. It is made once for each pool and with one pass over the backends, since
// there can be as many VIPs as backends. Control thread.
namespace sluice::fwd {

// Digests are compared, not kept secret: what they are made of is public, or a print.
inline uint64_t Digest(std::string_view text) { return lb::SipHash24(lb::SipKey{}, text); }

// By PoolId: an empty T for each pool of a VIP of which `uses(entry)` is true; null for others.
template <typename T, typename Uses>
std::vector<std::shared_ptr<T>> ForPools(const StateSpec& spec, const Uses& uses) {
  std::vector<std::shared_ptr<T>> pools;
  for (const VipSpec& vip : spec.vips) {
    if (!uses(vip.entry)) continue;
    const size_t pool = vip.entry.pool.index();
    if (pool >= pools.size()) pools.resize(pool + 1);
    if (pools[pool] == nullptr) pools[pool] = std::make_shared<T>();
  }
  return pools;
}

// Calls `use(backend, of_pool)` for each backend that exists and whose pool has a T.
template <typename T, typename Use>
void ForBackends(const StateSpec& spec, const std::vector<std::shared_ptr<T>>& pools, const Use& use) {
  for (const BackendSpec& backend : spec.backends) {
    const size_t pool = backend.info.pool.index();
    if (backend.info.state == BackendState::kAbsent || pool >= pools.size() || pools[pool] == nullptr) continue;
    use(backend, *pools[pool]);
  }
}

// What is as in the state before stays the same object.
template <typename T>
std::vector<std::shared_ptr<const T>> ShareByPool(const std::vector<std::shared_ptr<T>>& made,
                                                  const std::vector<std::shared_ptr<const T>>& before) {
  std::vector<std::shared_ptr<const T>> shared(made.begin(), made.end());
  for (size_t pool = 0; pool < std::min(made.size(), before.size()); ++pool) {
    if (before[pool] != nullptr && made[pool] != nullptr && *before[pool] == *made[pool]) shared[pool] = before[pool];
  }
  return shared;
}

// By PoolId: a line with the digest of the lines that `add(info, lines)` has to say of the pool's backends, whatever
// their order. Empty for pools of none of the VIPs.
template <typename Uses, typename Add>
std::vector<std::string> DigestLines(const StateSpec& spec, const Uses& uses, const Add& add) {
  const auto pools = ForPools<std::vector<std::string>>(spec, uses);
  ForBackends(spec, pools,
              [&](const BackendSpec& backend, std::vector<std::string>& lines) { add(backend.info, lines); });
  std::vector<std::string> digests(pools.size());
  for (size_t pool = 0; pool < pools.size(); ++pool) {
    if (pools[pool] == nullptr) continue;
    std::sort(pools[pool]->begin(), pools[pool]->end());
    digests[pool] = absl::StrCat("  ids ", Digest(absl::StrJoin(*pools[pool], "")), "\n");
  }
  return digests;
}

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_BY_POOL_H_
