#ifndef SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_
#define SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_

#include <array>
#include <bitset>
#include <cstdint>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/net/address.h"

namespace sluice::stage {

// What stages know of a logical port.
struct PortTraits {
  net::MacAddress mac;              // unicast frames to any other are dropped
  uint32_t mtu_bytes = 1500;        // largest IP packet
  bool tx_ipv4_checksum = false;    // the device fills in the outer IPv4 header checksum
  bool has_exception_port = false;  // there is a way to the host's kernel
};

// Fixed at start, the same for all workers.
struct NodeTraits {
  std::array<PortTraits, fwd::kMaxPorts> ports;  // by PortId
  std::bitset<65536> management_ports;           // of the host, TCP and UDP
};

// What a worker lends to its stages for one burst.
struct StageEnv {
  const fwd::ForwardingState* state = nullptr;
  const NodeTraits* node = nullptr;
  fwd::FlowTables* tables = nullptr;
  fwd::WorkerCounters* counters = nullptr;
  uint32_t now_s = 0;  // monotonic, coarse
};

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_
