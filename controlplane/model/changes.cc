#include "controlplane/model/changes.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "config/schema.h"
#include "controlplane/model/cookie_ids.h"
#include "controlplane/model/describe.h"
#include "controlplane/model/text.h"
#include "dataplane/base/check.h"

namespace sluice::model {
namespace {

absl::Status NoFreeId(std::string_view kind, std::string_view name, const IdAllocator& ids) {
  std::string message =
      Cat(kind, " \"", name, "\": this instance can hold ", ids.limit(), " ", kind, "s; ", ids.used(), " are in use");
  if (ids.quarantined() > 0) {
    message += Cat(" and the numbers of ", ids.quarantined(),
                   " removed ones are not free yet, because workers may still know connections of them; try again in "
                   "some seconds, or remove others first");
  } else {
    message += Cat("; remove one first");
  }
  return absl::ResourceExhaustedError(message);
}

IdAllocator::IsFree AfterSweep(const ChangeContext& context) {
  return [&context](uint64_t absent_since) { return context.facts.SweptSince(absent_since); };
}

// Lets the record follow its two wishes about draining; a document's word comes first.
void UpdateLifecycle(BackendRecord& record) {
  const bool drain = record.desired.drain.value_or(record.operator_drain);
  const std::optional<Lifecycle> next =
      Next(record.lifecycle, drain ? LifecycleEvent::kDrain : LifecycleEvent::kUndrain);
  SLUICE_CHECK(next.has_value());  // removed backends have no record
  record.lifecycle = *next;
}

absl::StatusOr<BackendRecord> NewBackend(Registry& next, std::string_view pool, const DesiredBackend& desired,
                                         const ChangeContext& context) {
  const auto id = next.backend_ids.Allocate(AfterSweep(context));
  if (!id) return NoFreeId("backend", Cat(pool, "/", desired.name), next.backend_ids);
  BackendRecord record;
  record.desired = desired;
  record.id = BackendId(id->id);
  record.generation = id->generation;
  record.baseline = context.facts.CountsOf(record.id);
  UpdateLifecycle(record);
  return record;
}

void RetireBackend(Registry& next, std::string_view pool, const BackendRecord& record, const ChangeContext& context,
                   std::vector<std::string>& lines) {
  next.backend_ids.Release(record.id.value(), context.generation);
  RestCookieId(next, pool, record.desired, context.now_unix_s);
  lines.push_back(DescribeRemoved(pool, record));
}

void SortBackends(PoolRecord& pool) {
  std::sort(pool.backends.begin(), pool.backends.end(),
            [](const BackendRecord& a, const BackendRecord& b) { return a.desired.name < b.desired.name; });
}

std::shared_ptr<const PoolRecord>* PoolSlot(Registry& registry, std::string_view name) {
  const auto it = std::find_if(registry.pools.begin(), registry.pools.end(),
                               [&](const std::shared_ptr<const PoolRecord>& p) { return p->name == name; });
  return it == registry.pools.end() ? nullptr : &*it;
}

// What a backend is known by in its pool: the same server with another port is another backend.
std::pair<net::IpAddress, std::optional<uint16_t>> KeyOf(const DesiredBackend& backend) {
  return {backend.address, backend.port};
}

// One pool as desired, taking over from `old` (null: the pool is new) the backends whose address and port stay.
absl::StatusOr<std::shared_ptr<const PoolRecord>> ApplyPool(Change& change, const DesiredPool& desired,
                                                            const std::shared_ptr<const PoolRecord>& old,
                                                            const ChangeContext& context) {
  auto pool = std::make_shared<PoolRecord>();
  pool->name = desired.name;
  pool->table_size = desired.table_size;
  pool->policy = desired.policy;
  pool->health_check = desired.health_check;
  std::vector<std::string> lines;
  absl::flat_hash_map<std::pair<net::IpAddress, std::optional<uint16_t>>, const BackendRecord*> old_by_address;
  if (old == nullptr) {
    const auto id = change.next.pool_ids.Allocate([](uint64_t) { return true; });
    if (!id) return NoFreeId("pool", desired.name, change.next.pool_ids);
    pool->id = PoolId(id->id);
    lines.push_back(Cat("+ pool ", desired.name, ": table_size ", desired.table_size));
  } else {
    pool->id = old->id;
    if (old->table_size != desired.table_size) {
      lines.push_back(Cat("~ pool ", desired.name, ": table_size ", old->table_size, " -> ", desired.table_size));
    }
    for (const std::string& line : {DescribeChanged(desired.name, old->policy, desired.policy),
                                    DescribeChanged(desired.name, old->health_check, desired.health_check)}) {
      if (!line.empty()) lines.push_back(line);
    }
    for (const BackendRecord& backend : old->backends) old_by_address.emplace(KeyOf(backend.desired), &backend);
  }
  bool same = lines.empty();
  for (const DesiredBackend& wanted : desired.backends) {
    const auto found = old_by_address.find(KeyOf(wanted));
    if (found == old_by_address.end()) {
      absl::StatusOr<BackendRecord> added = NewBackend(change.next, desired.name, wanted, context);
      if (!added.ok()) return added.status();
      lines.push_back(DescribeAdded(desired.name, *added));
      pool->backends.push_back(*std::move(added));
      continue;
    }
    const BackendRecord& before = *found->second;
    BackendRecord after = before;
    after.desired = wanted;
    if (!wanted.cookie_id) after.desired.cookie_id = before.desired.cookie_id;
    if (after.desired.cookie_id != before.desired.cookie_id) {
      RestCookieId(change.next, desired.name, before.desired, context.now_unix_s);
    }
    if (wanted.drain.has_value()) after.operator_drain = false;
    UpdateLifecycle(after);
    if (before.desired.name != wanted.name) after.baseline = context.facts.CountsOf(after.id);
    const std::string line = DescribeChanged(desired.name, before, after);
    if (!line.empty()) lines.push_back(line);
    // The document's word may change without an effect; it is remembered without a line.
    same = same && before.desired.drain == wanted.drain && before.operator_drain == after.operator_drain;
    pool->backends.push_back(std::move(after));
    old_by_address.erase(found);
  }
  if (old != nullptr) {
    // In the order of names, which the map does not have.
    for (const BackendRecord& backend : old->backends) {
      if (old_by_address.contains(KeyOf(backend.desired))) {
        RetireBackend(change.next, desired.name, backend, context, lines);
      }
    }
  }
  if (same && lines.empty()) return old;
  SortBackends(*pool);
  change.lines.insert(change.lines.end(), lines.begin(), lines.end());
  return std::shared_ptr<const PoolRecord>(std::move(pool));
}

absl::Status ApplyPools(Change& change, const Registry& current, const DesiredState& desired,
                        const ChangeContext& context) {
  change.next.pools.clear();
  for (const DesiredPool& wanted : desired.pools) {
    std::shared_ptr<const PoolRecord> old;
    for (const auto& pool : current.pools) {
      if (pool->name == wanted.name) old = pool;
    }
    auto pool = ApplyPool(change, wanted, old, context);
    if (!pool.ok()) return pool.status();
    change.next.pools.push_back(*std::move(pool));
  }
  std::sort(change.next.pools.begin(), change.next.pools.end(),
            [](const auto& a, const auto& b) { return a->name < b->name; });
  for (const auto& pool : current.pools) {
    if (change.next.FindPool(pool->name) != nullptr) continue;
    for (const BackendRecord& backend : pool->backends) {
      RetireBackend(change.next, pool->name, backend, context, change.lines);
    }
    change.next.pool_ids.Release(pool->id.value(), context.generation);
    change.lines.push_back(Cat("- pool ", pool->name));
  }
  return absl::OkStatus();
}

// What a VIP claims: address, prefix length, protocol, first and last port.
using VipKey = std::tuple<net::IpAddress, int, Protocol, uint16_t, uint16_t>;
VipKey KeyOf(const DesiredVip& vip) {
  return {vip.prefix.address, vip.prefix.length, vip.protocol, vip.ports.first, vip.ports.last};
}

// Keys in the order of their numbers; a line tells what became of one, and never more of it than the number.
absl::Status ApplyCookieKeys(Change& change, const Registry& current, const DesiredState& desired) {
  DesiredState complete;
  complete.cookie_keys = desired.cookie_keys;
  if (absl::Status status = CompleteCookieKeys(current, &complete); !status.ok()) return status;
  std::vector<config::CookieKeyConfig>& keys = complete.cookie_keys;
  for (config::CookieKeyConfig& key : keys) key.secret = absl::AsciiStrToLower(key.secret);
  std::sort(keys.begin(), keys.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  const auto find = [](const std::vector<config::CookieKeyConfig>& in, uint32_t number) {
    return std::find_if(in.begin(), in.end(), [&](const auto& key) { return key.number == number; });
  };
  for (const config::CookieKeyConfig& key : keys) {
    const auto old = find(current.cookie_keys, key.number);
    if (old == current.cookie_keys.end()) {
      change.lines.push_back(Cat("+ cookie key ", key.number));
    } else if (old->secret != key.secret) {
      change.lines.push_back(Cat("~ cookie key ", key.number, ": another secret"));
    }
  }
  for (const config::CookieKeyConfig& key : current.cookie_keys) {
    if (find(keys, key.number) == keys.end()) change.lines.push_back(Cat("- cookie key ", key.number));
  }
  change.next.cookie_keys = std::move(keys);
  change.next.cookie_quarantine_s = desired.cookie_quarantine_s;
  return absl::OkStatus();
}

// Likewise.
absl::Status ApplyQuicConfigs(Change& change, const Registry& current, const DesiredState& desired) {
  DesiredState complete;
  complete.quic_configs = desired.quic_configs;
  if (absl::Status status = CompleteQuicConfigs(current, &complete); !status.ok()) return status;
  std::vector<config::QuicConfig>& configs = complete.quic_configs;
  for (config::QuicConfig& quic : configs) quic.secret = absl::AsciiStrToLower(quic.secret);
  std::sort(configs.begin(), configs.end(), [](const auto& a, const auto& b) { return a.number < b.number; });
  const auto find = [](const std::vector<config::QuicConfig>& in, uint32_t number) {
    return std::find_if(in.begin(), in.end(), [&](const auto& quic) { return quic.number == number; });
  };
  for (const config::QuicConfig& quic : configs) {
    const auto old = find(current.quic_configs, quic.number);
    if (old != current.quic_configs.end() && *old == quic) continue;
    change.lines.push_back(Cat(old == current.quic_configs.end() ? "+" : "~", " quic configuration ", quic.number,
                               ": server ids of ", quic.server_id_bytes, " bytes, nonces of ", quic.nonce_bytes, ", ",
                               quic.encrypted ? "encrypted" : "plain"));
  }
  for (const config::QuicConfig& quic : current.quic_configs) {
    if (find(configs, quic.number) == configs.end()) {
      change.lines.push_back(Cat("- quic configuration ", quic.number));
    }
  }
  change.next.quic_configs = std::move(configs);
  return absl::OkStatus();
}

absl::Status ApplyVips(Change& change, const Registry& current, const DesiredState& desired,
                       const ChangeContext& context) {
  absl::flat_hash_map<VipKey, const VipRecord*> old_by_key;
  for (const VipRecord& vip : *current.vips) old_by_key.emplace(KeyOf(vip.desired), &vip);
  auto vips = std::make_shared<std::vector<VipRecord>>();
  for (const DesiredVip& wanted : desired.vips) {
    const PoolRecord* pool = change.next.FindPool(wanted.pool);
    if (pool == nullptr) {
      return absl::InvalidArgumentError(
          Cat("vip \"", wanted.name, "\": pool \"", wanted.pool, "\" does not exist; add it or name another"));
    }
    VipRecord after;
    const auto found = old_by_key.find(KeyOf(wanted));
    if (found == old_by_key.end()) {
      const auto id = change.next.vip_ids.Allocate(AfterSweep(context));
      if (!id) return NoFreeId("VIP", wanted.name, change.next.vip_ids);
      after.id = VipId(id->id);
      after.baseline = context.facts.CountsOf(after.id);
      change.lines.push_back(DescribeAdded(wanted));
    } else {
      const VipRecord& before = *found->second;
      after = before;
      if (before.desired.name != wanted.name) after.baseline = context.facts.CountsOf(after.id);
      const std::string line = DescribeChanged(before.desired, wanted);
      if (!line.empty()) change.lines.push_back(line);
      old_by_key.erase(found);
    }
    after.desired = wanted;
    after.pool = pool->id;
    vips->push_back(std::move(after));
  }
  std::sort(vips->begin(), vips->end(),
            [](const VipRecord& a, const VipRecord& b) { return a.desired.name < b.desired.name; });
  for (const VipRecord& vip : *current.vips) {
    if (!old_by_key.contains(KeyOf(vip.desired))) continue;
    change.next.vip_ids.Release(vip.id.value(), context.generation);
    change.lines.push_back(Cat("- vip ", vip.desired.name));
  }
  change.next.vips = std::move(vips);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Change> ApplyDesired(const Registry& current, const DesiredState& desired,
                                    const ChangeContext& context) {
  Change change{current, {}};
  const std::string seed = absl::AsciiStrToLower(desired.seed);
  if (!seed.empty() && seed != current.seed) {
    // The seed is the cluster's secret: its value is never told.
    if (!current.seed.empty()) {
      return absl::FailedPreconditionError(
          "services.seed: differs from the one in force. The workers find running connections by hashes that the seed "
          "keys, so it cannot change while they run. Remedy: leave it as it is, or restart sluiced with the new one, "
          "on "
          "all directors together");
    }
    change.next.seed = seed;
  }
  WakeCookieIds(change.next, context.now_unix_s);
  if (absl::Status status = ApplyCookieKeys(change, current, desired); !status.ok()) return status;
  if (absl::Status status = ApplyQuicConfigs(change, current, desired); !status.ok()) return status;
  if (absl::Status status = ApplyPools(change, current, desired, context); !status.ok()) return status;
  if (absl::Status status = ApplyVips(change, current, desired, context); !status.ok()) return status;
  if (absl::Status status = AssignCookieIds(change.next, context.now_unix_s, change.lines); !status.ok()) return status;
  return change;
}

absl::StatusOr<Change> AddBackend(const Registry& current, std::string_view pool, const DesiredBackend& backend,
                                  const ChangeContext& context) {
  if (const auto found = current.GetPool(pool); !found.ok()) return found.status();
  Change change{current, {}};
  std::shared_ptr<const PoolRecord>& slot = *PoolSlot(change.next, pool);
  for (const BackendRecord& other : slot->backends) {
    if (other.desired.name == backend.name) {
      return absl::AlreadyExistsError(Cat("pool \"", pool, "\" already has a backend \"", backend.name, "\" (",
                                          config::AddressText(other.desired),
                                          "); take another name or remove that one first"));
    }
    if (KeyOf(other.desired) == KeyOf(backend)) {
      return absl::AlreadyExistsError(Cat("backend \"", pool, "/", backend.name, "\": address ",
                                          config::AddressText(backend), " is that of \"", other.desired.name,
                                          "\" in the same pool; an address can be in a pool once"));
    }
  }
  absl::StatusOr<BackendRecord> added = NewBackend(change.next, pool, backend, context);
  if (!added.ok()) return added.status();
  change.lines.push_back(DescribeAdded(pool, *added));
  auto grown = std::make_shared<PoolRecord>(*slot);
  grown->backends.push_back(*std::move(added));
  SortBackends(*grown);
  slot = std::move(grown);
  WakeCookieIds(change.next, context.now_unix_s);
  if (absl::Status status = AssignCookieIds(change.next, context.now_unix_s, change.lines); !status.ok()) return status;
  return change;
}

absl::StatusOr<Change> RemoveBackend(const Registry& current, std::string_view pool, std::string_view backend,
                                     const ChangeContext& context) {
  const auto record = current.GetBackend(pool, backend);
  if (!record.ok()) return record.status();
  Change change{current, {}};
  RetireBackend(change.next, pool, **record, context, change.lines);
  std::shared_ptr<const PoolRecord>& slot = *PoolSlot(change.next, pool);
  auto shrunk = std::make_shared<PoolRecord>(*slot);
  std::erase_if(shrunk->backends, [&](const BackendRecord& b) { return b.desired.name == backend; });
  slot = std::move(shrunk);
  return change;
}

absl::StatusOr<Change> SetDrain(const Registry& current, std::string_view pool, std::string_view backend, bool drain) {
  const auto record = current.GetBackend(pool, backend);
  if (!record.ok()) return record.status();
  Change change{current, {}};
  std::shared_ptr<const PoolRecord>& slot = *PoolSlot(change.next, pool);
  auto changed = std::make_shared<PoolRecord>(*slot);
  BackendRecord& after = changed->backends[static_cast<size_t>(*record - slot->backends.data())];
  after.desired.drain.reset();
  after.operator_drain = drain;
  UpdateLifecycle(after);
  const std::string line = DescribeChanged(pool, **record, after);
  if (!line.empty()) change.lines.push_back(line);
  slot = std::move(changed);
  return change;
}

namespace {

// `one` for each of the backends, each on what the ones before it left.
template <typename One>
absl::StatusOr<Change> ForEach(const Registry& current, const std::vector<BackendName>& backends, const One& one) {
  Change all{current, {}};
  for (const BackendName& name : backends) {
    absl::StatusOr<Change> change = one(all.next, name);
    if (!change.ok()) return change.status();
    all.next = std::move(change->next);
    all.lines.insert(all.lines.end(), change->lines.begin(), change->lines.end());
  }
  return all;
}

}  // namespace

absl::StatusOr<Change> RemoveBackends(const Registry& current, const std::vector<BackendName>& backends,
                                      const ChangeContext& context) {
  return ForEach(current, backends, [&](const Registry& registry, const BackendName& name) {
    return RemoveBackend(registry, name.pool, name.backend, context);
  });
}

absl::StatusOr<Change> SetDrains(const Registry& current, const std::vector<BackendName>& backends, bool drain) {
  return ForEach(current, backends, [&](const Registry& registry, const BackendName& name) {
    return SetDrain(registry, name.pool, name.backend, drain);
  });
}

Change SetHealth(const Registry& current, const std::vector<HealthUpdate>& updates,
                 std::chrono::system_clock::time_point now) {
  Change change{current, {}};
  absl::flat_hash_map<uint16_t, std::vector<const HealthUpdate*>> by_id;
  for (const HealthUpdate& update : updates) by_id[update.backend.value()].push_back(&update);
  const auto known = [&](const BackendRecord& backend) { return by_id.contains(backend.id.value()); };
  for (std::shared_ptr<const PoolRecord>& slot : change.next.pools) {
    if (std::none_of(slot->backends.begin(), slot->backends.end(), known)) continue;
    auto changed = std::make_shared<PoolRecord>(*slot);
    for (BackendRecord& after : changed->backends) {
      const auto found = by_id.find(after.id.value());
      if (found == by_id.end()) continue;
      const BackendRecord before = after;
      for (const HealthUpdate* update : found->second) {
        if (update->generation != after.generation) continue;
        (update->source == HealthSource::kChecks ? after.health.checked : after.health.reported) = update->health;
        after.health.reason = update->reason;
      }
      if (after.health.value() == before.health.value()) continue;
      after.health.since = now;
      change.lines.push_back(DescribeChanged(slot->name, before, after));
    }
    slot = std::move(changed);
  }
  return change;
}

DesiredState DesiredAround(const Registry& registry, const PoolRecord& pool, const DesiredBackend& extra) {
  DesiredState around;
  around.seed = registry.seed;
  around.cookie_keys = registry.cookie_keys;
  around.quic_configs = registry.quic_configs;
  DesiredPool desired;
  desired.name = pool.name;
  desired.table_size = pool.table_size;
  desired.policy = pool.policy;
  desired.health_check = pool.health_check;
  for (const BackendRecord& backend : pool.backends) desired.backends.push_back(backend.desired);
  desired.backends.push_back(extra);
  around.pools.push_back(std::move(desired));
  for (const auto& other : registry.pools) {
    if (other->id != pool.id) {
      around.pools.push_back({.name = other->name,
                              .table_size = other->table_size,
                              .backends = {},
                              .policy = other->policy,
                              .health_check = other->health_check});
    }
  }
  for (const VipRecord& vip : *registry.vips) around.vips.push_back(vip.desired);
  return around;
}

}  // namespace sluice::model
