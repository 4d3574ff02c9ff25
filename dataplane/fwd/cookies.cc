#include "dataplane/fwd/cookies.h"

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/lb/siphash.h"

namespace sluice::fwd {
namespace {

constexpr lb::AesBlock kPrintLabel = {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'k', 'e', 'y', ' ', 'p', 'r', 'i', 'n', 't'};

// Digests are compared, not kept secret: what they are made of is public, or a print.
uint64_t Digest(std::string_view text) { return lb::SipHash24(lb::SipKey{}, text); }

std::string IdsText(const StateSpec& spec, PoolId pool) {
  std::vector<std::string> lines;
  for (const BackendSpec& backend : spec.backends) {
    const BackendInfo& info = backend.info;
    if (info.pool != pool || !info.cookie_id || info.state == BackendState::kAbsent) continue;
    lines.push_back(absl::StrCat("  ", *info.cookie_id, " ", info.address.ToString(), " ", info.nat_port, "\n"));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) text += line;
  return text;
}

std::string VipText(const VipSpec& vip) {
  const lb::CookieLayout& layout = vip.entry.cookie_layout;
  return absl::StrCat(vip.prefix.ToString(), " ", vip.entry.protocol, " ", vip.first_port, "-", vip.last_port, " ",
                      layout.key_bits, " ", layout.tier_bits, " ", layout.backend_bits, " ", layout.check_bits, " ",
                      layout.clock_bits, "\n");
}

CookieDigest DigestOf(const StateSpec& spec, const CookieKeySet& keys) {
  std::vector<std::string> vips;
  for (const VipSpec& vip : spec.vips) {
    if (vip.entry.cookies) vips.push_back(VipText(vip) + IdsText(spec, vip.entry.pool));
  }
  std::sort(vips.begin(), vips.end());
  std::string ids;
  for (const std::string& vip : vips) ids += vip;
  std::string prints;
  for (size_t number = 0; number < keys.prints.size(); ++number) {
    if (!keys.prints[number]) continue;
    absl::StrAppend(&prints, number, ":");
    prints.append(keys.prints[number]->begin(), keys.prints[number]->end());
  }
  return {.ids = Digest(ids), .keys = Digest(prints)};
}

}  // namespace

CookieKeySet::CookieKeySet(const CookieSecrets& secrets) {
  for (uint32_t number = 0; number < secrets.size(); ++number) {
    if (!secrets[number]) continue;
    keys.Set(number, *secrets[number]);
    prints[number] = lb::Aes128EncryptPortable(lb::Aes128Key(*secrets[number]), kPrintLabel);
  }
}

void BuildCookies(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state) {
  auto keys = std::make_shared<const CookieKeySet>(spec.cookie_keys);
  const bool same = previous != nullptr && previous->cookie_keys->prints == keys->prints;
  state.cookie_keys = same ? previous->cookie_keys : std::move(keys);
  for (const VipSpec& vip : spec.vips) {
    if (!vip.entry.cookies) continue;
    const size_t pool = vip.entry.pool.index();
    if (pool >= state.cookie_ids.size()) state.cookie_ids.resize(pool + 1);
    if (state.cookie_ids[pool] != nullptr) continue;  // of another VIP with the pool
    auto ids = std::make_shared<CookieIds>();
    for (const BackendSpec& backend : spec.backends) {
      const BackendInfo& info = backend.info;
      if (info.pool != vip.entry.pool || !info.cookie_id || info.state == BackendState::kAbsent) continue;
      if (*info.cookie_id >= ids->backends.size()) ids->backends.resize(size_t{*info.cookie_id} + 1);
      ids->backends[*info.cookie_id] = backend.id;
    }
    const bool known = previous != nullptr && pool < previous->cookie_ids.size() &&
                       previous->cookie_ids[pool] != nullptr && *previous->cookie_ids[pool] == *ids;
    state.cookie_ids[pool] = known ? previous->cookie_ids[pool] : std::move(ids);
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
