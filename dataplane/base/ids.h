#ifndef SLUICE_DATAPLANE_BASE_IDS_H_
#define SLUICE_DATAPLANE_BASE_IDS_H_

#include <cstdint>

#include "dataplane/base/strong_id.h"

namespace sluice {

// All ids are local to one process: dense, small, and given out by the control plane. Sixteen bits keep a slot of a
// Maglev table and an entry of the connection table small; the limits (65 535 VIPs, 65 535 backends counted once for
// each pool they are in) are checked where ids are given out.
using VipId = StrongId<struct VipTag, uint16_t>;
using PoolId = StrongId<struct PoolTag, uint16_t>;
using BackendId = StrongId<struct BackendTag, uint16_t>;
// A logical port of the configuration; it may consist of several DPDK devices.
using PortId = StrongId<struct PortTag, uint8_t>;
using WorkerId = StrongId<struct WorkerTag, uint8_t>;

// Distinguishes the uses of one BackendId over time. Wraps after 65 536 reuses of the same id.
using BackendGeneration = uint16_t;

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_IDS_H_
