#include "tools/replay/next_hops.h"

#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <fstream>
#include <sstream>

#include "absl/strings/str_cat.h"

namespace sluice::replay {
namespace {

absl::Status ErrorAt(const std::string& name, const YAML::Node& node, const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat(name, ":", node.Mark().line + 1, ": ", what));
}

}  // namespace

absl::StatusOr<Neighbours> LoadNeighbours(const std::string& path) {
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened; check the path and its permissions"));
  std::ostringstream text;
  text << file.rdbuf();
  return ParseNeighbours(text.str(), path);
}

absl::StatusOr<Neighbours> ParseNeighbours(const std::string& text, const std::string& name) {
  YAML::Node root;
  try {
    root = YAML::Load(text);
  } catch (const YAML::Exception& e) {
    return absl::InvalidArgumentError(absl::StrCat(name, ":", e.mark.line + 1, ": not YAML: ", e.msg));
  }
  Neighbours neighbours;
  if (root.IsNull()) return neighbours;
  if (!root.IsMap()) return ErrorAt(name, root, "expected a mapping of IP address to MAC address");
  for (const auto& entry : root) {
    const std::string key = entry.first.IsScalar() ? entry.first.Scalar() : "";
    const auto address = net::IpAddress::Parse(key);
    if (!address) return ErrorAt(name, entry.first, absl::StrCat("\"", key, "\" is no IPv4 or IPv6 address"));
    const std::string value = entry.second.IsScalar() ? entry.second.Scalar() : "";
    const auto mac = net::MacAddress::Parse(value);
    if (!mac && value != "unresolved") {
      return ErrorAt(
          name, entry.second,
          absl::StrCat(key, ": \"", value, "\" is neither a MAC address such as 02:00:00:00:00:01 nor \"unresolved\""));
    }
    if (!neighbours.emplace(*address, mac).second) {
      return ErrorAt(name, entry.first, absl::StrCat(key, " is listed twice"));
    }
  }
  return neighbours;
}

fwd::NextHop NextHops::Lookup(const net::IpAddress& destination) const {
  const config::PortConfig* chosen = nullptr;
  fwd::NextHop hop;
  std::optional<net::MacAddress> mac;
  for (const config::PortConfig& port : ports_) {
    const bool contains = std::any_of(port.addresses.begin(), port.addresses.end(),
                                      [&](const net::IpPrefix& p) { return p.Contains(destination); });
    if (!contains) continue;
    chosen = &port;
    hop.on_link = true;
    mac = MacOf(destination);
    break;
  }
  for (const config::PortConfig& port : ports_) {
    if (chosen != nullptr) break;
    const auto gateway = std::find_if(port.gateways.begin(), port.gateways.end(),
                                      [&](const net::IpAddress& g) { return g.family() == destination.family(); });
    if (gateway == port.gateways.end() && !port.gateway_mac) continue;
    chosen = &port;
    mac = port.gateway_mac ? port.gateway_mac : MacOf(*gateway);
  }
  if (chosen == nullptr) return hop;
  hop.port = PortId(static_cast<PortId::rep>(chosen - ports_.data()));
  hop.source = macs_[hop.port.index()];
  hop.resolved = mac.has_value();
  if (mac) hop.destination = *mac;
  // The last one is looked at first, so that the first of each family stays.
  for (auto own = chosen->addresses.rbegin(); own != chosen->addresses.rend(); ++own) {
    if (!own->address.IsLinkLocal()) (own->address.is_v4() ? hop.source_v4 : hop.source_v6) = own->address;
  }
  return hop;
}

std::optional<net::MacAddress> NextHops::MacOf(const net::IpAddress& neighbour) const {
  const auto listed = neighbours_.find(neighbour);
  return listed != neighbours_.end() ? listed->second : DefaultMac(neighbour);
}

net::MacAddress NextHops::DefaultMac(const net::IpAddress& address) {
  std::array<uint8_t, 6> bytes = {0x02, 0x00};
  std::memcpy(bytes.data() + 2, address.data() + address.size() - 4, 4);
  return net::MacAddress(bytes.data());
}

net::MacAddress NextHops::DefaultPortMac(PortId port) {
  const std::array<uint8_t, 6> bytes = {0x02, 0x5c, 0x00, 0x00, 0x00, port.value()};
  return net::MacAddress(bytes.data());
}

}  // namespace sluice::replay
