#include "controlplane/reconcile/state_spec.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "config/cookie_layout.h"
#include "controlplane/model/text.h"

namespace sluice::reconcile {
namespace {

// The seed's, or those of a cookie key. The value is a secret: it does not belong into a message.
absl::StatusOr<std::array<uint8_t, 16>> SecretBytes(std::string_view what, const std::string& text) {
  std::array<uint8_t, 16> secret{};
  const bool hex = text.size() == 2 * secret.size() && std::all_of(text.begin(), text.end(), [](char c) {
                     return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                   });
  if (!hex) {
    return absl::InvalidArgumentError(
        model::Cat(what, ": must be 32 hexadecimal digits; make one with `openssl rand -hex 16`"));
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::copy(bytes.begin(), bytes.end(), secret.begin());
  return secret;
}

fwd::BackendState StateOf(model::Lifecycle lifecycle) {
  switch (lifecycle) {
    case model::Lifecycle::kActive:
      return fwd::BackendState::kActive;
    case model::Lifecycle::kDraining:
      return fwd::BackendState::kDraining;
    case model::Lifecycle::kRemoved:
      break;
  }
  return fwd::BackendState::kAbsent;
}

fwd::OnDown OnDownOf(config::OnDown on_down) {
  switch (on_down) {
    case config::OnDown::kKeep:
      break;
    case config::OnDown::kReschedule:
      return fwd::OnDown::kReschedule;
    case config::OnDown::kReset:
      return fwd::OnDown::kReset;
  }
  return fwd::OnDown::kKeep;
}

fwd::Refusal RefusalOf(config::NoBackend no_backend) {
  switch (no_backend) {
    case config::NoBackend::kDrop:
      break;
    case config::NoBackend::kIcmp:
      return fwd::Refusal::kUnreachable;
    case config::NoBackend::kReset:
      return fwd::Refusal::kReset;
  }
  return fwd::Refusal::kDrop;
}

fwd::SchedulingPolicy PolicyOf(config::Scheduling scheduling) {
  switch (scheduling) {
    case config::Scheduling::kMaglev:
      break;
    case config::Scheduling::kWeightedRoundRobin:
      return fwd::SchedulingPolicy::kWeightedRoundRobin;
    case config::Scheduling::kPowerOfTwo:
      return fwd::SchedulingPolicy::kPowerOfTwo;
    case config::Scheduling::kLeastConnections:
      return fwd::SchedulingPolicy::kLeastConnections;
  }
  return fwd::SchedulingPolicy::kMaglev;
}

fwd::ForwardingMode ModeOf(model::ForwardingMode mode) {
  switch (mode) {
    case model::ForwardingMode::kL2:
      break;
    case model::ForwardingMode::kIpip:
      return fwd::ForwardingMode::kIpip;
    case model::ForwardingMode::kGue:
      return fwd::ForwardingMode::kGue;
    case model::ForwardingMode::kGueDirect:
      return fwd::ForwardingMode::kGueDirect;
    case model::ForwardingMode::kGre:
      return fwd::ForwardingMode::kGre;
    case model::ForwardingMode::kNat:
      return fwd::ForwardingMode::kNat;
    case model::ForwardingMode::kFullNat:
      return fwd::ForwardingMode::kFullNat;
  }
  return fwd::ForwardingMode::kL2;
}

fwd::HashInput HashInputOf(config::HashInput hash) {
  switch (hash) {
    case config::HashInput::kTuple:
      break;
    case config::HashInput::kClientPort:
      return fwd::HashInput::kClientPort;
    case config::HashInput::kClient:
      return fwd::HashInput::kClient;
  }
  return fwd::HashInput::kTuple;
}

// With QUIC only a connection's first packets go by the table, until the client uses an id that the server chose.
constexpr uint16_t kQuicInitialS = 30;

lb::FlowTimeouts TimeoutsOf(const config::VipTimeoutsConfig& vip, const lb::FlowTimeouts& node) {
  // Valid ones are far below 16 bits.
  const auto pick = [](const std::optional<uint32_t>& own, uint16_t other) {
    return static_cast<uint16_t>(own.value_or(other));
  };
  return {.tcp_syn_s = pick(vip.tcp_syn_s, node.tcp_syn_s),
          .tcp_established_s = pick(vip.tcp_established_s, node.tcp_established_s),
          .tcp_closing_s = pick(vip.tcp_closing_s, node.tcp_closing_s),
          .tcp_reset_s = pick(vip.tcp_reset_s, node.tcp_reset_s),
          .udp_s = pick(vip.udp_s, node.udp_s)};
}

fwd::VipSpec ToVipSpec(const model::VipRecord& vip, const model::PoolRecord* pool, const NodePart& node) {
  const model::DesiredVip& desired = vip.desired;
  fwd::VipSpec spec;
  spec.id = vip.id;
  spec.prefix = desired.prefix;
  spec.first_port = desired.ports.first;
  spec.last_port = desired.ports.last;
  spec.answers_echo = desired.answer_echo;
  spec.entry.pool = vip.pool;
  if (pool != nullptr) spec.entry.no_backend = RefusalOf(pool->policy.no_backend);
  spec.entry.protocol = static_cast<uint8_t>(desired.protocol);
  spec.entry.mode = ModeOf(desired.mode);
  spec.entry.hash_input = HashInputOf(desired.hash);
  spec.entry.tracked = desired.tracking != config::ConnectionTracking::kOff;
  spec.entry.unsafe_only = desired.tracking == config::ConnectionTracking::kUnsafe;
  if (config::IsGue(desired.mode)) spec.entry.gue_port = desired.gue_port.value_or(config::kDefaultGuePort);
  spec.entry.proxy_protocol = desired.proxy_protocol == config::ProxyProtocol::kV2;
  spec.entry.clamp_mss = desired.clamp_mss;
  spec.entry.second_chance = desired.second_chance;
  spec.entry.quic = desired.quic;
  spec.entry.cookies = desired.cookies != config::Cookies::kNone || desired.quic;
  spec.entry.slots = desired.cookies == config::Cookies::kSlot;
  if (desired.cookies == config::Cookies::kBackend) {
    spec.entry.cookie_layout = config::CookieLayoutOf(desired);
    spec.entry.cookie_key = static_cast<uint8_t>(desired.cookie.value_or(config::CookieConfig()).key);
    spec.entry.first_tier = config::IsFirstTier(desired);
    if (spec.entry.cookie_layout.tier_bits > 0) spec.entry.tier_id = node.tier_id;
  }
  spec.entry.timeouts = TimeoutsOf(desired.timeouts, node.timeouts);
  if (desired.quic && !desired.timeouts.udp_s) {
    spec.entry.timeouts.udp_s = std::min(spec.entry.timeouts.udp_s, kQuicInitialS);
  }
  return spec;
}

// Valid ones.
std::vector<lb::QuicServerId> ServerIds(const std::vector<std::string>& texts) {
  std::vector<lb::QuicServerId> ids;
  for (const std::string& text : texts) {
    const std::string bytes = absl::HexStringToBytes(text);
    lb::QuicServerId& id = ids.emplace_back();
    id.length = static_cast<uint8_t>(std::min(bytes.size(), id.bytes.size()));
    std::copy_n(bytes.begin(), id.length, id.bytes.begin());
  }
  return ids;
}

// What counts of the weights. Proportions alone decide: where only a part of some counts, all are taken in fine units,
// the largest being kMaxWeight of them.
std::vector<uint32_t> WeightsInUse(const model::PoolRecord& pool) {
  std::vector<uint32_t> weights;
  uint32_t largest = 0;
  bool all = true;
  for (const model::BackendRecord& backend : pool.backends) {
    const model::WeightUse& use = backend.weight_use;
    const uint32_t percent = std::max(1U, use.start_percent * use.load_percent / 100);
    all = all && percent == 100;
    weights.push_back(backend.desired.weight * percent);
    largest = std::max(largest, weights.back());
  }
  for (size_t i = 0; i < weights.size(); ++i) {
    const uint64_t fine = largest == 0 ? 0 : (uint64_t{weights[i]} * config::kMaxWeight + largest / 2) / largest;
    weights[i] = all               ? pool.backends[i].desired.weight
                 : weights[i] == 0 ? 0
                                   : std::max(1U, static_cast<uint32_t>(fine));
  }
  return weights;
}

void AddPool(const model::PoolRecord& pool, const model::PoolRecord* backup, fwd::StateSpec& spec) {
  fwd::PoolSpec out;
  if (backup != nullptr) out.backup = backup->id;
  const bool panic = pool.is_in_panic();
  out.id = pool.id;
  out.table_size = pool.table_size;
  out.policy = PolicyOf(pool.policy.scheduling);
  const std::vector<uint32_t> weights = WeightsInUse(pool);
  size_t index = 0;
  for (const model::BackendRecord& backend : pool.backends) {
    const bool usable = panic || model::IsUsable(backend.health.value());
    spec.backends.push_back({.id = backend.id,
                             .info = {.address = backend.desired.address,
                                      .generation = backend.generation,
                                      .state = usable ? StateOf(backend.lifecycle) : fwd::BackendState::kDown,
                                      .nat_port = backend.desired.port.value_or(0),
                                      .pool = pool.id,
                                      .on_down = OnDownOf(pool.policy.on_down),
                                      .cookie_id = backend.desired.cookie_id,
                                      .quic_server_ids = ServerIds(backend.desired.quic_server_ids)}});
    out.known.push_back({backend.id, backend.desired.name, backend.desired.weight});
    if (usable && backend.takes_new_flows()) {
      out.members.push_back({backend.id, backend.desired.name, weights[index]});
    }
    ++index;
  }
  spec.pools.push_back(std::move(out));
}

}  // namespace

absl::StatusOr<fwd::StateSpec> ToStateSpec(const model::Registry& registry, const NodePart& node) {
  fwd::StateSpec spec;
  absl::StatusOr<std::array<uint8_t, 16>> seed = SecretBytes("seed", registry.seed);
  if (!seed.ok()) return seed.status();
  spec.seed = *seed;
  for (const config::CookieKeyConfig& key : registry.cookie_keys) {
    const auto secret = SecretBytes(model::Cat("cookie key ", key.number), key.secret);
    if (!secret.ok()) return secret.status();
    if (key.number < spec.cookie_keys.size()) spec.cookie_keys[key.number] = *secret;
  }
  for (const config::QuicConfig& quic : registry.quic_configs) {
    if (quic.number >= spec.quic_configs.size()) continue;
    fwd::QuicConfigSpec& out = spec.quic_configs[quic.number].emplace();
    out.server_id_length = static_cast<uint8_t>(quic.server_id_bytes);
    out.nonce_length = static_cast<uint8_t>(quic.nonce_bytes);
    if (!quic.encrypted) continue;
    const auto secret = SecretBytes(model::Cat("key of quic configuration ", quic.number), quic.secret);
    if (!secret.ok()) return secret.status();
    out.secret = *secret;
  }
  for (const auto& pool : registry.pools) AddPool(*pool, registry.FindPool(pool->policy.backup), spec);
  for (const model::VipRecord& vip : *registry.vips) {
    spec.vips.push_back(ToVipSpec(vip, registry.FindPool(vip.desired.pool), node));
  }
  return spec;
}

}  // namespace sluice::reconcile
