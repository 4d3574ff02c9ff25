#include "controlplane/model/cookie_ids.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <set>

#include "controlplane/model/text.h"

namespace sluice::model {
namespace {

bool IsOf(const RestingCookieId& rest, std::string_view pool, const DesiredBackend& backend) {
  return rest.pool == pool && rest.address == backend.address && rest.port == backend.port;
}

const RestingCookieId* RestingOf(const Registry& registry, std::string_view pool, uint16_t id) {
  const auto it = std::find_if(registry.resting_cookie_ids.begin(), registry.resting_cookie_ids.end(),
                               [&](const RestingCookieId& rest) { return rest.pool == pool && rest.id == id; });
  return it == registry.resting_cookie_ids.end() ? nullptr : &*it;
}

// Ids that the cookies of all VIPs with the pool can name; 0: there are none.
uint32_t IdsOf(const Registry& registry, std::string_view pool) {
  uint32_t ids = 0;
  for (const VipRecord& vip : *registry.vips) {
    if (vip.desired.cookies != config::Cookies::kBackend || vip.desired.pool != pool) continue;
    // The last number of 16 bits stands for "none".
    const uint32_t of_vip = std::min(1U << vip.desired.cookie.value_or(config::CookieConfig()).id_bits(), 65535U);
    ids = ids == 0 ? of_vip : std::min(ids, of_vip);
  }
  return ids;
}

absl::Status NoFreeCookieId(std::string_view pool, const DesiredBackend& backend, uint32_t ids, size_t resting,
                            uint64_t wait_s) {
  std::string message = Cat("backend \"", pool, "/", backend.name, "\": all ", ids, " cookie ids are taken");
  if (resting > 0) {
    message +=
        Cat(", ", resting, " of them by backends that are gone, whose connections may still name them; try again in ",
            wait_s, " s, or give the VIPs of the pool more bits for ids");
  } else {
    message += "; give the VIPs of the pool more bits for ids, or remove a backend";
  }
  return absl::ResourceExhaustedError(message);
}

// What the pool's ids are taken by.
struct Taken {
  std::set<uint16_t> ids;
  size_t resting = 0;
  uint64_t first_until = UINT64_MAX;
};

Taken TakenOf(const Registry& registry, const PoolRecord& pool) {
  Taken taken;
  for (const BackendRecord& backend : pool.backends) {
    if (backend.desired.cookie_id) taken.ids.insert(*backend.desired.cookie_id);
  }
  for (const RestingCookieId& rest : registry.resting_cookie_ids) {
    if (rest.pool != pool.name) continue;
    taken.ids.insert(rest.id);
    ++taken.resting;
    taken.first_until = std::min(taken.first_until, rest.until_unix_s);
  }
  return taken;
}

// The backend's own id from before, else the lowest that is free; nothing when there is none.
std::optional<uint16_t> ChooseId(const Registry& registry, const PoolRecord& pool, const DesiredBackend& backend,
                                 uint32_t ids, const Taken& taken) {
  for (const RestingCookieId& rest : registry.resting_cookie_ids) {
    const bool used = std::any_of(pool.backends.begin(), pool.backends.end(),
                                  [&](const BackendRecord& other) { return other.desired.cookie_id == rest.id; });
    if (IsOf(rest, pool.name, backend) && rest.id < ids && !used) return rest.id;
  }
  for (uint32_t id = 0; id < ids; ++id) {
    if (!taken.ids.contains(static_cast<uint16_t>(id))) return static_cast<uint16_t>(id);
  }
  return std::nullopt;
}

// Stated ids may rest for the same backend only.
absl::Status CheckStated(const Registry& next, const PoolRecord& pool, uint64_t now_unix_s) {
  for (const BackendRecord& backend : pool.backends) {
    if (!backend.desired.cookie_id) continue;
    const RestingCookieId* rest = RestingOf(next, pool.name, *backend.desired.cookie_id);
    if (rest == nullptr || IsOf(*rest, pool.name, backend.desired)) continue;
    return absl::FailedPreconditionError(
        Cat("backend \"", pool.name, "/", backend.desired.name, "\": cookie_id ", rest->id, " was that of ",
            rest->address.ToString(),
            " until a short while ago, and connections may still name it; take another id, or "
            "wait ",
            rest->until_unix_s - now_unix_s, " s"));
  }
  return absl::OkStatus();
}

// Completes those of `wanted` that need a secret by those of their numbers in force. None: all in force.
template <typename Keyed, typename NeedsSecret>
absl::Status CompleteSecrets(std::string_view what, const std::vector<Keyed>& in_force, std::vector<Keyed>* wanted,
                             const NeedsSecret& needs_secret) {
  if (wanted->empty()) *wanted = in_force;
  for (Keyed& key : *wanted) {
    if (!key.secret.empty() || !needs_secret(key)) continue;
    const auto known = std::find_if(in_force.begin(), in_force.end(),
                                    [&](const Keyed& old) { return old.number == key.number && !old.secret.empty(); });
    if (known == in_force.end()) {
      return absl::NotFoundError(
          Cat(what, key.number, " comes without a secret, and none of that number is in force; give its file"));
    }
    key.secret = known->secret;
  }
  return absl::OkStatus();
}

}  // namespace

void WakeCookieIds(Registry& next, uint64_t now_unix_s) {
  std::erase_if(next.resting_cookie_ids, [&](const RestingCookieId& rest) { return rest.until_unix_s <= now_unix_s; });
}

void RestCookieId(Registry& next, std::string_view pool, const DesiredBackend& backend, uint64_t now_unix_s) {
  if (!backend.cookie_id) return;
  next.resting_cookie_ids.push_back({.pool = std::string(pool),
                                     .id = *backend.cookie_id,
                                     .address = backend.address,
                                     .port = backend.port,
                                     .until_unix_s = now_unix_s + next.cookie_quarantine_s});
}

absl::Status AssignCookieIds(Registry& next, uint64_t now_unix_s, std::vector<std::string>& lines) {
  for (std::shared_ptr<const PoolRecord>& slot : next.pools) {
    if (absl::Status status = CheckStated(next, *slot, now_unix_s); !status.ok()) return status;
    const bool missing = std::any_of(slot->backends.begin(), slot->backends.end(),
                                     [](const BackendRecord& backend) { return !backend.desired.cookie_id; });
    const uint32_t ids = IdsOf(next, slot->name);
    if (missing && ids > 0) {
      auto pool = std::make_shared<PoolRecord>(*slot);
      for (BackendRecord& backend : pool->backends) {
        if (backend.desired.cookie_id) continue;
        const Taken taken = TakenOf(next, *pool);
        const auto id = ChooseId(next, *pool, backend.desired, ids, taken);
        if (!id) {
          return NoFreeCookieId(pool->name, backend.desired, ids, taken.resting, taken.first_until - now_unix_s);
        }
        backend.desired.cookie_id = *id;
        lines.push_back(Cat("~ backend ", pool->name, "/", backend.desired.name, ": cookie_id ", *id, " allocated"));
      }
      slot = std::move(pool);
    }
    std::erase_if(next.resting_cookie_ids, [&](const RestingCookieId& rest) {
      return std::any_of(slot->backends.begin(), slot->backends.end(), [&](const BackendRecord& backend) {
        return rest.pool == slot->name && backend.desired.cookie_id == rest.id;
      });
    });
  }
  return absl::OkStatus();
}

absl::Status CompleteCookieKeys(const Registry& current, DesiredState* desired) {
  return CompleteSecrets("services.cookie_keys: key ", current.cookie_keys, &desired->cookie_keys,
                         [](const config::CookieKeyConfig&) { return true; });
}

absl::Status CompleteQuicConfigs(const Registry& current, DesiredState* desired) {
  return CompleteSecrets("services.quic_configs: configuration ", current.quic_configs, &desired->quic_configs,
                         [](const config::QuicConfig& quic) { return quic.encrypted; });
}

}  // namespace sluice::model
