#include "dataplane/fwd/state_builder.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/fwd/copies.h"
#include "dataplane/fwd/homes.h"
#include "dataplane/fwd/second_chance.h"
#include "dataplane/lb/maglev.h"

namespace sluice::fwd {
namespace {

absl::Status Duplicate(const char* what, unsigned id) {
  return absl::InvalidArgumentError(absl::StrCat(what, " id ", id, " is used twice"));
}

// A vector that is indexed by id and as long as the largest one needs.
template <typename T>
T& At(std::vector<T>& by_id, size_t index) {
  if (index >= by_id.size()) by_id.resize(index + 1);
  return by_id[index];
}

// `made`, or the previous generation's part when it says the same.
template <typename T>
std::shared_ptr<const T> Share(T made, const std::shared_ptr<const T>& previous) {
  if (previous != nullptr && *previous == made) return previous;
  return std::make_shared<const T>(std::move(made));
}

absl::StatusOr<std::vector<BackendInfo>> CollectBackends(const std::vector<BackendSpec>& specs) {
  std::vector<BackendInfo> infos;
  for (const BackendSpec& spec : specs) {
    BackendInfo& info = At(infos, spec.id.index());
    if (info.state != BackendState::kAbsent) return Duplicate("backend", spec.id.value());
    info = spec.info;
  }
  return infos;
}

// What the pool's policy needs besides the table.
void BuildTurns(PoolTable& pool) {
  if (pool.policy == SchedulingPolicy::kMaglev || pool.members.empty()) return;
  std::vector<lb::TurnOrder::Member> turns;
  uint16_t first = UINT16_MAX;
  uint16_t last = 0;
  for (const PoolTable::Member& m : pool.members) {
    const auto weight = static_cast<uint16_t>(std::min<uint32_t>(m.weight, UINT16_MAX));
    turns.push_back({.id = m.backend.value(), .weight = weight});
    first = std::min(first, m.backend.value());
    last = std::max(last, m.backend.value());
  }
  pool.first_weight = first;
  pool.weights.resize(size_t{last} - first + 1);
  for (const lb::TurnOrder::Member& member : turns) pool.weights[member.id - first] = member.weight;
  pool.turns = lb::MakeTurnOrder(std::move(turns));
}

absl::Status CheckPool(const PoolSpec& spec, const std::vector<BackendInfo>& backends) {
  if (!lb::IsPrime(spec.table_size) || spec.table_size <= std::max(spec.members.size(), spec.known.size())) {
    return absl::InvalidArgumentError(absl::StrCat("pool id ", spec.id.value(), ": table size ", spec.table_size,
                                                   " must be a prime above the number of its backends, ",
                                                   spec.members.size()));
  }
  for (const PoolTable::Member& m : spec.members) {
    if (m.backend.index() >= backends.size() || backends[m.backend.index()].state != BackendState::kActive ||
        m.weight == 0) {
      return absl::InvalidArgumentError(absl::StrCat("pool id ", spec.id.value(), ": member ", m.name,
                                                     " is not an active backend of weight above 0"));
    }
  }
  for (const PoolTable::Member& m : spec.known) {
    if (m.backend.index() >= backends.size() || backends[m.backend.index()].pool != spec.id ||
        backends[m.backend.index()].state == BackendState::kAbsent) {
      return absl::InvalidArgumentError(
          absl::StrCat("pool id ", spec.id.value(), ": ", m.name, ", which is known, is none of its backends"));
    }
  }
  return absl::OkStatus();
}

// What the VIPs of a pool need beside its slots.
struct PoolNeeds {
  uint32_t hold_s = 0;  // homes, and for how long a flow may be silent; 0: none
  bool second_chance = false;
};

// By PoolId.
std::vector<PoolNeeds> CollectNeeds(const std::vector<VipSpec>& vips) {
  std::vector<PoolNeeds> all;
  for (const VipSpec& vip : vips) {
    if (!(vip.entry.unsafe_only || vip.entry.second_chance) || !vip.entry.pool.valid()) continue;
    PoolNeeds& needs = At(all, vip.entry.pool.index());
    needs.hold_s = std::max({needs.hold_s, uint32_t{1}, uint32_t{vip.entry.timeouts.tcp_established_s}});
    needs.second_chance |= vip.entry.second_chance;
  }
  return all;
}

// Makes the tables of pools, as far as those of the previous generation cannot be kept.
class PoolMaker {
 public:
  PoolMaker(const StateSpec& spec, const ForwardingState* previous, bool same_keys, const ForwardingState& state)
      : now_s_(spec.now_s), needs_(CollectNeeds(spec.vips)), previous_(same_keys ? previous : nullptr), state_(state) {}

