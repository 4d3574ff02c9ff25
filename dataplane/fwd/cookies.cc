#include "dataplane/fwd/cookies.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/quic.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/lb/siphash.h"

namespace sluice::fwd {
namespace {

constexpr lb::AesBlock kPrintLabel = {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'k', 'e', 'y', ' ', 'p', 'r', 'i', 'n', 't'};

// Digests are compared, not kept secret: what they are made of is public, or a print.
uint64_t Digest(std::string_view text) { return lb::SipHash24(lb::SipKey{}, text); }

// Whether cookies name the VIP's backends.
bool NamesBackends(const VipEntry& vip) { return vip.cookies && !vip.slots && !vip.quic; }

// By pool: the lines of its backends' ids, in an order that is the same on all directors.
std::vector<std::string> IdsTexts(const StateSpec& spec) {
  std::vector<std::vector<std::string>> lines;
  for (const BackendSpec& backend : spec.backends) {
    const BackendInfo& info = backend.info;
    if (!info.cookie_id || info.state == BackendState::kAbsent) continue;
    if (info.pool.index() >= lines.size()) lines.resize(info.pool.index() + 1);
    lines[info.pool.index()].push_back(
        absl::StrCat("  ", *info.cookie_id, " ", info.address.ToString(), " ", info.nat_port, "\n"));
  }
  std::vector<std::string> texts;
  for (std::vector<std::string>& of_pool : lines) {
    std::sort(of_pool.begin(), of_pool.end());
    texts.push_back(absl::StrJoin(of_pool, ""));
  }
  return texts;
}

std::string VipText(const VipSpec& vip) {
  const lb::CookieLayout& layout = vip.entry.cookie_layout;
  return absl::StrCat(vip.prefix.ToString(), " ", vip.entry.protocol, " ", vip.first_port, "-", vip.last_port, " ",
                      layout.key_bits, " ", layout.tier_bits, " ", layout.backend_bits, " ", layout.check_bits, " ",
                      layout.clock_bits, "\n");
}

CookieDigest DigestOf(const StateSpec& spec, const CookieKeySet& keys) {
  // A pool's ids stand for all VIPs that use it, so they are put together once, and only their digest goes into each.
  std::vector<std::string> pools;
  for (const std::string& text : IdsTexts(spec)) pools.push_back(absl::StrCat("  ids ", Digest(text), "\n"));
  std::vector<std::string> vips;
  for (const VipSpec& vip : spec.vips) {
    if (!NamesBackends(vip.entry)) continue;
    const size_t pool = vip.entry.pool.index();
    vips.push_back(VipText(vip) + (pool < pools.size() ? pools[pool] : std::string()));
  }
  for (std::string& text : QuicVipTexts(spec)) vips.push_back(std::move(text));
  std::sort(vips.begin(), vips.end());
  const std::string ids = absl::StrJoin(vips, "");
  std::string prints;
  for (size_t number = 0; number < keys.prints.size(); ++number) {
    if (!keys.prints[number]) continue;
    absl::StrAppend(&prints, number, ":");
    prints.append(keys.prints[number]->begin(), keys.prints[number]->end());
  }
  return {.ids = Digest(ids), .keys = Digest(prints + QuicKeyPrints(spec))};
}

// By PoolId, of the pools that VIPs with cookies use; null of others.
std::vector<std::shared_ptr<CookieIds>> IdsByPool(const StateSpec& spec) {
  std::vector<std::shared_ptr<CookieIds>> pools;
  for (const VipSpec& vip : spec.vips) {
    if (!NamesBackends(vip.entry)) continue;
    const size_t pool = vip.entry.pool.index();
    if (pool >= pools.size()) pools.resize(pool + 1);
    if (pools[pool] == nullptr) pools[pool] = std::make_shared<CookieIds>();
  }
  for (const BackendSpec& backend : spec.backends) {
    const BackendInfo& info = backend.info;
    if (!info.cookie_id || info.state == BackendState::kAbsent) continue;
    const size_t pool = info.pool.index();
    if (pool >= pools.size() || pools[pool] == nullptr) continue;
    std::vector<BackendId>& ids = pools[pool]->backends;
    if (*info.cookie_id >= ids.size()) ids.resize(size_t{*info.cookie_id} + 1);
    ids[*info.cookie_id] = backend.id;
  }
  return pools;
}

}  // namespace

lb::AesBlock KeyPrint(const lb::AesBlock& secret) {
  return lb::Aes128EncryptPortable(lb::Aes128Key(secret), kPrintLabel);
}

CookieKeySet::CookieKeySet(const CookieSecrets& secrets) {
  for (uint32_t number = 0; number < secrets.size(); ++number) {
    if (!secrets[number]) continue;
    keys.Set(number, *secrets[number]);
    prints[number] = KeyPrint(*secrets[number]);
  }
}

void BuildCookies(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state) {
  auto keys = std::make_shared<const CookieKeySet>(spec.cookie_keys);
  const bool same = previous != nullptr && previous->cookie_keys->prints == keys->prints;
  state.cookie_keys = same ? previous->cookie_keys : std::move(keys);
  const std::vector<std::shared_ptr<CookieIds>> ids = IdsByPool(spec);
  state.cookie_ids.assign(ids.begin(), ids.end());
  if (previous != nullptr) {
    for (size_t pool = 0; pool < std::min(ids.size(), previous->cookie_ids.size()); ++pool) {
      const auto& before = previous->cookie_ids[pool];
      if (before != nullptr && ids[pool] != nullptr && *before == *ids[pool]) state.cookie_ids[pool] = before;
    }
  }
  state.cookie_digest = DigestOf(spec, *state.cookie_keys);
}

BackendId CookieBackend(const ForwardingState& state, const FlowView& flow) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const lb::FlowTuple tuple = {.source = flow.client,
                               .destination = flow.destination,
                               .source_port = flow.client_port,
                               .destination_port = flow.destination_port,
                               .protocol = flow.protocol,
                               .family = flow.family};
  const uint32_t cookie = lb::CookieOf(vip.cookie_layout, flow.echo);
  const auto said = lb::DecodeCookie(vip.cookie_layout, state.cookie_keys->keys, tuple, cookie);
  // One tier: a cookie that names another director is none of ours.
  if (!said || said->tier != 0) return BackendId();
  return state.cookie_ids[vip.pool.index()]->Find(said->backend);
}

}  // namespace sluice::fwd
