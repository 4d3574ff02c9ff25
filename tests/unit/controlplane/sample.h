#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_SAMPLE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_SAMPLE_H_

#include <string>
#include <string_view>
#include <vector>

#include "config/validate.h"
#include "controlplane/model/desired_state.h"
#include "controlplane/model/registry.h"

namespace sluice {

inline constexpr model::Limits kSampleLimits = {.vips = 4, .pools = 4, .backends = 4};

inline constexpr std::string_view kSampleSeed = "000102030405060708090a0b0c0d0e0f";

inline net::IpAddress Ip(std::string_view text) { return net::IpAddress::Parse(text).value(); }

inline config::BackendConfig SampleBackend(std::string name, std::string_view address, uint32_t weight = 100) {
  config::BackendConfig backend;
  backend.name = std::move(name);
  backend.address = Ip(address);
  backend.weight = weight;
  return backend;
}

inline config::VipConfig SampleVip(std::string name, std::string_view address, uint16_t port, std::string pool) {
  config::VipConfig vip;
  vip.name = std::move(name);
  vip.prefix = net::IpPrefix::Parse(address).value();
  vip.ports = config::PortRange::Single(port);
  vip.pool = std::move(pool);
  return vip;
}

// One pool "web" of web-1, web-2 (10.0.0.1, 10.0.0.2), with a VIP "www" (203.0.113.10:80/tcp).
inline config::ServiceConfig SampleServices() {
  config::ServiceConfig services;
  services.seed = kSampleSeed;
  config::PoolConfig pool;
  pool.name = "web";
  pool.table_size = 251;
  pool.backends = {SampleBackend("web-1", "10.0.0.1"), SampleBackend("web-2", "10.0.0.2")};
  services.pools = {pool};
  services.vips = {SampleVip("www", "203.0.113.10", 80, "web")};
  return services;
}

// What the composition root passes in, without a node.
inline std::vector<model::Complaint> ValidateSample(const model::DesiredState& desired) {
  std::vector<model::Complaint> complaints;
  for (const config::Problem& problem : config::ValidateServices(desired)) {
    complaints.push_back({problem.field, problem.message});
  }
  return complaints;
}

}  // namespace sluice

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_SAMPLE_H_
