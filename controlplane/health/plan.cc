#include "controlplane/health/plan.h"

#include <array>
#include <cstring>
#include <string>

#include "absl/container/flat_hash_map.h"

namespace sluice::health {
namespace {

// The VIP's address; of a prefix its first one that is no network's own.
net::IpAddress AddressOf(const net::IpPrefix& prefix) {
  if (prefix.length >= prefix.address.bits() - 1) return prefix.address;
  std::array<uint8_t, 16> bytes{};
  std::memcpy(bytes.data(), prefix.address.data(), prefix.address.size());
  bytes[prefix.address.size() - 1] |= 1;
  return net::IpAddress::FromBytes(prefix.address.family(), bytes.data());
}

uint16_t PortOf(const config::HealthCheckConfig& check, const model::BackendRecord& backend,
                const model::VipRecord* vip) {
  if (check.port) return *check.port;
  if (backend.desired.port) return *backend.desired.port;
  return vip != nullptr && vip->desired.ports.is_single() ? vip->desired.ports.first : 0;
}

}  // namespace

std::vector<Wish> PlanChecks(const model::Registry& registry) {
  // The VIPs are sorted by name.
  absl::flat_hash_map<PoolId, const model::VipRecord*> first_vips;
  for (const model::VipRecord& vip : *registry.vips) first_vips.emplace(vip.pool, &vip);
  // Others' backups get the traffic of their VIPs.
  for (const model::VipRecord& vip : *registry.vips) {
    const model::PoolRecord* own = registry.FindPool(vip.desired.pool);
    const model::PoolRecord* backup = own == nullptr ? nullptr : registry.FindPool(own->policy.backup);
    if (backup != nullptr) first_vips.emplace(backup->id, &vip);
  }
  std::vector<Wish> wishes;
  for (const auto& pool : registry.pools) {
    if (!pool->health_check) continue;
    const config::HealthCheckConfig& check = *pool->health_check;
    const auto first = first_vips.find(pool->id);
    const model::VipRecord* vip = first == first_vips.end() ? nullptr : first->second;
    if (!check.vip.empty()) vip = registry.FindVip(check.vip);
    if (vip == nullptr && !check.direct) continue;
    const bool data_path = !check.direct && !config::IsNat(vip->desired.mode);
    config::HealthCheckConfig common = check;
    common.port.reset();
    common.vip.clear();
    common.direct = false;
    for (const model::BackendRecord& backend : pool->backends) {
      Wish wish;
      wish.subscriber = {backend.id, backend.generation};
      wish.spec.config = common;
      CheckTarget& target = wish.spec.target;
      target.port = PortOf(check, backend, vip);
      if (target.port == 0 && check.type != config::CheckType::kIcmp) continue;
      target.backend_address = backend.desired.address;
      target.address = data_path ? AddressOf(vip->desired.prefix) : backend.desired.address;
      if (data_path) {
        target.vip = vip->id;
        target.via = wish.subscriber;
      }
      wishes.push_back(std::move(wish));
    }
  }
  return wishes;
}

}  // namespace sluice::health
