#ifndef SLUICE_TOOLS_BACKEND_HOST_H_
#define SLUICE_TOOLS_BACKEND_HOST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/net/address.h"
#include "tools/backend/options.h"

// What this host (this network namespace) is like.
namespace sluice::backend {

struct Interface {
  std::string name;
  int index = 0;
  uint32_t mtu = 0;
  bool ethernet = false;
  bool up = false;
};

// kNotFound names the interface and the remedy.
absl::StatusOr<Interface> FindInterface(const std::string& name);

// The addresses of an interface, IPv4 and IPv6, without those that never leave a host or link.
std::vector<net::IpAddress> AddressesOf(const std::string& interface);

// A value under /proc/sys/, "net/ipv4/conf/all/rp_filter"; nothing when there is no such file.
std::optional<std::string> Sysctl(const std::string& path);

// What the program's maps are to hold: the options with what the host itself says filled in.
struct Resolved {
  std::vector<Interface> interfaces;
  std::vector<net::IpAddress> addresses;
  std::vector<net::IpPrefix> directors;
  std::vector<net::IpPrefix> vips;
  uint32_t link_mtu = 0;  // 0: the MSS is left alone

  friend bool operator==(const Resolved&, const Resolved&);
};

// kInvalidArgument or kNotFound, with the field and the remedy, for options that cannot work on this host.
absl::StatusOr<Resolved> Resolve(const Options& options);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_HOST_H_
