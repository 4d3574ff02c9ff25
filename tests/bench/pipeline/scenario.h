#ifndef SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_
#define SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/schema.h"
#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"

namespace sluice::bench {

// What the packets of a row are.
enum class Load : uint8_t {
  // Packets of connections that were opened before, in random order, but for Scenario::one_new_in; with NAT of both
  // directions.
  kEstablished,
  kNew,    // the first packet of a connection each
  kMixed,  // of all kinds of VIPs in turn (Scenario::KindOf), one packet in 16 the first of a connection
  kNoVip,  // a flood to an address that is no VIP's: dropped, because the port has no exception port
};

// How a backend is found.
enum class Selection : uint8_t {
  kHash,    // connection_tracking: off
  kTable,   // the connection table; with address translation its sessions
  kCookie,  // a cookie that names the backend
  kSlot,    // a cookie that names the connection's slot: consistency: stateful
};

// What the VIPs of a row differ in.
struct VipKind {
  Selection selection;
  net::Family family;  // of the VIP and its clients
  uint8_t protocol;
};

// Frame sizes without the frame check sequence; kImix is 7 of 60, 4 of 576 and 1 of 1500 bytes. The shortest frame of
// TCP over IPv4 with timestamps, in which cookies are, reaches into a second cache line, as that of TCP over IPv6 does:
// frames of kTimestampsBytes over IPv4 and kTimestampsV6Bytes over IPv6 have timestamps. kShortest: each as short as
// its kind is, TCP over IPv4 with timestamps and datagrams with 32 bytes.
inline constexpr uint32_t kImix = 0;
inline constexpr uint32_t kShortest = 1;
inline constexpr uint32_t kTimestampsBytes = 66, kTimestampsV6Bytes = 86;
inline constexpr uint32_t kShortestV6Bytes = 74;
inline constexpr uint32_t kDatagramBytes = 74, kDatagramV6Bytes = 94;  // frames of UDP with 32 bytes of data

// One row of the benchmark.
struct Scenario {
  std::string group;  // what the row is compared with the others of
  Load load = Load::kEstablished;
  config::ForwardingMode mode = config::ForwardingMode::kIpip;
  Selection selection = Selection::kTable;
  net::Family family = net::Family::kIpv4;
  uint8_t protocol = net::kProtocolTcp;
  uint32_t flows = 1'000'000;
  uint32_t vips = 1000;
  uint32_t backends = 1000;  // in pools of at most kPoolBackends
  uint32_t packet_bytes = 60;
  uint32_t burst = 32;
  uint32_t changes_per_s = 0;  // of a backend's weight, published while packets flow
  uint32_t one_new_in = 0;     // with kEstablished: of so many packets one is the first of a connection; 0: of none
  bool other_family = false;   // the backends have addresses of the family that the VIPs are not of
  // That a table is made for; 0: a quarter more than the flows, as an operator would have it, and where connections
  // begin four times that, so that those are few in it that wait for their timeout.
  uint32_t connections = 0;

  std::string Name() const;
  net::Family BackendFamily(net::Family of_vip) const;
  // Of VIP `vip`: as the row says, or with kMixed one of eight kinds, of which half are TCP over IPv4.
  VipKind KindOf(uint32_t vip) const;
  // As `one_new_in`, with any load.
  uint32_t OneNewIn() const;
  bool has_new() const { return OneNewIn() != 0; }
  uint32_t Connections() const;
  // Whether any VIP selects so.
  bool Has(Selection) const;
};

inline constexpr uint32_t kPoolBackends = 100;

std::string_view LoadName(Load load);
// As they stand in a row's name; "all" with kMixed.
std::string_view SelectionName(const Scenario& scenario);

// All rows, in the order of the report: a base (IPv4, IPIP, connection table, 1 M flows, 1 000 VIPs, 1 000 backends, 60
// byte frames, bursts of 32) and, around it, one dimension varied at a time.
std::vector<Scenario> Matrix();

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_SCENARIO_H_
