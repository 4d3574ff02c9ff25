#include "dataplane/runtime/route_plan.h"

#include <gtest/gtest.h>
#include <linux/neighbour.h>

#include <algorithm>
#include <array>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace sluice::runtime {
namespace {

constexpr int kWanInterface = 7;
constexpr int kLanInterface = 8;
constexpr int kManagementInterface = 2;

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
net::MacAddress Mac(uint8_t last) {
  const std::array<uint8_t, 6> bytes = {2, 0, 0, 0, 0, last};
  return net::MacAddress(bytes.data());
}

std::vector<HostPort> Ports() {
  return {{.id = PortId(0),
           .mac = Mac(1),
           .interface_index = kWanInterface,
           .addresses = {{Ip("192.0.2.2"), 24}},
           .gateway_mac = {}},
          {.id = PortId(1),
           .mac = Mac(2),
           .interface_index = kLanInterface,
           .addresses = {{Ip("10.0.0.2"), 8}},
           .gateway_mac = {}}};
}

HostRoute::Hop Via(int interface_index, const std::string& gateway, uint32_t weight = 1) {
  return {.interface_index = interface_index, .gateway = Ip(gateway), .weight = weight};
}
HostRoute::Hop On(int interface_index) { return {.interface_index = interface_index, .gateway = {}, .weight = 1}; }

HostRoute Route(const std::string& prefix, std::vector<HostRoute::Hop> hops, uint32_t metric = 0,
                HostRoute::Kind kind = HostRoute::Kind::kForward) {
  return {.prefix = *net::IpPrefix::Parse(prefix), .metric = metric, .kind = kind, .hops = std::move(hops)};
}

std::string HopText(const RouteHop& hop) {
  const std::string port = hop.port.valid() ? std::to_string(hop.port.value()) : "-";
  switch (hop.kind) {
    case RouteHop::Kind::kGateway:
      return hop.gateway.ToString() + "@" + port;
    case RouteHop::Kind::kOnLink:
      return "on-link@" + port;
    case RouteHop::Kind::kGatewayMac:
      return "mac@" + port;
    case RouteHop::Kind::kLocal:
      return "local";
  }
  return "?";
}

// prefix -> its hops, "" for none
std::map<std::string, std::string> Plan(const std::vector<HostPort>& ports, const std::vector<HostRoute>& routes) {
  RoutePlanner planner(ports);
  for (const HostRoute& route : routes) planner.Add(route);
  const RoutePlan plan = planner.Finish();
  std::map<std::string, std::string> text;
  for (const lb::PrefixValue& each : plan.prefixes) {
    std::string& hops = text[each.prefix.ToString()];
    for (const uint16_t hop : plan.groups[each.value]) hops += (hops.empty() ? "" : " ") + HopText(plan.hops[hop]);
  }
  return text;
}

using Text = std::map<std::string, std::string>;

TEST(RoutePlanTest, TakesGatewaysAndLinksOfOurPorts) {
  EXPECT_EQ(
      Plan(Ports(), {Route("0.0.0.0/0", {Via(kWanInterface, "192.0.2.1")}), Route("192.0.2.0/24", {On(kWanInterface)}),
                     Route("10.0.0.0/8", {On(kLanInterface)}), Route("2001:db8::/32", {Via(kLanInterface, "fe80::1")}),
                     Route("192.0.2.2/32", {On(kWanInterface)}, 0, HostRoute::Kind::kLocal)}),
      (Text{{"0.0.0.0/0", "192.0.2.1@0"},
            {"10.0.0.0/8", "on-link@1"},
            {"192.0.2.0/24", "on-link@0"},
            {"192.0.2.2/32", "local"},
            {"2001:db8::/32", "fe80::1@1"}}));
}

TEST(RoutePlanTest, RoutesElsewhereHideThoseAroundThem) {
  EXPECT_EQ(Plan(Ports(), {Route("172.16.0.0/12", {On(kManagementInterface)}),
                           Route("198.18.0.0/15", {}, 0, HostRoute::Kind::kDiscard)}),
            (Text{{"172.16.0.0/12", ""}, {"198.18.0.0/15", ""}}));
}

TEST(RoutePlanTest, TheLowestMetricOfAPrefixCounts) {
  EXPECT_EQ(Plan(Ports(), {Route("0.0.0.0/0", {Via(kWanInterface, "192.0.2.9")}, 100),
                           Route("0.0.0.0/0", {Via(kLanInterface, "10.0.0.1")}, 20),
                           Route("0.0.0.0/0", {On(kManagementInterface)}, 30)}),
            (Text{{"0.0.0.0/0", "10.0.0.1@1"}}));
}

TEST(RoutePlanTest, SeveralHopsShareByTheirWeights) {
  EXPECT_EQ(Plan(Ports(), {Route("0.0.0.0/0", {Via(kWanInterface, "192.0.2.1"), Via(kLanInterface, "10.0.0.1", 2),
                                               Via(kManagementInterface, "172.16.0.1")})}),
            (Text{{"0.0.0.0/0", "192.0.2.1@0 10.0.0.1@1 10.0.0.1@1"}}));
  const Text many =
      Plan(Ports(), {Route("0.0.0.0/0", {Via(kWanInterface, "192.0.2.1", 1), Via(kWanInterface, "192.0.2.3", 255)})});
  const std::string& hops = many.at("0.0.0.0/0");
  EXPECT_EQ(std::count(hops.begin(), hops.end(), '@'), 64);
  EXPECT_EQ(hops.find("192.0.2.1@0"), 0u) << "the smallest share is not nothing";
}

TEST(RoutePlanTest, AGatewayMacStandsForRoutesThatAreNotThere) {
  std::vector<HostPort> ports = Ports();
  ports[1].gateway_mac = Mac(9);
  EXPECT_EQ(Plan(ports, {Route("0.0.0.0/0", {On(kManagementInterface)})}),
            (Text{{"0.0.0.0/0", "mac@1"}, {"10.0.0.0/8", "mac@1"}, {"::/0", "mac@1"}}))
      << "another interface's routes do not count";
  EXPECT_EQ(
      Plan(ports, {Route("0.0.0.0/0", {Via(kWanInterface, "192.0.2.1")}), Route("10.0.0.0/8", {On(kLanInterface)}),
                   Route("198.51.100.0/24", {Via(kLanInterface, "10.0.0.1")})}),
      (Text{
          {"0.0.0.0/0", "192.0.2.1@0"}, {"10.0.0.0/8", "on-link@1"}, {"198.51.100.0/24", "mac@1"}, {"::/0", "mac@1"}}))
      << "the kernel's routes by our ports do";
}

TEST(RoutePlanTest, TheNumberOfRoutesIsBounded) {
  const std::vector<HostPort> ports = Ports();
  RoutePlanner planner(ports, 2);
  for (const char* prefix : {"10.0.0.0/8", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"}) {
    planner.Add(Route(prefix, {On(kLanInterface)}));
  }
  EXPECT_EQ(planner.ignored(), 2u);
  EXPECT_EQ(planner.Finish().prefixes.size(), 2u);
}

TEST(RoutePlanTest, HopsHaveTheMacAddressesThatAreKnown) {
  std::vector<HostPort> ports = Ports();
  ports[1].gateway_mac = Mac(9);
  const KernelNeighbour usable{.state = NUD_STALE, .mac = Mac(77)};
  const KernelNeighbour failed{.state = NUD_FAILED, .mac = Mac(78)};
  const auto lookup = [&](int interface_index, const net::IpAddress& address) -> const KernelNeighbour* {
    EXPECT_EQ(interface_index, kWanInterface);
    if (address == Ip("192.0.2.1")) return &usable;
    return address == Ip("192.0.2.3") ? &failed : nullptr;
  };
  const auto resolve = [&](RouteHop::Kind kind, uint8_t port, const std::string& gateway) {
    return ResolveRouteHop(
        ports, {.kind = kind, .port = PortId(port), .interface_index = kWanInterface, .gateway = Ip(gateway)}, lookup);
  };
  const fwd::ClientHop known = resolve(RouteHop::Kind::kGateway, 0, "192.0.2.1");
  EXPECT_TRUE(known.resolved);
  EXPECT_FALSE(known.on_link);
  EXPECT_EQ(net::MacAddress(known.ether.destination), Mac(77));
  EXPECT_EQ(net::MacAddress(known.ether.source), Mac(1));
  EXPECT_FALSE(resolve(RouteHop::Kind::kGateway, 0, "192.0.2.3").resolved);
  EXPECT_FALSE(resolve(RouteHop::Kind::kGateway, 0, "192.0.2.4").resolved);
  const fwd::ClientHop on_link = resolve(RouteHop::Kind::kOnLink, 0, "0.0.0.0");
  EXPECT_TRUE(on_link.on_link);
  EXPECT_FALSE(on_link.resolved);
  const fwd::ClientHop by_mac = resolve(RouteHop::Kind::kGatewayMac, 1, "0.0.0.0");
  EXPECT_TRUE(by_mac.resolved);
  EXPECT_EQ(net::MacAddress(by_mac.ether.destination), Mac(9));
  const fwd::ClientHop local =
      ResolveRouteHop(ports, {.kind = RouteHop::Kind::kLocal, .port = {}, .interface_index = 0, .gateway = {}}, lookup);
  EXPECT_TRUE(local.local);
  EXPECT_FALSE(local.port.valid());
}

}  // namespace
}  // namespace sluice::runtime
