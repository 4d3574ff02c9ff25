#ifndef SLUICE_CONTROLPLANE_MODEL_DESCRIBE_H_
#define SLUICE_CONTROLPLANE_MODEL_DESCRIBE_H_

#include <optional>
#include <string>
#include <string_view>

#include "controlplane/model/desired_state.h"
#include "controlplane/model/registry.h"

// The lines in which changes are told to people.
namespace sluice::model {

// "+ backend web/web-1: 192.0.2.11 weight 100 active"
std::string DescribeAdded(std::string_view pool, const BackendRecord& backend);
// "- backend web/web-1: draining -> removed"
std::string DescribeRemoved(std::string_view pool, const BackendRecord& backend);
// "~ backend web/web-1: weight 100 -> 50, active -> draining"; empty when they do not differ in effect.
std::string DescribeChanged(std::string_view pool, const BackendRecord& before, const BackendRecord& after);

// "~ pool web: on_down keep -> reset, backup - -> spare"; empty when they do not differ.
std::string DescribeChanged(std::string_view pool, const config::PoolPolicy& before, const config::PoolPolicy& after);
// "http GET /healthz port 8080, every 2000 ms, timeout 1000 ms, rise 2, fall 3"
std::string DescribeCheck(const config::HealthCheckConfig& check);
// "~ pool web: health_check none -> tcp, ..."; empty when they do not differ.
std::string DescribeChanged(std::string_view pool, const std::optional<config::HealthCheckConfig>& before,
                            const std::optional<config::HealthCheckConfig>& after);

// "+ vip www: 203.0.113.10:80/tcp pool web mode l2"
std::string DescribeAdded(const DesiredVip& vip);
// "~ vip www: pool web -> api, hash tuple -> client"; empty when they do not differ.
std::string DescribeChanged(const DesiredVip& before, const DesiredVip& after);

// "203.0.113.10:80/tcp", "[2001:db8::1]:53/udp", "203.0.113.0/24:8000-8999/tcp", "[2001:db8::/64]:all/tcp"
std::string ServiceAddress(const DesiredVip& vip);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_DESCRIBE_H_
