#ifndef SLUICE_CONFIG_HEALTH_CHECK_H_
#define SLUICE_CONFIG_HEALTH_CHECK_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/port_range.h"

// How backends are checked, as plain values; a part of schema.h.
namespace sluice::config {

enum class CheckType : uint8_t {
  kTcp,      // a connection is accepted
  kHttp,     // a request is answered as wanted
  kHttps,    // the same over TLS
  kGrpc,     // grpc.health.v1 says SERVING
  kUdp,      // a datagram is answered
  kIcmp,     // an echo request is answered
  kCommand,  // a program ends with 0
};

inline constexpr CheckType kCheckTypes[] = {CheckType::kTcp, CheckType::kHttp, CheckType::kHttps,  CheckType::kGrpc,
                                            CheckType::kUdp, CheckType::kIcmp, CheckType::kCommand};

constexpr std::string_view CheckTypeName(CheckType type) {
  switch (type) {
    case CheckType::kTcp:
      return "tcp";
    case CheckType::kHttp:
      return "http";
    case CheckType::kHttps:
      return "https";
    case CheckType::kGrpc:
      return "grpc";
    case CheckType::kUdp:
      return "udp";
    case CheckType::kIcmp:
      return "icmp";
    case CheckType::kCommand:
      return "command";
  }
  return "unknown";
}

constexpr bool IsHttp(CheckType type) { return type == CheckType::kHttp || type == CheckType::kHttps; }

// Status codes of HTTP, both ends included.
struct StatusRange {
  uint16_t first = 200;
  uint16_t last = 299;
  friend auto operator<=>(const StatusRange&, const StatusRange&) = default;
};

struct HealthCheckConfig {
  CheckType type = CheckType::kTcp;
  // Unset: where the backend gets its traffic, which must be a single port then.
  std::optional<uint16_t> port = std::nullopt;
  // The VIP as whose traffic the checks travel; empty: of those that use the pool, the first by name.
  std::string vip = {};
  // Checks go to the backend's own address by the host's routes, whatever the VIP's mode.
  bool direct = false;
  uint32_t interval_ms = 2000;
  // While results and health differ; unset: a quarter of the interval, at least 100.
  std::optional<uint32_t> fast_interval_ms = std::nullopt;
  uint32_t timeout_ms = 1000;
  uint32_t rise = 2;
  uint32_t fall = 3;
  // HTTP and HTTPS.
  std::string method = "GET";
  std::string path = "/";
  std::string host = {};                   // of the request; empty: the address
  std::vector<std::string> headers = {};   // "Name: value"
  std::vector<StatusRange> statuses = {};  // wanted; empty: 200-299
  std::string body = {};                   // text that must be in the answer's first 64 KiB; empty: any
  bool http2 = false;                      // without TLS: with prior knowledge
  // HTTPS, and gRPC with `tls`.
  bool tls = false;              // gRPC only
  std::string server_name = {};  // asked for (SNI) and, with ca_file, wanted in the certificate
  std::string ca_file = {};      // empty: certificates are not verified
  // gRPC.
  std::string service = {};  // empty: the server as a whole
  // UDP: text, or with "0x" in front the bytes of its hexadecimal digits.
  std::string send = {};
  std::string expect = {};  // part of the answer; empty: any answer
  // Of the directory node.health.command_directory.
  std::string command = {};
  friend auto operator<=>(const HealthCheckConfig&, const HealthCheckConfig&) = default;

  uint32_t fast_ms() const { return fast_interval_ms.value_or(interval_ms / 4 < 100 ? 100 : interval_ms / 4); }
  bool uses_tls() const { return type == CheckType::kHttps || tls; }
};

// What health checks are sent from.
struct HealthConfig {
  // Of the host's addresses, for nothing else; those above what Linux gives to connections by itself.
  PortRange source_ports = {61000, 65535};
  std::string command_directory = "/etc/sluice/checks";  // programs that checks may be
  friend bool operator==(const HealthConfig&, const HealthConfig&) = default;
};

// "200-299", "204"; nothing when it is neither, or not of 100 to 599.
std::optional<StatusRange> ParseStatusRange(std::string_view text);
std::string StatusRangeText(const StatusRange& range);
// "200-299, 404"
std::string StatusesText(const std::vector<StatusRange>& statuses);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_HEALTH_CHECK_H_
