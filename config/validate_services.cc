#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "config/limits.h"
#include "config/rules.h"
#include "config/text.h"
#include "config/validate.h"
#include "config/validate_cookies.h"
#include "config/validate_health.h"
#include "config/validate_quic.h"
#include "config/validate_vips.h"

namespace sluice::config {
namespace {

// Eisenbud et al., NSDI 2016, section 5.3: with this many slots for each backend their shares differ by about 1 %.
constexpr uint64_t kAdvisedSlotsPerBackend = 100;

bool IsPrime(uint64_t n) {
  if (n < 4) return n >= 2;
  if (n % 2 == 0) return false;
  for (uint64_t d = 3; d * d <= n; d += 2) {
    if (n % d == 0) return false;
  }
  return true;
}

// The smallest prime from `n` on; at the end of the range the largest prime in it.
uint64_t PrimeFrom(uint64_t n) {
  uint64_t candidate = std::max(n, limits::kTableSize.min);
  while (candidate <= limits::kTableSize.max && !IsPrime(candidate)) ++candidate;
  if (candidate <= limits::kTableSize.max) return candidate;
  candidate = limits::kTableSize.max;
  while (!IsPrime(candidate)) --candidate;
  return candidate;
}

// The seed is a secret: no message shows it.
void CheckSeed(const std::string& seed, SeedRule rule, ProblemList* problems) {
  constexpr std::string_view kHint = "; take your own from: openssl rand -hex 16";
  if (seed.empty()) {
    if (rule == SeedRule::kRequired) problems->Add("services.seed", Cat("the seed is empty", kHint));
    return;
  }
  if (seed.size() != kSecretDigits) {
    problems->Add("services.seed", Cat("the seed has ", seed.size(), " characters and must have ", kSecretDigits,
                                       " hexadecimal digits", kHint));
  } else if (!IsHex(seed)) {
    problems->Add("services.seed", Cat("the seed has a character that is no hexadecimal digit", kHint));
  }
}

void CheckTableSize(const PoolConfig& pool, const std::string& path, ProblemList* problems) {
  const std::string what = Cat("table_size ", pool.table_size, " of pool ", Quote(pool.name));
  const std::string field = path + ".table_size";
  if (!limits::kTableSize.Contains(pool.table_size)) {
    problems->Add(field, OutOfRange(what, limits::kTableSize) + ", a prime");
  } else if (!IsPrime(pool.table_size)) {
    problems->Add(field, Cat(what, " is not a prime; take ", PrimeFrom(pool.table_size)));
  } else if (pool.table_size <= pool.backends.size()) {
    problems->Add(field, Cat(what, " is too small for ", pool.backends.size(), " backends; take ",
                             PrimeFrom(pool.backends.size() * kAdvisedSlotsPerBackend + 1)));
  }
}

// Texts are made where there is something to say: each change validates all of the backends, which may be thousands.
void CheckBackends(const PoolConfig& pool, size_t pool_index, ProblemList* problems) {
  absl::flat_hash_set<std::string_view> names;
  absl::flat_hash_map<std::pair<net::IpAddress, std::optional<uint16_t>>, size_t> addresses;
  names.reserve(pool.backends.size());
  addresses.reserve(pool.backends.size());
  for (size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    const auto add = [&](std::string_view field, std::string message) {
      problems->Add(Cat(BackendPath(pool_index, i), ".", field), std::move(message));
    };
    const auto check_range = [&](std::string_view field, uint64_t value, const Range& range) {
      if (range.Contains(value)) return;
      add(field, OutOfRange(Cat(field, " ", value, " of backend ", Quote(backend.name)), range));
    };
    if (auto wrong_name = CheckName(backend.name)) add("name", *std::move(wrong_name));
    if (!names.insert(backend.name).second && !backend.name.empty()) {
      add("name", Cat("backend ", Quote(backend.name), " is in pool ", Quote(pool.name), " twice; rename one of them"));
    }
    auto wrong_address = CheckHostAddress(backend.address);
    const auto [same, is_new] = addresses.emplace(std::pair(backend.address, backend.port), i);
    if (wrong_address) {
      add("address", *std::move(wrong_address));
    } else if (!is_new) {
      add("address",
          Cat("backend ", Quote(backend.name), " has the address ", AddressText(backend), " of backend ",
              Quote(pool.backends[same->second].name), " in the same pool; keep one and give it both weights"));
    }
    if (backend.port) check_range("port", *backend.port, limits::kL4Port);
    check_range("weight", backend.weight, limits::kWeight);
  }
}

// A backup is another pool, and none that needs one itself: what its backends cannot take is refused.
void CheckBackups(const ServiceConfig& services, const StringMap<size_t>& pools, ProblemList* problems) {
  for (size_t i = 0; i < services.pools.size(); ++i) {
    const PoolConfig& pool = services.pools[i];
    const std::string& backup = pool.policy.backup;
    if (backup.empty()) continue;
    const std::string what = Cat("backup ", Quote(backup), " of pool ", Quote(pool.name));
    const auto found = pools.find(backup);
    if (found == pools.end()) {
      problems->Add(PoolPath(i) + ".backup", Cat(what, " is no pool; add it under services.pools"));
    } else if (found->second == i) {
      problems->Add(PoolPath(i) + ".backup", Cat(what, " is the pool itself; name another one"));
    } else if (!services.pools[found->second].policy.backup.empty()) {
      problems->Add(PoolPath(i) + ".backup", Cat(what,
                                                 " has a backup of its own, which would never be used; remove "
                                                 "one of them"));
    }
  }
}

// False when there are more objects than the data plane has room for.
bool CheckCounts(const ServiceConfig& services, ProblemList* problems) {
  bool good = true;
  const auto check = [&](std::string field, std::string_view what, size_t count, size_t limit) {
    if (count <= limit) return;
    problems->Add(std::move(field), Cat("there are ", count, " ", what, "; at most ", limit, " are possible"));
    good = false;
  };
  size_t backends = 0;
  for (const PoolConfig& pool : services.pools) backends += pool.backends.size();
  check("services.pools", "pools", services.pools.size(), limits::kPools);
  check("services.pools", "backends, each counted once for each pool it is in,", backends, limits::kBackends);
  check("services.vips", "VIPs", services.vips.size(), limits::kVips);
  return good;
}

void CheckPoolPolicy(const PoolConfig& pool, const std::string& path, ProblemList* problems) {
  const PoolPolicy& policy = pool.policy;
  const auto check = [&](std::string_view key, uint32_t value, const Range& range) {
    problems->CheckRange(Cat(path, ".", key), Cat(key, " ", value, " of pool ", Quote(pool.name)), value, range);
  };
  check("panic_threshold_percent", policy.panic_threshold_percent, limits::kPercent);
  check("slow_start_s", policy.slow_start_s, limits::kSlowStartS);
  check("slow_start_steps", policy.slow_start_steps, limits::kSlowStartSteps);
  check("weight_floor_percent", policy.weight_floor_percent, limits::kWeightFloorPercent);
  const bool asks_http = pool.health_check &&
                         (pool.health_check->type == CheckType::kHttp || pool.health_check->type == CheckType::kHttps);
  if (policy.weight_by_load && !asks_http) {
    problems->Add(path + ".weight_by_load", Cat("pool ", Quote(pool.name),
                                                " has no health_check of type http or https, whose answers would tell ",
                                                "the load; add one, or leave weight_by_load out"));
  }
}

// Weights that move by what this director sees are for connections that are remembered: others would move with them,
// and go to other backends at other directors.
void CheckMovingWeights(const ServiceConfig& services, const StringMap<size_t>& pools, ProblemList* problems) {
  for (size_t i = 0; i < services.vips.size(); ++i) {
    const VipConfig& vip = services.vips[i];
    if (vip.tracking != ConnectionTracking::kOff || vip.cookies != Cookies::kNone) continue;
    const auto check = [&](std::string_view what, const std::string& name) -> const PoolPolicy* {
      const auto found = pools.find(name);
      if (found == pools.end()) return nullptr;
      const PoolPolicy& policy = services.pools[found->second].policy;
      if (policy.slow_start_s == 0 && !policy.weight_by_load) return &policy;
      problems->Add(Cat("services.vips[", i, "].connection_tracking"),
                    Cat("VIP ", Quote(vip.name), " does not remember its connections, and ", what, " ", Quote(name),
                        " has ", policy.slow_start_s > 0 ? "slow_start_s" : "weight_by_load",
                        ", with which they would move; track connections, or take another pool"));
      return &policy;
    };
    const PoolPolicy* own = check("pool", vip.pool);
    if (own != nullptr && own->backup != vip.pool) check("backup", own->backup);
  }
}

}  // namespace

std::vector<Problem> ValidateServices(const ServiceConfig& services, SeedRule seed) {
  ProblemList problems;
  CheckSeed(services.seed, seed, &problems);
  // What is too much is not looked at any further: the other rules are not made for any number of objects.
  if (!CheckCounts(services, &problems)) return problems.Take();
  StringMap<size_t> pools;
  for (size_t i = 0; i < services.pools.size(); ++i) {
    const PoolConfig& pool = services.pools[i];
    problems.AddIf(PoolPath(i) + ".name", CheckName(pool.name));
    if (!pools.emplace(pool.name, i).second && !pool.name.empty()) {
      problems.Add(PoolPath(i) + ".name",
                   Cat("there are two pools with the name ", Quote(pool.name), "; rename one of them"));
    }
    CheckTableSize(pool, PoolPath(i), &problems);
    CheckBackends(pool, i, &problems);
    CheckPoolPolicy(pool, PoolPath(i), &problems);
  }
  CheckMovingWeights(services, pools, &problems);
  CheckBackups(services, pools, &problems);
  CheckVips(services, pools, &problems);
  CheckHealthChecks(services, &problems);
  CheckCookies(services, seed == SeedRule::kRequired, &problems);
  CheckQuic(services, seed == SeedRule::kRequired, &problems);
  return problems.Take();
}

std::vector<Problem> AdviseServices(const ServiceConfig& services) {
  ProblemList advice;
  for (size_t i = 0; i < services.pools.size(); ++i) {
    const PoolConfig& pool = services.pools[i];
    const uint64_t wanted = pool.backends.size() * kAdvisedSlotsPerBackend;
    if (pool.table_size > wanted) continue;
    advice.Add(
        PoolPath(i) + ".table_size",
        Cat("table_size ", pool.table_size, " of pool ", Quote(pool.name), " is small for ", pool.backends.size(),
            " backends, whose shares will differ from their weights; better take ", PrimeFrom(wanted + 1)));
  }
  return advice.Take();
}

}  // namespace sluice::config
