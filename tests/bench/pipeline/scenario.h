#ifndef SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_
#define SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"
#include "dataplane/net/address.h"

namespace sluice::bench {

// What the packets of a row are.
enum class Load : uint8_t {
  kEstablished,  // packets of connections that were opened before, in random order; with NAT of both directions
  kNew,          // the first packet of a connection each
  kNoVip,        // a flood to an address that is no VIP's: dropped, because the port has no exception port
};

// How a backend is found.
enum class Selection : uint8_t {
  kHash,    // connection_tracking: off
  kTable,   // the connection table; with address translation its sessions
  kCookie,  // a cookie that names the backend
  kSlot,    // a cookie that names the connection's slot: consistency: stateful
};

// Frame sizes without the frame check sequence; kImix is 7 of 60, 4 of 576 and 1 of 1500 bytes. The shortest frame of
// TCP over IPv4 with timestamps, in which cookies are, reaches into a second cache line:
// frames of this size have timestamps.
inline constexpr uint32_t kImix = 0;
inline constexpr uint32_t kTimestampsBytes = 66;

// One row of the benchmark.
struct Scenario {
  std::string group;  // what the row is compared with the others of
  Load load = Load::kEstablished;
  config::ForwardingMode mode = config::ForwardingMode::kIpip;
  Selection selection = Selection::kTable;
  net::Family family = net::Family::kIpv4;  // of clients, VIPs and backends
  uint32_t flows = 1'000'000;
  uint32_t vips = 1000;
  uint32_t backends = 1000;  // in pools of at most kPoolBackends
  uint32_t packet_bytes = 60;
  uint32_t burst = 32;
  uint32_t changes_per_s = 0;  // of a backend's weight, published while packets flow

  std::string Name() const;
};

inline constexpr uint32_t kPoolBackends = 100;

std::string_view LoadName(Load load);
std::string_view SelectionName(Selection selection);

// All rows, in the order of the report: a base (IPv4, IPIP, connection table, 1 M flows, 1 000 VIPs, 1 000 backends, 60
// byte frames, bursts of 32) and, around it, one dimension varied at a time.
std::vector<Scenario> Matrix();

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_
