#ifndef SLUICE_CONTROLPLANE_RPC_CONVERT_STATS_H_
#define SLUICE_CONTROLPLANE_RPC_CONVERT_STATS_H_

#include <chrono>
#include <cstdint>
#include <vector>

#include "controlplane/model/pool_service.h"
#include "controlplane/model/snapshot.h"
#include "dataplane/fwd/interfaces.h"

namespace sluice::v1 {
class BackendStatus;
enum BackendHealth : int;
enum PoolService : int;
class PacketTotals;
class PortStatus;
class VipStatus;
class WorkerStatus;
}  // namespace sluice::v1

// From the truth and the data plane's counters to the API's messages.
namespace sluice::rpc {

inline uint64_t UnixMs(std::chrono::system_clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

v1::BackendHealth ToProto(model::Health health);
v1::PoolService ToProto(model::PoolService service);
void ToProto(const fwd::PacketTotals& totals, v1::PacketTotals* message);
void ToProto(const fwd::PortStats& port, v1::PortStatus* message);
// `uptime`: how long the workers run.
void ToProto(const fwd::WorkerStats& worker, std::chrono::nanoseconds uptime, v1::WorkerStatus* message);
// The VIP's pool is part of the snapshot's registry.
void ToProto(const model::Snapshot& snapshot, const model::VipRecord& vip, const fwd::DataplaneView& view,
             v1::VipStatus* message);
// `ports`: to name the port of the next hop; read once for many backends.
void ToProto(const model::Snapshot& snapshot, const model::PoolRecord& pool, const model::BackendRecord& backend,
             const fwd::DataplaneView& view, const std::vector<fwd::PortStats>& ports, v1::BackendStatus* message);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_CONVERT_STATS_H_
