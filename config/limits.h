#ifndef SLUICE_CONFIG_LIMITS_H_
#define SLUICE_CONFIG_LIMITS_H_

#include <cstddef>
#include <cstdint>

#include "config/schema.h"

// The limits of the configuration, once: the loader names them in its hints, validation enforces them, and
// config/README.md lists them.
namespace sluice::config {

// Both ends belong to it.
struct Range {
  uint64_t min = 0;
  uint64_t max = 0;
  constexpr bool Contains(uint64_t value) const { return value >= min && value <= max; }
};

namespace limits {

// Files: far above what the largest allowed configuration needs, far below what would hurt the machine.
inline constexpr size_t kFileBytes = 16 << 20;
// Values (keys, scalars, lists, maps) of a document with all its aliases written out.
inline constexpr size_t kDocumentValues = 1'000'000;
// Of one list; the longest that has a meaning are a pool's backends.
inline constexpr size_t kListItems = 32768;
// Problems that are kept and printed; the rest is counted only.
inline constexpr size_t kProblems = 1000;

inline constexpr size_t kNameLength = 63;
// IFNAMSIZ of Linux without the terminating zero.
inline constexpr size_t kInterfaceNameLength = 15;
// sockaddr_un::sun_path without the terminating zero.
inline constexpr size_t kUnixPathLength = 107;
inline constexpr size_t kPorts = 16;
inline constexpr size_t kManagementPorts = 64;
// What the data plane's tables and counters are sized for at start. A backend counts once for each pool it is in.
inline constexpr size_t kPools = 16384;
inline constexpr size_t kVips = 16384;
inline constexpr size_t kBackends = 32768;
// A buffer holds a frame whole: Ethernet header, two VLAN tags and the frame check sequence beyond the MTU.
inline constexpr uint32_t kFrameOverheadBytes = 14 + 8 + 4;
inline constexpr uint32_t kMinIpv6MtuBytes = 1280;  // RFC 8200, section 5

inline constexpr Range kL4Port = {1, 65535};
inline constexpr Range kWeight = {0, kMaxWeight};
inline constexpr Range kPercent = {0, 100};
inline constexpr Range kSlowStartS = {0, 3600};
inline constexpr Range kSlowStartSteps = {1, 100};
inline constexpr Range kWeightFloorPercent = {1, 100};
// Health checks.
inline constexpr Range kCheckIntervalMs = {100, 3'600'000};
inline constexpr Range kCheckTimeoutMs = {10, 60'000};
inline constexpr Range kCheckCount = {1, 100};
inline constexpr size_t kCheckHeaders = 16;
inline constexpr size_t kCheckText = 1024;
inline constexpr Range kTableSize = {3, 4'999'999};
inline constexpr Range kMtuBytes = {576, 9216};
inline constexpr Range kDescriptors = {64, 4096};
inline constexpr Range kWorkers = {1, 64};
inline constexpr Range kCpu = {0, 1023};  // CPU_SETSIZE
// Besides 0, which means computed.
inline constexpr Range kMbufs = {1024, 16'777'215};
inline constexpr Range kMbufDataBytes = {2048, 16384};
inline constexpr Range kConnections = {1024, 16'777'216};
// The upper end is that of the connection table's 16-bit time stamps.
inline constexpr Range kTimeoutS = {1, 28800};
inline constexpr Range kPuntRatePps = {1, 10'000'000};
inline constexpr Range kAnswersPerS = {0, 10'000'000};
inline constexpr Range kCopiesPerS = {0, 10'000'000};
inline constexpr size_t kNatLocalAddresses = 16;  // of each family
inline constexpr Range kNatSessions = {1024, 16'777'216};
// What Linux gives to sockets by itself (net.ipv4.ip_local_port_range), where nobody changed it.
inline constexpr Range kEphemeralPorts = {32768, 60999};
inline constexpr Range kFragmentedPackets = {1, 1'000'000};
inline constexpr Range kFragmentsHeld = {0, 65536};
inline constexpr Range kFragmentTimeoutS = {1, 60};
// Of a cookie's fields; what is possible together is for the layout's own arithmetic.
inline constexpr Range kCookieWidth = {0, 24};
inline constexpr Range kCookieKeyNumber = {0, 7};
inline constexpr Range kCookieTier = {1, 2};
inline constexpr Range kTierId = {0, 255};  // lb::kMaxTierBits
inline constexpr Range kCookieId = {0, 65534};
inline constexpr Range kCookieIdleS = {1, 2'147'483};  // what 31 bits of milliseconds hold
inline constexpr Range kQuicConfigNumber = {0, 6};
inline constexpr Range kQuicIdBytes = {1, 19};  // of server id or nonce; what is possible together has rules of its own
inline constexpr Range kCookieQuarantineS = {0, 30 * 24 * 3600};

}  // namespace limits
}  // namespace sluice::config

#endif  // SLUICE_CONFIG_LIMITS_H_
