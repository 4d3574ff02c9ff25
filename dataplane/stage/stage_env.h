#ifndef SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_
#define SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_

#include <array>
#include <bitset>
#include <cstdint>
#include <vector>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/probe_ports.h"
#include "dataplane/fwd/unresolved_clients.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/fragment_table.h"
#include "dataplane/net/address.h"
#include "dataplane/stage/extra_packets.h"

namespace sluice::stage {

// What stages know of a logical port.
struct PortTraits {
  net::MacAddress mac;              // unicast frames to any other are dropped
  uint32_t mtu_bytes = 1500;        // largest IP packet
  bool tx_ipv4_checksum = false;    // the device fills in the outer IPv4 header checksum
  bool has_exception_port = false;  // there is a way to the host's kernel
  // Ours on this port, from the configuration: where ICMP errors of a router come from. Unspecified: none.
  net::IpAddress address_v4;
  net::IpAddress address_v6;

  // Takes the first of each family that can be answered from afar. At start.
  void SetAddresses(const std::vector<net::IpPrefix>& addresses) {
    for (const net::IpPrefix& own : addresses) {
      net::IpAddress& mine = own.address.is_v4() ? address_v4 : address_v6;
      if (mine.IsUnspecified() && !own.address.IsLinkLocal()) mine = own.address;
    }
  }
};

// Tunnels of one family may come from a prefix of our own rather than from the port's address: the host bits then vary
// by flow, so that backends' NICs and the network spread flows that have no other entropy in their outer header.
struct TunnelSource {
  bool enabled = false;
  std::array<uint8_t, 16> prefix{};     // 4 or 16 bytes, host bits zero
  std::array<uint8_t, 16> host_mask{};  // ones where the host bits are
};

// Addresses of one family that our tunnels come from, beside those of a TunnelSource.
struct OwnSources {
  std::array<std::array<uint8_t, 16>, fwd::kMaxPorts> addresses{};  // 4 or 16 bytes each
  size_t count = 0;
};

// Fixed at start, the same for all workers.
struct NodeTraits {
  std::array<PortTraits, fwd::kMaxPorts> ports;  // by PortId
  TunnelSource tunnel_source_v4;
  TunnelSource tunnel_source_v6;
  OwnSources own_sources_v4;  // the ports' addresses: see CollectOwnSources
  OwnSources own_sources_v6;
  // Answers (ICMP) per second and worker; further ones are dropped.
  uint32_t answers_per_s = 1000;
  // Copies for other backends (fwd/copies.h) likewise; without them a packet goes to one backend only.
  uint32_t copies_per_s = 4000;
  std::bitset<65536> management_ports;  // of the host, TCP and UDP
};

// Limits something to so many in each second of the worker's clock.
class SecondsBudget {
 public:
  // All of `count` or nothing.
  bool Take(uint32_t now_s, uint32_t per_s, uint32_t count = 1) {
    if (now_s != second_) {
      second_ = now_s;
      used_ = 0;
    }
    if (count > per_s || used_ > per_s - count) return false;
    used_ += count;
    return true;
  }

 private:
  uint32_t second_ = 0;
  uint32_t used_ = 0;
};

// Whether the CPU has what stage/fast_path.h needs.
bool FastPathIsSupported();

// What a worker lends to its stages for one burst.
struct StageEnv {
  const fwd::ForwardingState* state = nullptr;
  const NodeTraits* node = nullptr;
  fwd::FlowTables* tables = nullptr;
  fwd::WorkerCounters* counters = nullptr;
  uint32_t now_s = 0;  // monotonic, coarse
  SecondsBudget answers = {};
  SecondsBudget copies = {};
  fwd::UnresolvedClients* unresolved = nullptr;  // where unknown stations are reported; null: nowhere
  WorkerId worker = WorkerId(0);
  uint16_t worker_count = 1;
  lb::FragmentTable* fragments = nullptr;
  ExtraPackets extras = {};
  const fwd::ProbePorts* probes = nullptr;  // of the host's health checks; null: there are none
  bool fast_path = FastPathIsSupported();   // false: the stages do all the work (stage/fast_path.h)
  bool wants_records = false;               // true: RunPipeline makes the records of each burst
};

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_STAGE_ENV_H_
