#include "controlplane/reconcile/state_spec.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"

namespace sluice::reconcile {
namespace {

absl::StatusOr<std::array<uint8_t, 16>> SeedBytes(const std::string& text) {
  std::array<uint8_t, 16> seed{};
  const bool hex = text.size() == 2 * seed.size() && std::all_of(text.begin(), text.end(), [](char c) {
                     return absl::ascii_isxdigit(static_cast<unsigned char>(c));
                   });
  // The value is a secret: it does not belong into a message.
  if (!hex) {
    return absl::InvalidArgumentError("seed: must be 32 hexadecimal digits; make one with `openssl rand -hex 16`");
  }
  const std::string bytes = absl::HexStringToBytes(text);
  std::copy(bytes.begin(), bytes.end(), seed.begin());
  return seed;
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

fwd::ForwardingMode ModeOf(model::ForwardingMode mode) {
  return mode == model::ForwardingMode::kIpip ? fwd::ForwardingMode::kIpip : fwd::ForwardingMode::kL2;
}

void AddPool(const model::PoolRecord& pool, fwd::StateSpec& spec) {
  fwd::PoolSpec out;
  out.id = pool.id;
  out.table_size = pool.table_size;
  for (const model::BackendRecord& backend : pool.backends) {
    spec.backends.push_back({backend.id, {backend.desired.address, backend.generation, StateOf(backend.lifecycle)}});
    if (backend.takes_new_flows()) {
      out.members.push_back({backend.id, backend.desired.name, backend.desired.weight});
    }
  }
  spec.pools.push_back(std::move(out));
}

}  // namespace

absl::StatusOr<fwd::StateSpec> ToStateSpec(const model::Registry& registry) {
  fwd::StateSpec spec;
  absl::StatusOr<std::array<uint8_t, 16>> seed = SeedBytes(registry.seed);
  if (!seed.ok()) return seed.status();
  spec.seed = *seed;
  for (const auto& pool : registry.pools) AddPool(*pool, spec);
  for (const model::VipRecord& vip : *registry.vips) {
    spec.vips.push_back({vip.id, vip.desired.address, static_cast<uint8_t>(vip.desired.protocol), vip.desired.port,
                         vip.pool, ModeOf(vip.desired.mode)});
  }
  return spec;
}

}  // namespace sluice::reconcile
