#ifndef SLUICE_TOOLS_BACKEND_OPTIONS_H_
#define SLUICE_TOOLS_BACKEND_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "config/limits.h"
#include "dataplane/net/address.h"
#include "tools/backend/abi.h"
#include "tools/backend/cookie_options.h"

namespace sluice::backend {

enum class FamilyChangeOption : uint8_t { kAuto, kFlag, kRedirect };

// What the operator wants of the agent, by file and command line. Empty lists stand for what the host itself tells; see
// Resolve in host.h.
struct Options {
  std::vector<std::string> interfaces = {};
  std::vector<net::IpAddress> addresses = {};  // where tunnels may end; default: the interfaces' own
  std::vector<net::IpPrefix> directors = {};   // from where tunnels may come; default: from everywhere
  // Other backends, to which packets may be sent on and from which such may come; default: none.
  std::vector<net::IpPrefix> peers = {};
  std::vector<net::IpPrefix> vips = {};  // for whom the packets inside may be; default: the addresses on lo
  std::vector<TunnelKind> tunnels = {kTunnelIpip, kTunnelGue, kTunnelGueDirect, kTunnelGre};
  uint16_t gue_port = config::kDefaultGuePort;
  bool clamp_mss = true;
  uint32_t mtu = 0;  // of the path from the directors; 0: the smallest of the interfaces
  FamilyChangeOption family_change = FamilyChangeOption::kAuto;
  CookieOptions cookies = {};
};

namespace limits {
inline constexpr config::Range kMtu = {576, 65535};
// Of the program's maps.
inline constexpr size_t kInterfaces = 64;
inline constexpr size_t kAddresses = 1024;
inline constexpr size_t kDirectors = 4096;
inline constexpr size_t kVips = 65536;
}  // namespace limits

// "ipip", "gue", "gue-direct", "gre": the words of the director's `mode`.
std::string_view TunnelName(TunnelKind kind);
std::optional<TunnelKind> TunnelByName(std::string_view name);

// Reads a configuration file over `options`: what is not in the file stays as it was. kInvalidArgument has one line
// "FILE:LINE:COLUMN: FIELD: what is wrong; what to do about it" for each problem.
absl::Status ReadOptionsFile(const std::string& path, Options* options);
absl::Status ReadOptionsText(std::string_view text, std::string_view file_name, Options* options);

// Sets one field from the command line: `name` as in the file with '-' for '_' (see CommandLineFields), `value` one
// element, or several separated by commas for lists. The first value of a list replaces what was there; `fresh` says
// that it is the first. kInvalidArgument: "--NAME: what is wrong; remedy".
absl::Status SetOption(std::string_view name, std::string_view value, bool fresh, Options* options);

// What holds for the fields together, whatever their origin. kInvalidArgument: "FIELD: what is wrong; remedy".
absl::Status ValidateOptions(const Options& options);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_OPTIONS_H_
