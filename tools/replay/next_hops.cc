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
  if (const size_t port = PortOnLink(destination); port < ports_.size()) {
    chosen = &ports_[port];
    hop.on_link = true;
    mac = MacOf(destination);
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

size_t NextHops::PortOnLink(const net::IpAddress& address) const {
  const auto port = std::find_if(ports_.begin(), ports_.end(), [&](const config::PortConfig& p) {
    return std::any_of(p.addresses.begin(), p.addresses.end(),
                       [&](const net::IpPrefix& prefix) { return prefix.Contains(address); });
  });
  return static_cast<size_t>(port - ports_.begin());
}

std::shared_ptr<const fwd::ClientRoutes> NextHops::Routes(const std::set<net::IpAddress>& stations) const {
  std::vector<lb::PrefixValue> prefixes;
  std::vector<fwd::ClientHop> hops;
  const auto hop_of = [&](size_t port, const std::optional<net::MacAddress>& mac) {
    fwd::ClientHop hop;
    hop.port = PortId(static_cast<PortId::rep>(port));
    hop.resolved = mac.has_value();
    std::memcpy(hop.ether.source, macs_[port].data(), sizeof(hop.ether.source));
    if (mac) std::memcpy(hop.ether.destination, mac->data(), sizeof(hop.ether.destination));
    return hop;
  };
  // Each prefix has a hop of its own. Of equal prefixes the last one counts, and the first port's is to.
  const auto add = [&](const net::IpPrefix& prefix, const fwd::ClientHop& hop) {
    prefixes.push_back({.prefix = prefix.Network(), .value = static_cast<uint32_t>(hops.size())});
    hops.push_back(hop);
  };
  for (size_t port = ports_.size(); port-- > 0;) {
    for (const net::Family family : {net::Family::kIpv4, net::Family::kIpv6}) {
      const auto& gateways = ports_[port].gateways;
      const auto gateway =
          std::find_if(gateways.begin(), gateways.end(), [&](const net::IpAddress& g) { return g.family() == family; });
      if (gateway == gateways.end() && !ports_[port].gateway_mac) continue;
      constexpr std::array<uint8_t, 16> kZero{};
      add({net::IpAddress::FromBytes(family, kZero.data()), 0},
          hop_of(port, ports_[port].gateway_mac ? ports_[port].gateway_mac : MacOf(*gateway)));
    }
    for (const net::IpPrefix& own : ports_[port].addresses) {
      fwd::ClientHop hop = hop_of(port, std::nullopt);
      hop.on_link = true;
      add(own, hop);
    }
  }
  fwd::ClientHop local;
  local.local = true;
  for (const config::PortConfig& port : ports_) {
    for (const net::IpPrefix& own : port.addresses) add({own.address, own.address.bits()}, local);
  }
  std::vector<fwd::NeighbourTable::Neighbour> known;
  const auto know = [&](const net::IpAddress& address) {
    const size_t port = PortOnLink(address);
    const auto mac = MacOf(address);
    if (port == ports_.size() || !mac) return;
    known.push_back({.address = address, .hop = hop_of(port, mac)});
    known.back().hop.on_link = true;
  };
  for (const auto& [address, mac] : neighbours_) know(address);
  for (const net::IpAddress& address : stations) know(address);
  std::vector<fwd::RouteSet::Group> groups;
  for (size_t i = 0; i < hops.size(); ++i) groups.push_back({static_cast<uint16_t>(i)});
  return std::make_shared<const fwd::ClientRoutes>(std::make_shared<const fwd::RouteSet>(prefixes, groups), hops,
                                                   std::make_shared<const fwd::NeighbourTable>(known));
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
