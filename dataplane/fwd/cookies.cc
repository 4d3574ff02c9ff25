#include "dataplane/fwd/cookies.h"

#include <algorithm>
#include <bit>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/fwd/by_pool.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/quic.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::fwd {
namespace {

constexpr lb::AesBlock kPrintLabel = {'s', 'l', 'u', 'i', 'c', 'e', ' ', 'k', 'e', 'y', ' ', 'p', 'r', 'i', 'n', 't'};

// Whether cookies name the VIP's backends.
bool NamesBackends(const VipEntry& vip) { return vip.cookies && !vip.slots && !vip.quic; }

std::string VipText(const VipSpec& vip) {
  const lb::CookieLayout& layout = vip.entry.cookie_layout;
  return absl::StrCat(vip.prefix.ToString(), " ", vip.entry.protocol, " ", vip.first_port, "-", vip.last_port, " ",
                      layout.key_bits, " ", layout.tier_bits, " ", layout.backend_bits, " ", layout.check_bits, " ",
                      layout.clock_bits, vip.entry.first_tier ? " tier 1\n" : "\n");
}

CookieDigest DigestOf(const StateSpec& spec, const CookieKeySet& keys) {
  const std::vector<std::string> pools =
      DigestLines(spec, NamesBackends, [](const BackendInfo& info, std::vector<std::string>& lines) {
        if (!info.cookie_id) return;
        lines.push_back(absl::StrCat("  ", *info.cookie_id, " ", info.address.ToString(), " ", info.nat_port, "\n"));
      });
  std::vector<std::string> vips;
  for (const VipSpec& vip : spec.vips) {
    if (NamesBackends(vip.entry)) vips.push_back(VipText(vip) + pools[vip.entry.pool.index()]);
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
  const auto ids = ForPools<CookieIds>(spec, NamesBackends);
  ForBackends(spec, ids, [](const BackendSpec& backend, CookieIds& of_pool) {
    if (!backend.info.cookie_id) return;
    const size_t id = *backend.info.cookie_id;
    if (id >= of_pool.backends.size()) {
      of_pool.backends.resize(id + 1, BackendId().value());
      of_pool.keeping.resize(std::bit_ceil(id + 1), BackendId().value());
    }
    of_pool.backends[id] = backend.id.value();
    const bool keeps = KeepsFlows(backend.info.state, backend.info.on_down);
    of_pool.keeping[id] = keeps ? backend.id.value() : BackendId().value();
  });
  using Shared = std::vector<std::shared_ptr<const CookieIds>>;
  state.cookie_ids = ShareByPool(ids, previous != nullptr ? previous->cookie_ids : Shared());
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
  // Which tier-2 director has the connection is for tier 1 alone to know: any of them can have taken it over.
  return said ? state.cookie_ids[vip.pool.index()]->Find(vip.first_tier ? said->tier : said->backend) : BackendId();
}

bool BeginStamps(const ForwardingState& state, const VipEntry& vip, const lb::FlowTuple& tuple, BackendId backend,
                 lb::NatStamps& stamps) {
  const std::optional<uint16_t>& id = (*state.backend_infos)[backend.index()].cookie_id;
  const lb::CookieKeys& keys = state.cookie_keys->keys;
  if (!id || *id >> vip.cookie_layout.backend_bits != 0 || keys.Find(vip.cookie_key) == nullptr) return false;
  stamps.Begin(vip.cookie_layout,
               lb::EncodeCookie(vip.cookie_layout, keys, vip.cookie_key, tuple, {.tier = vip.tier_id, .backend = *id}));
  return true;
}

}  // namespace sluice::fwd
