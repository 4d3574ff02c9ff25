#include "dataplane/fwd/quic.h"

#include <memory>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "dataplane/fwd/by_pool.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"

namespace sluice::fwd {
namespace {

bool HasQuic(const VipEntry& vip) { return vip.quic; }

std::string HexOf(const lb::QuicServerId& id) {
  return absl::BytesToHexString({reinterpret_cast<const char*>(id.bytes.data()), id.length});
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
  const auto servers = ForPools<QuicServers>(spec, HasQuic);
  ForBackends(spec, servers, [](const BackendSpec& backend, QuicServers& of_pool) {
    for (const lb::QuicServerId& id : backend.info.quic_server_ids) of_pool.backends.emplace(id, backend.id);
  });
  using Shared = std::vector<std::shared_ptr<const QuicServers>>;
  state.quic_servers = ShareByPool(servers, previous != nullptr ? previous->quic_servers : Shared());
}

std::vector<std::string> QuicVipTexts(const StateSpec& spec) {
  const std::vector<std::string> pools =
      DigestLines(spec, HasQuic, [](const BackendInfo& info, std::vector<std::string>& lines) {
        for (const lb::QuicServerId& id : info.quic_server_ids) {
          lines.push_back(absl::StrCat("  ", HexOf(id), " ", info.address.ToString(), "\n"));
        }
      });
  std::vector<std::string> texts;
  for (const VipSpec& vip : spec.vips) {
    if (!vip.entry.quic) continue;
    texts.push_back(absl::StrCat("quic ", vip.prefix.ToString(), " ", vip.first_port, "-", vip.last_port, "\n",
                                 pools[vip.entry.pool.index()]));
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