  std::shared_ptr<const PoolTable> Make(const PoolSpec& spec) const {
    const auto [hold_s, second_chance] = spec.id.index() < needs_.size() ? needs_[spec.id.index()] : PoolNeeds{};
    PoolTable pool{.slots = {}, .members = spec.members, .table_size = spec.table_size, .policy = spec.policy};
    if (hold_s > 0) pool.known = spec.known;
    for (auto* members : {&pool.members, &pool.known}) {
      std::sort(members->begin(), members->end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    }
    const std::shared_ptr<const PoolTable> old = Old(spec.id);
    const bool same_slots = old != nullptr && old->table_size == pool.table_size && old->members == pool.members;
    const bool same_homes = old != nullptr && old->known == pool.known && old->homes.empty() == (hold_s == 0) &&
                            !HomesAreDue(*old, now_s_, hold_s);
    const bool same_chance = old != nullptr && old->previous.empty() != second_chance;
    if (same_slots && same_homes && same_chance && old->policy == pool.policy) return old;
    if (same_slots && same_chance) {
      pool.slots = old->slots;
      pool.heirs = old->heirs;
    } else {
      pool.slots = BuildSlots(pool.members, pool.table_size, *state_.keys, second_chance ? &pool.heirs : nullptr);
    }
    if (hold_s > 0) {
      const auto exists = [this](BackendId id) { return Exists(id); };
      BuildHomes(old.get(), *state_.keys, exists, now_s_, hold_s, &pool);
      if (second_chance) NotePreviousOwners(old.get(), exists, &pool);
    }
    BuildTurns(pool);
    return std::make_shared<const PoolTable>(std::move(pool));
  }

 private:
  std::shared_ptr<const PoolTable> Old(PoolId id) const {
    if (previous_ == nullptr || id.index() >= previous_->pools.size()) return nullptr;
    return previous_->pools[id.index()];
  }

  // Whether a backend of the previous generation is still there.
  bool Exists(BackendId id) const {
    const std::vector<BackendInfo>& infos = *state_.backend_infos;
    if (id.index() >= infos.size()) return false;
    const BackendInfo& now = infos[id.index()];
    const BackendInfo& before = (*previous_->backend_infos)[id.index()];
    return now.state != BackendState::kAbsent && now.generation == before.generation && now.pool == before.pool;
  }

  const uint32_t now_s_;
  const std::vector<PoolNeeds> needs_;
  const ForwardingState* const previous_;
  const ForwardingState& state_;
};

absl::Status BuildPools(const StateSpec& spec, const ForwardingState* previous, bool same_keys,
                        ForwardingState& state) {
  const PoolMaker maker(spec, previous, same_keys, state);
  for (const PoolSpec& pool_spec : spec.pools) {
    auto& pool = At(state.pools, pool_spec.id.index());
    if (pool != nullptr) return Duplicate("pool", pool_spec.id.value());
    if (absl::Status status = CheckPool(pool_spec, *state.backend_infos); !status.ok()) return status;
    pool = maker.Make(pool_spec);
  }
  return absl::OkStatus();
}

absl::Status CheckVip(const VipSpec& vip, const ForwardingState& state) {
  const PoolId pool = vip.entry.pool;
  if (pool.index() >= state.pools.size() || state.pools[pool.index()] == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("VIP id ", vip.id.value(), " refers to pool id ", pool.value(), ", which does not exist"));
  }
  if (vip.entry.protocol == 0 || vip.first_port > vip.last_port) {
    return absl::InvalidArgumentError(absl::StrCat("VIP id ", vip.id.value(),
                                                   " needs a protocol and ascending ports, not ", vip.first_port,
                                                   " to ", vip.last_port));
  }
  return absl::OkStatus();
}

// The address, protocol and ports that a VIP claims; no two VIPs may claim the same.
auto ClaimOf(const lb::VipTable::Vip& vip) {
  return std::tie(vip.prefix.address, vip.prefix.length, vip.protocol, vip.first_port, vip.last_port);
}

absl::Status CheckClaims(const std::vector<lb::VipTable::Vip>& sorted) {
  for (size_t i = 1; i < sorted.size(); ++i) {
    const auto& a = sorted[i - 1];
    const auto& b = sorted[i];
    if (ClaimOf(a) == ClaimOf(b)) {
      return absl::InvalidArgumentError(absl::StrCat("VIP ids ", a.id.value(), " and ", b.id.value(), " both claim ",
                                                     a.prefix.ToString(), " protocol ", a.protocol, " ports ",
                                                     a.first_port, " to ", a.last_port));
    }
  }
  return absl::OkStatus();
}

// By PoolId: where it has a backup, its PoolId.
absl::StatusOr<std::vector<PoolId>> CollectBackups(const StateSpec& spec, const ForwardingState& state) {
  std::vector<PoolId> backups(state.pools.size());
  for (const PoolSpec& pool : spec.pools) {
    if (!pool.backup.valid()) continue;
    if (pool.backup.index() >= state.pools.size() || state.pools[pool.backup.index()] == nullptr ||
        pool.backup == pool.id) {
      return absl::InvalidArgumentError(absl::StrCat("pool id ", pool.id.value(), ": its backup, pool id ",
                                                     pool.backup.value(), ", is no other pool that exists"));
    }
    backups[pool.id.index()] = pool.backup;
  }
  return backups;
}

// Where answers of backends behind destination NAT belong. Says of each VIP in `entries`, whose pools are their own,
// whether its flows need state.
void BuildReturns(const std::vector<lb::VipTable::Vip>& vips, const std::vector<PoolId>& backups,
                  const ForwardingState* previous, std::vector<VipEntry>& entries, ForwardingState& state) {
  std::vector<lb::ReturnTable::Vip> with_nat;
  std::vector<bool> is_nat_pool(state.pools.size());
  for (const lb::VipTable::Vip& vip : vips) {
    const VipEntry& entry = entries[vip.id.index()];
    if (entry.mode != ForwardingMode::kNat) continue;
    // Flows that the backup got stay there, so its backends answer whichever of the two is in use.
    for (const PoolId pool : {entry.pool, backups[entry.pool.index()]}) {
      if (!pool.valid()) continue;
      is_nat_pool[pool.index()] = true;
      with_nat.push_back({.id = vip.id,
                          .pool = pool,
                          .prefix = vip.prefix,
                          .protocol = vip.protocol,
                          .first_port = vip.first_port,
                          .last_port = vip.last_port});
    }
  }
  std::vector<lb::ReturnTable::Backend> backends;
  for (const BackendInfo& info : *state.backend_infos) {
    // Those that drain or are down have flows, and answer them.
    if (info.state == BackendState::kAbsent || info.pool.index() >= is_nat_pool.size()) continue;
    if (!is_nat_pool[info.pool.index()]) continue;
    backends.push_back({.address = info.address, .pool = info.pool, .port = info.nat_port});
  }
  std::sort(backends.begin(), backends.end());
  const bool same =
      previous != nullptr && previous->returns->vips() == with_nat && previous->returns->backends() == backends;
  state.returns =
      same ? previous->returns : std::make_shared<const lb::ReturnTable>(std::move(with_nat), std::move(backends));
  const std::vector<lb::ReturnTable::Vip>& known = state.returns->vips();
  for (size_t i = 0; i < known.size(); ++i) {
    if (state.returns->needs_state()[i]) entries[known[i].id.index()].nat_sessions = true;
  }
}

absl::Status BuildVips(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state) {
  std::vector<VipEntry> entries;
  std::vector<lb::VipTable::Vip> vips;
  for (const VipSpec& vip : spec.vips) {
    if (absl::Status status = CheckVip(vip, state); !status.ok()) return status;
    VipEntry& entry = At(entries, vip.id.index());
    if (entry.protocol != 0) return Duplicate("VIP", vip.id.value());
    entry = vip.entry;
    entry.own_pool = entry.pool;
    entry.is_prefix = vip.prefix.length != vip.prefix.address.bits();
    entry.nat_sessions = false;
    vips.push_back({.prefix = vip.prefix,
                    .protocol = vip.entry.protocol,
                    .first_port = vip.first_port,
                    .last_port = vip.last_port,
                    .answers_echo = vip.answers_echo,
                    .id = vip.id});
  }
  std::sort(vips.begin(), vips.end(), [](const auto& a, const auto& b) { return ClaimOf(a) < ClaimOf(b); });
  if (absl::Status status = CheckClaims(vips); !status.ok()) return status;
  const auto backups = CollectBackups(spec, state);
  if (!backups.ok()) return backups.status();
  BuildReturns(vips, *backups, previous, entries, state);
  for (VipEntry& entry : entries) {
    // Cookies and connection ids name backends of the VIP's own pool.
    if (entry.protocol == 0) continue;
    // Timestamps come back as they were by what a session remembers.
    if (entry.cookies && entry.mode == ForwardingMode::kNat) entry.nat_sessions = true;
    if (entry.cookies && !entry.slots) continue;
    if (!state.pools[entry.pool.index()]->slots.empty()) continue;
    const PoolId backup = (*backups)[entry.pool.index()];
    if (backup.valid() && !state.pools[backup.index()]->slots.empty()) entry.pool = backup;
  }
  state.vips = Share(std::move(entries), previous != nullptr ? previous->vips : nullptr);
  const bool same = previous != nullptr && previous->vip_table->vips() == vips;
  state.vip_table = same ? previous->vip_table : std::make_shared<const lb::VipTable>(std::move(vips));
  return absl::OkStatus();
}

// The number of the reader of the VIP's cookies, which is made if there is none yet.
uint16_t CookieReaderOf(const VipEntry& vip, const CookieIds& ids, std::vector<lb::CookieReader>& readers) {
  using Id = lb::CookieReader::Id;
  const auto table_bits = static_cast<uint32_t>(std::countr_zero(ids.keeping.size()));
  const lb::CookieReader reader(vip.cookie_layout, vip.first_tier ? Id::kTier : Id::kBackend, table_bits);
  const auto number = static_cast<uint16_t>(std::find(readers.begin(), readers.end(), reader) - readers.begin());
  if (number == readers.size()) readers.push_back(reader);
  return number;
}

// How many slots the pool's table has, where it alone schedules the VIP's connections; else 0. Where neither entries
// nor sessions remember them no policy has a say. What is tracked only where it is unsafe is for the ladder to begin.
uint32_t SchedulingSlots(const VipEntry& vip, const PoolTable& pool) {
  const bool remembered = vip.tracked || IsNat(vip.mode);
  const bool alone = !remembered || (pool.policy == SchedulingPolicy::kMaglev && !vip.unsafe_only);
  return alone && vip.hash_input == HashInput::kTuple ? static_cast<uint32_t>(pool.slots.size()) : 0;
}

void UseSlots(const PoolTable& pool, uint32_t count, FastPathVip& vip) {
  if (count == 0) return;
  vip.slots = pool.slots.data();
  vip.slot_count = count;
}

FastPathVip FastPathVipOf(const VipEntry& vip, ForwardingState& state) {
  if (vip.protocol == 0) return FastPathVip();
  FastPathVip common{.mode = vip.mode};
  const PoolTable& pool = *state.pools[vip.pool.index()];
  if (IsNat(vip.mode)) {
    const bool has_sessions = vip.nat_sessions || vip.mode == ForwardingMode::kFullNat;
    common.way = has_sessions && !vip.cookies ? FastPathVip::Way::kSession : FastPathVip::Way::kNone;
    if (common.way == FastPathVip::Way::kSession) UseSlots(pool, SchedulingSlots(vip, pool), common);
    return common;
  }
  if (vip.cookies && !vip.quic && vip.protocol == net::kProtocolTcp) {
    common.way = vip.slots ? FastPathVip::Way::kSlot : FastPathVip::Way::kCookie;
    if (vip.slots) return common;
    const CookieIds& ids = *state.cookie_ids[vip.pool.index()];
    common.slots = ids.keeping.data();
    common.cookie_reader = CookieReaderOf(vip, ids, state.cookie_readers);
    const bool tells_tier = vip.cookie_layout.tier_bits > 0 && !vip.first_tier;
    if (vip.tracked && !vip.is_prefix && !tells_tier) common.slot_count = SchedulingSlots(vip, pool);
    return common;
  }
  const uint32_t slots = SchedulingSlots(vip, pool);
  if (vip.cookies || vip.is_prefix || (!vip.tracked && slots == 0)) {
    common.way = FastPathVip::Way::kLadder;
    return common;
  }
  common.way = vip.tracked ? FastPathVip::Way::kTable : FastPathVip::Way::kHash;
  UseSlots(pool, slots, common);
  return common;
}

// Points into the pools' tables and cookie ids, which live as long as the state.
void BuildFastPathVips(ForwardingState& state) {
  auto common = std::make_shared<std::vector<FastPathVip>>();
  common->reserve(state.vips->size());
  for (const VipEntry& vip : *state.vips) common->push_back(FastPathVipOf(vip, state));
  for (const lb::VipTable::Vip& vip : state.vip_table->vips()) {
    (*common)[vip.id.index()].family = vip.prefix.address.family();
  }
  state.fast_path_vips = std::move(common);
}

bool IsV6(const net::IpAddress& address) { return address.family() == net::Family::kIpv6; }

bool HasV6Backends(const ForwardingState& state) {
  return std::any_of(state.backend_infos->begin(), state.backend_infos->end(),
                     [](const BackendInfo& backend) { return IsV6(backend.address); });
}

// Backends of IPv6 may answer for VIPs of IPv4.
bool ReadsSecondLines(const ForwardingState& state) {
  return std::any_of(state.vips->begin(), state.vips->end(), [](const VipEntry& vip) { return vip.cookies; }) ||
         std::any_of(state.vip_table->vips().begin(), state.vip_table->vips().end(),
                     [](const lb::VipTable::Vip& vip) { return IsV6(vip.prefix.address); }) ||
         state.has_v6_backends;
}

// See ForwardingState::vips_number.
uint32_t NumberVips(const ForwardingState& state, const ForwardingState* previous) {
  static std::atomic<uint32_t> last = 0;
  const bool same = previous != nullptr && previous->keys == state.keys && previous->vips == state.vips &&
                    previous->vip_table == state.vip_table && previous->returns == state.returns;
  return same ? previous->vips_number : last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ForwardingState>> BuildState(const StateSpec& spec, uint64_t generation,
                                                                  const ForwardingState* previous) {
  auto state = std::make_shared<ForwardingState>();
  state->generation = generation;
  const bool same_keys = previous != nullptr && previous->keys->seed == spec.seed;
  state->keys = same_keys ? previous->keys : std::make_shared<const lb::HashKeys>(spec.seed);

  auto infos = CollectBackends(spec.backends);
  if (!infos.ok()) return infos.status();
  state->backend_infos = Share(*std::move(infos), previous != nullptr ? previous->backend_infos : nullptr);

  if (absl::Status status = BuildPools(spec, previous, same_keys, *state); !status.ok()) return status;
  if (absl::Status status = BuildVips(spec, previous, *state); !status.ok()) return status;
  BuildCookies(spec, previous, *state);
  BuildFastPathVips(*state);
  state->has_v6_backends = HasV6Backends(*state);
  state->reads_second_lines = ReadsSecondLines(*state);
  BuildQuic(spec, previous, *state);
  BuildPoolBackends(spec, previous, *state);
  state->vips_number = NumberVips(*state, previous);
  state->client_routes = previous != nullptr ? previous->client_routes : std::make_shared<const ClientRoutes>();
  return state;
}

}  // namespace sluice::fwd
