#include "dataplane/fwd/quic.h"

#include <algorithm>
#include <memory>
#include <string_view>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::fwd {
namespace {

// By PoolId, of the pools that VIPs with QUIC use; null of others.
std::vector<std::shared_ptr<QuicServers>> ServersByPool(const StateSpec& spec) {
  std::vector<std::shared_ptr<QuicServers>> pools;
  for (const VipSpec& vip : spec.vips) {
    if (!vip.entry.quic) continue;
    const size_t pool = vip.entry.pool.index();
    if (pool >= pools.size()) pools.resize(pool + 1);
    if (pools[pool] == nullptr) pools[pool] = std::make_shared<QuicServers>();
  }
  for (const BackendSpec& backend : spec.backends) {
    const BackendInfo& info = backend.info;
    const size_t pool = info.pool.index();
    if (info.state == BackendState::kAbsent || pool >= pools.size() || pools[pool] == nullptr) continue;
    for (const lb::QuicServerId& id : info.quic_server_ids) pools[pool]->backends.emplace(id, backend.id);
  }
  return pools;
}

std::string_view Bytes(const lb::QuicServerId& id) {
  return {reinterpret_cast<const char*>(id.bytes.data()), id.length};
}

}  // namespace

QuicConfigSet::QuicConfigSet(const QuicConfigSpecs& given) : specs(given) {
  for (uint8_t number = 0; number < given.size(); ++number) {
    if (!given[number]) continue;
    lb::QuicLbConfig config;
    config.server_id_length = given[number]->server_id_length;
    config.nonce_length = given[number]->nonce_length;
    if (given[number]->secret) config.key.emplace(*given[number]->secret);
    configs.Set(number, config);
  }
}

void BuildQuic(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state) {
  const bool same = previous != nullptr && previous->quic_configs->specs == spec.quic_configs;
  state.quic_configs = same ? previous->quic_configs : std::make_shared<const QuicConfigSet>(spec.quic_configs);
  const std::vector<std::shared_ptr<QuicServers>> servers = ServersByPool(spec);
  state.quic_servers.assign(servers.begin(), servers.end());
  if (previous == nullptr) return;
  for (size_t pool = 0; pool < std::min(servers.size(), previous->quic_servers.size()); ++pool) {
    const auto& before = previous->quic_servers[pool];
    if (before != nullptr && servers[pool] != nullptr && *before == *servers[pool]) state.quic_servers[pool] = before;
  }
}

std::vector<std::string> QuicVipTexts(const StateSpec& spec) {
  std::vector<std::string> texts;
  for (const VipSpec& vip : spec.vips) {
    if (!vip.entry.quic) continue;
    std::vector<std::string> ids;
    for (const BackendSpec& backend : spec.backends) {
      if (backend.info.pool != vip.entry.pool || backend.info.state == BackendState::kAbsent) continue;
      for (const lb::QuicServerId& id : backend.info.quic_server_ids) {
        ids.push_back(absl::StrCat("  ", std::string(Bytes(id)), " ", backend.info.address.ToString(), "\n"));
      }
    }
    std::sort(ids.begin(), ids.end());
    texts.push_back(absl::StrCat("quic ", vip.prefix.ToString(), " ", vip.first_port, "-", vip.last_port, "\n",
                                 absl::StrJoin(ids, "")));
  }
  return texts;
}

std::string QuicKeyPrints(const StateSpec& spec) {
  std::string prints;
  for (size_t number = 0; number < spec.quic_configs.size(); ++number) {
    const std::optional<QuicConfigSpec>& config = spec.quic_configs[number];
    if (!config) continue;
    absl::StrAppend(&prints, "quic ", number, " ", config->server_id_length, " ", config->nonce_length, ":");
    if (!config->secret) continue;
    const lb::AesBlock print = KeyPrint(*config->secret);
    prints.append(print.begin(), print.end());
  }
  return prints;
}

BackendId QuicBackend(const ForwardingState& state, const FlowView& flow) {
  const auto server = lb::DecodeQuicServerId(state.quic_configs->configs, flow.quic_id, flow.quic_id_size);
  if (!server) return BackendId();
  const auto& backends = state.quic_servers[(*state.vips)[flow.vip.index()].pool.index()]->backends;
  const auto found = backends.find(*server);
  return found == backends.end() ? BackendId() : found->second;
}

}  // namespace sluice::fwd
