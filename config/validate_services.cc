#include <algorithm>
#include <map>
#include <tuple>

#include "config/limits.h"
#include "config/rules.h"
#include "config/text.h"
#include "config/validate.h"

namespace sluice::config {
namespace {

constexpr size_t kSeedDigits = 32;
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

std::string PoolPath(size_t pool) { return IndexPath("services.pools", pool); }
std::string BackendPath(size_t pool, size_t backend) { return IndexPath(PoolPath(pool) + ".backends", backend); }
std::string VipPath(size_t vip) { return IndexPath("services.vips", vip); }

std::string_view ProtocolName(Protocol protocol) { return protocol == Protocol::kTcp ? "tcp" : "udp"; }

// The seed is a secret: no message shows it.
void CheckSeed(const std::string& seed, SeedRule rule, ProblemList* problems) {
  constexpr std::string_view kHint = "; take your own from: openssl rand -hex 16";
  if (seed.empty()) {
    if (rule == SeedRule::kRequired) problems->Add("services.seed", Cat("the seed is empty", kHint));
    return;
  }
  const bool hex = std::all_of(seed.begin(), seed.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
  });
  if (seed.size() != kSeedDigits) {
    problems->Add("services.seed", Cat("the seed has ", seed.size(), " characters and must have ", kSeedDigits,
                                       " hexadecimal digits", kHint));
  } else if (!hex) {
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

void CheckBackends(const PoolConfig& pool, size_t pool_index, ProblemList* problems) {
  StringMap<size_t> names;
  std::map<net::IpAddress, size_t> addresses;
  for (size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    const std::string path = BackendPath(pool_index, i);
    problems->AddIf(path + ".name", CheckName(backend.name));
    if (!names.emplace(backend.name, i).second && !backend.name.empty()) {
      problems->Add(path + ".name", Cat("backend ", Quote(backend.name), " is in pool ", Quote(pool.name),
                                        " twice; rename one of them"));
    }
    const auto wrong_address = CheckHostAddress(backend.address);
    problems->AddIf(path + ".address", wrong_address);
    const auto [same, is_new] = addresses.emplace(backend.address, i);
    if (!is_new && !wrong_address) {
      problems->Add(
          path + ".address",
          Cat("backend ", Quote(backend.name), " has the address ", backend.address.ToString(), " of backend ",
              Quote(pool.backends[same->second].name), " in the same pool; keep one and give it both weights"));
    }
    problems->CheckRange(path + ".weight", Cat("weight ", backend.weight, " of backend ", Quote(backend.name)),
                         backend.weight, limits::kWeight);
  }
}

// Both modes leave the packet's family as it is.
void CheckFamilies(const ServiceConfig& services, size_t vip_index, const PoolConfig& pool, ProblemList* problems) {
  const VipConfig& vip = services.vips[vip_index];
  for (const BackendConfig& backend : pool.backends) {
    // An unspecified address is a problem of its own, or could not be read: its family means nothing.
    if (backend.address.IsUnspecified() || backend.address.family() == vip.address.family()) continue;
    const std::string_view mode = vip.mode == ForwardingMode::kL2 ? "l2" : "ipip";
    problems->Add(VipPath(vip_index) + ".mode",
                  Cat("mode ", mode, " cannot take ", FamilyName(vip.address.family()), " packets of VIP ",
                      Quote(vip.name), " to the ", FamilyName(backend.address.family()), " address ",
                      backend.address.ToString(), " of backend ", Quote(backend.name),
                      "; use a pool whose backends all have ", FamilyName(vip.address.family()), " addresses"));
    return;  // one is enough: the pool does not fit
  }
}

void CheckVips(const ServiceConfig& services, const StringMap<size_t>& pools, ProblemList* problems) {
  StringSet names;
  std::map<std::tuple<net::IpAddress, Protocol, uint16_t>, size_t> keys;
  std::vector<std::string_view> pool_names;
  for (const PoolConfig& pool : services.pools) pool_names.push_back(pool.name);
  for (size_t i = 0; i < services.vips.size(); ++i) {
    const VipConfig& vip = services.vips[i];
    const std::string path = VipPath(i);
    problems->AddIf(path + ".name", CheckName(vip.name));
    if (!names.insert(vip.name).second && !vip.name.empty()) {
      problems->Add(path + ".name", Cat("there are two VIPs with the name ", Quote(vip.name), "; rename one of them"));
    }
    const auto wrong_address = CheckHostAddress(vip.address);
    problems->AddIf(path + ".address", wrong_address);
    problems->CheckRange(path + ".port", Cat("port ", vip.port, " of VIP ", Quote(vip.name)), vip.port,
                         limits::kL4Port);
    const auto [same, is_new] = keys.emplace(std::tuple(vip.address, vip.protocol, vip.port), i);
    if (!is_new && !wrong_address && vip.port != 0) {
      problems->Add(path + ".address", Cat("VIP ", Quote(vip.name), " has address ", vip.address.ToString(),
                                           ", protocol ", ProtocolName(vip.protocol), " and port ", vip.port,
                                           " of VIP ", Quote(services.vips[same->second].name),
                                           "; a packet can belong to one VIP only, change one of them"));
    }
    const auto pool = pools.find(vip.pool);
    if (pool != pools.end()) {
      if (!wrong_address) CheckFamilies(services, i, services.pools[pool->second], problems);
      continue;
    }
    const std::string_view closest = ClosestWord(vip.pool, pool_names);
    problems->Add(path + ".pool",
                  Cat("VIP ", Quote(vip.name), " refers to pool ", Quote(vip.pool), ", which does not exist; ",
                      closest.empty() ? "add it under services.pools" : Cat("did you mean ", Quote(closest), "?")));
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

// A packet to a backend that is a VIP at the same time would come back here.
void CheckBackendsAgainstVips(const ServiceConfig& services, ProblemList* problems) {
  std::map<net::IpAddress, std::string_view> vips;
  for (const VipConfig& vip : services.vips) {
    if (!vip.address.IsUnspecified()) vips.emplace(vip.address, vip.name);
  }
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    for (size_t b = 0; b < pool.backends.size(); ++b) {
      const BackendConfig& backend = pool.backends[b];
      const auto vip = vips.find(backend.address);
      if (vip == vips.end()) continue;
      problems->Add(BackendPath(p, b) + ".address",
                    Cat("backend ", Quote(backend.name), " has the address ", backend.address.ToString(), " of VIP ",
                        Quote(vip->second), "; give the server's own address"));
    }
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
  }
  CheckVips(services, pools, &problems);
  CheckBackendsAgainstVips(services, &problems);
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
