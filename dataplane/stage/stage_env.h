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

// Tunnels of one family may come from a prefix of our own rather than from the port's address: the host bits then vary
// by flow, so that backends' NICs and the network spread flows that have no other entropy in their outer header.
struct TunnelSource {
  bool enabled = false;
  std::array<uint8_t, 16> prefix{};     // 4 or 16 bytes, host bits zero
  std::array<uint8_t, 16> host_mask{};  // ones where the host bits are
};

// Fixed at start, the same for all workers.
struct NodeTraits {
  std::array<PortTraits, fwd::kMaxPorts> ports;  // by PortId
  TunnelSource tunnel_source_v4;
  TunnelSource tunnel_source_v6;
  // Answers (ICMP) per second and worker; further ones are dropped.
  uint32_t answers_per_s = 1000;
  std::bitset<65536> management_ports;  // of the host, TCP and UDP
};

// Limits answers to so many in each second of the worker's clock.
class AnswerBudget {
 public:
  bool Take(uint32_t now_s, uint32_t per_s) {
    if (now_s != second_) {
      second_ = now_s;
      used_ = 0;
    }
    if (used_ >= per_s) return false;
    ++used_;
    return true;
  }

 private:
  uint32_t second_ = 0;
  uint32_t used_ = 0;
};

// What a worker lends to its stages for one burst.
struct StageEnv {
  const fwd::ForwardingState* state = nullptr;
  const NodeTraits* node = nullptr;
  fwd::FlowTables* tables = nullptr;
  fwd::WorkerCounters* counters = nullptr;
  uint32_t now_s = 0;  // monotonic, coarse
  AnswerBudget answers = {};
};

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_
