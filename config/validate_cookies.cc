#include "config/validate_cookies.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "config/cookie_layout.h"
#include "config/limits.h"
#include "config/text.h"

namespace sluice::config {
namespace {

// The secret itself is in no message.
void CheckKeys(const ServiceConfig& services, bool need_keys, ProblemList* problems) {
  std::set<uint32_t> numbers;
  for (size_t i = 0; i < services.cookie_keys.size(); ++i) {
    const CookieKeyConfig& key = services.cookie_keys[i];
    const std::string path = IndexPath("services.cookie_keys", i);
    const std::string what = Cat("cookie key ", key.number);
    problems->CheckRange(path + ".number", what, key.number, limits::kCookieKeyNumber);
    if (!numbers.insert(key.number).second) {
      problems->Add(path + ".number", Cat(what, " is there twice; give each key a number of its own"));
    }
    if (key.secret.empty() && !need_keys) continue;
    if (key.secret.size() != kSecretDigits || !IsHex(key.secret)) {
      problems->Add(path, Cat("the secret of ", what, key.secret.empty() ? " is not there" : " is not one",
                              "; give 32 hexadecimal digits, made with: openssl rand -hex 16"));
    }
  }
  problems->CheckRange("services.cookie_quarantine_s", Cat("cookie_quarantine_s ", services.cookie_quarantine_s),
                       services.cookie_quarantine_s, limits::kCookieQuarantineS);
}

bool WidthsFit(const CookieConfig& cookie) {
  for (const uint32_t width :
       {cookie.key_bits, cookie.tier_bits, cookie.backend_bits, cookie.check_bits, cookie.clock_bits.value_or(0)}) {
    if (!limits::kCookieWidth.Contains(width)) return false;
  }
  return true;
}

// What a VIP that sends to tier-2 directors needs.
void CheckFirstTier(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  const CookieConfig& cookie = *vip.cookie;
  const std::string what = Cat("tier ", cookie.tier, " of VIP ", Quote(vip.name));
  problems->CheckRange(path + ".cookie.tier", what, cookie.tier, limits::kCookieTier);
  if (cookie.tier != 1) return;
  if (cookie.tier_bits == 0) {
    problems->Add(path + ".cookie.tier_bits", Cat(what, " needs bits by which cookies name its tier-2 directors; give ",
                                                  "tier_bits 1 to ", lb::kMaxTierBits));
  }
  if (vip.mode != ForwardingMode::kL2) {
    problems->Add(path + ".mode", Cat("mode ", ModeName(vip.mode), " of VIP ", Quote(vip.name), " cannot be with tier ",
                                      "1: a tier-2 director takes its packets as a router sends them; take mode l2"));
  }
}

// True when the VIP has cookies that name backends, and their layout can be.
bool CheckLayout(const VipConfig& vip, const std::string& path, ProblemList* problems) {
  const std::string of_vip = Cat(" of VIP ", Quote(vip.name));
  const std::string word(ConsistencyName(ConsistencyOf(vip)));
  if (vip.cookies != Cookies::kBackend) {
    if (vip.cookie) {
      problems->Add(path + ".cookie",
                    Cat("cookie", of_vip, " means nothing with consistency ", word, "; remove it, or take cookie"));
    }
    if (vip.cookies == Cookies::kNone) return false;
  }
  if (vip.protocol != Protocol::kTcp) {
    problems->Add(path + ".consistency",
                  Cat("consistency ", word, of_vip, " needs protocol tcp, whose timestamps carry ",
                      "cookies; take track or hash"));
    return false;
  }
  if (vip.mode == ForwardingMode::kFullNat) {
    problems->Add(
        path + ".consistency",
        Cat("consistency ", word, of_vip, " cannot be with mode full-nat, whose connections are known by the ",
            "local port that one director chose; take track, or mode nat, l2 or a tunnel"));
    return false;
  }
  if (IsNat(vip.mode) && vip.cookies == Cookies::kSlot) {
    problems->Add(path + ".consistency", Cat("consistency ", word, of_vip, " cannot be with mode ", ModeName(vip.mode),
                                             "; take cookie or track, or mode l2 or a tunnel"));
    return false;
  }
  if (vip.cookies == Cookies::kSlot) return false;
  const CookieConfig cookie = vip.cookie.value_or(CookieConfig());
  const std::string where = path + (vip.cookie ? ".cookie" : ".consistency");
  if (!WidthsFit(cookie)) {
    problems->Add(where, Cat("a width in the cookie", of_vip, " is out of range; give whole numbers from ",
                             limits::kCookieWidth.min, " to ", limits::kCookieWidth.max));
    return false;
  }
  problems->CheckRange(where + ".idle_s", Cat("idle_s ", cookie.idle_s, of_vip), cookie.idle_s, limits::kCookieIdleS);
  if (vip.cookie) CheckFirstTier(vip, path, problems);
  const std::string wrong = lb::DescribeLayoutError(CookieLayoutOf(vip), uint64_t{cookie.idle_s} * 1000);
  if (wrong.empty()) return true;
  problems->Add(where, Cat("VIP ", Quote(vip.name), ": ", wrong));
  return false;
}

// That ids fit, and that there are enough of them.
void CheckIdsFit(const VipConfig& vip, size_t vip_index, const PoolConfig& pool, ProblemList* problems) {
  const std::string_view width = IsFirstTier(vip) ? "tier_bits" : "backend_bits";
  const std::string path = VipPath(vip_index) + (vip.cookie ? ".cookie" : ".consistency");
  const uint32_t bits = vip.cookie.value_or(CookieConfig()).id_bits();
  const size_t ids = size_t{1} << bits;
  const std::string why = Cat(bits, " ", width, " of VIP ", Quote(vip.name), " tell ", ids, " ids apart");
  if (pool.backends.size() > ids) {
    problems->Add(
        path, Cat(why, ", and pool ", Quote(pool.name), " has ", pool.backends.size(), " backends; give more ", width));
    return;
  }
  for (const BackendConfig& backend : pool.backends) {
    if (!backend.cookie_id || *backend.cookie_id < ids) continue;
    problems->Add(path,
                  Cat(why, ", and backend ", Quote(backend.name), " of pool ", Quote(pool.name), " has cookie_id ",
                      *backend.cookie_id, "; give more ", width, ", or a cookie_id up to ", ids - 1));
    return;
  }
}

// The key that directors make cookies with, where they do.
void CheckKeyInUse(const VipConfig& vip, size_t vip_index, const std::vector<CookieKeyConfig>& keys,
                   ProblemList* problems) {
  const uint32_t number = vip.cookie.value_or(CookieConfig()).key;
  const std::string path = VipPath(vip_index) + (vip.cookie ? ".cookie.key" : ".consistency");
  const std::string what = Cat("cookie key ", number, ", with which VIP ", Quote(vip.name), " makes its cookies");
  if (vip.mode != ForwardingMode::kNat) {
    if (number != 0) {
      problems->Add(path, Cat("cookie.key of VIP ", Quote(vip.name), " means nothing with mode ", ModeName(vip.mode),
                              ", where the agents on backends make cookies; remove it"));
    }
    return;
  }
  // Without any the keys in force stay, which are not known here.
  const bool there = keys.empty() || std::any_of(keys.begin(), keys.end(),
                                                 [number](const CookieKeyConfig& key) { return key.number == number; });
  if (!there)
    problems->Add(path, Cat(what, ", is not among services.cookie_keys; add it, or name another in cookie.key"));
}

// Ids are unique in their pool only.
void CheckNoBackup(const VipConfig& vip, size_t vip_index, const PoolConfig& pool, ProblemList* problems) {
  if (pool.policy.backup.empty()) return;
  problems->Add(VipPath(vip_index) + ".consistency",
                Cat("consistency cookie of VIP ", Quote(vip.name), " cannot be with pool ", Quote(pool.name),
                    ", which has a backup: a cookie would not tell backends of the two pools apart; take track, or "
                    "remove the backup"));
}

void CheckIdsOfPool(const PoolConfig& pool, size_t pool_index, ProblemList* problems) {
  std::map<uint16_t, std::string_view> owners;
  for (size_t i = 0; i < pool.backends.size(); ++i) {
    const BackendConfig& backend = pool.backends[i];
    if (!backend.cookie_id) continue;
    const std::string path = BackendPath(pool_index, i) + ".cookie_id";
    const std::string what = Cat("cookie_id ", *backend.cookie_id, " of backend ", Quote(backend.name));
    problems->CheckRange(path, what, *backend.cookie_id, limits::kCookieId);
    const auto [owner, is_new] = owners.emplace(*backend.cookie_id, backend.name);
    if (!is_new) {
      problems->Add(path, Cat(what, " is that of backend ", Quote(owner->second),
                              " in the same pool; give each an id of its own"));
    }
  }
}

uint32_t LowestFreeId(const PoolConfig& pool) {
  std::set<uint32_t> taken;
  for (const BackendConfig& backend : pool.backends) {
    if (backend.cookie_id) taken.insert(*backend.cookie_id);
  }
  uint32_t id = 0;
  while (taken.contains(id)) ++id;
  return id;
}

}  // namespace

void CheckCookies(const ServiceConfig& services, bool need_keys, ProblemList* problems) {
  CheckKeys(services, need_keys, problems);
  for (size_t p = 0; p < services.pools.size(); ++p) CheckIdsOfPool(services.pools[p], p, problems);
  std::map<std::string_view, const PoolConfig*> pools;
  for (const PoolConfig& pool : services.pools) pools.emplace(pool.name, &pool);
  bool used = false;
  for (size_t v = 0; v < services.vips.size(); ++v) {
    const VipConfig& vip = services.vips[v];
    const auto pool = pools.find(vip.pool);
    if (vip.cookies == Cookies::kBackend && pool != pools.end()) CheckNoBackup(vip, v, *pool->second, problems);
    if (!CheckLayout(vip, VipPath(v), problems)) continue;
    used = true;
    for (const CookieKeyConfig& key : services.cookie_keys) {
      const uint32_t numbers = 1U << CookieLayoutOf(vip).key_bits;
      if (key.number < numbers || !limits::kCookieKeyNumber.Contains(key.number)) continue;
      problems->Add(
          VipPath(v) + (vip.cookie ? ".cookie" : ".consistency"),
          Cat("the key bits of VIP ", Quote(vip.name), " name keys up to ", numbers - 1, ", and there is a cookie key ",
              key.number, "; give more key_bits, or keys with lower numbers"));
    }
    if (pool != pools.end()) CheckIdsFit(vip, v, *pool->second, problems);
    CheckKeyInUse(vip, v, services.cookie_keys, problems);
  }
  if (used && need_keys && services.cookie_keys.empty()) {
    problems->Add("services.cookie_keys",
                  "there is a VIP with consistency cookie, and no key; add {number: 0, file: ...}, a file with the "
                  "output of: openssl rand -hex 16");
  }
}

void CheckTiersTogether(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems) {
  for (size_t v = 0; v < services.vips.size(); ++v) {
    const VipConfig& vip = services.vips[v];
    if (vip.cookies != Cookies::kBackend || !vip.cookie || IsFirstTier(vip)) continue;
    const uint32_t bits = vip.cookie->tier_bits;
    if (bits == 0 || bits > lb::kMaxTierBits || (node.tier_id && *node.tier_id >> bits == 0)) continue;
    const std::string path = VipPath(v) + ".cookie.tier_bits";
    const std::string of_vip = Cat(bits, " tier_bits of VIP ", Quote(vip.name));
    if (node.tier_id) {
      problems->Add(path, Cat(of_vip, " tell ", 1U << bits, " directors apart, and this one has tier_id ",
                              *node.tier_id, "; give more tier_bits, or a node.tier_id up to ", (1U << bits) - 1));
    } else {
      problems->Add(path, Cat(of_vip, " are for the id of this director, which has none; add node.tier_id: 0, the ",
                              "cookie_id that tier-1 directors know it by, or remove tier_bits"));
    }
  }
}

void CheckCookieIdsOfFile(const ServiceConfig& services, ProblemList* problems) {
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    const auto vip = std::find_if(services.vips.begin(), services.vips.end(), [&](const VipConfig& each) {
      return each.cookies == Cookies::kBackend && each.pool == pool.name;
    });
    if (vip == services.vips.end()) continue;
    for (size_t b = 0; b < pool.backends.size(); ++b) {
      const BackendConfig& backend = pool.backends[b];
      if (backend.cookie_id) continue;
      problems->Add(BackendPath(p, b),
                    Cat("backend ", Quote(backend.name), " has no cookie_id, which VIP ", Quote(vip->name),
                        " names it by in its cookies on all directors; ", "add cookie_id: ", LowestFreeId(pool)));
      break;  // the next one's remedy depends on this one
    }
  }
}

}  // namespace sluice::config
