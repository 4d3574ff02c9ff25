#include "dataplane/runtime/next_hop_rules.h"

#include <gtest/gtest.h>
#include <linux/neighbour.h>

#include <vector>

namespace sluice::runtime {
namespace {

net::IpAddress Ip(const char* text) { return *net::IpAddress::Parse(text); }
net::MacAddress Mac(const char* text) { return *net::MacAddress::Parse(text); }

const net::MacAddress kPortMac = Mac("02:00:00:00:00:01");
const net::MacAddress kBackendMac = Mac("02:00:00:00:00:11");
const net::MacAddress kGatewayMac = Mac("02:00:00:00:00:fe");

HostPort Wan() {
  return {.id = PortId(0),
          .mac = kPortMac,
          .interface_index = 7,
          .addresses = {*net::IpPrefix::Parse("192.0.2.2/24"), *net::IpPrefix::Parse("198.51.100.2/24"),
                        *net::IpPrefix::Parse("2001:db8::2/64")},
          .gateway_mac = std::nullopt};
}

KernelRoute OnLink(const char* address) {
  return {.interface_index = 7, .next_hop = Ip(address), .on_link = true, .own_source = std::nullopt};
}

KernelRoute ByGateway(const char* gateway) {
  return {.interface_index = 7, .next_hop = Ip(gateway), .on_link = false, .own_source = std::nullopt};
}

KernelNeighbour Neighbour(int state) { return {.state = static_cast<uint16_t>(state), .mac = kBackendMac}; }

TEST(NextHopRulesTest, OnLinkTakesTheNeighboursMac) {
  const KernelNeighbour neighbour = Neighbour(NUD_REACHABLE);
  const fwd::NextHop hop = ChooseNextHop({Wan()}, Ip("198.51.100.9"), OnLink("198.51.100.9"), &neighbour);
  EXPECT_EQ(hop.port, PortId(0));
  EXPECT_TRUE(hop.on_link);
  EXPECT_TRUE(hop.resolved);
  EXPECT_EQ(hop.source, kPortMac);
  EXPECT_EQ(hop.destination, kBackendMac);
  EXPECT_EQ(hop.source_v4, Ip("198.51.100.2")) << "our address in the backend's network";
  EXPECT_EQ(hop.source_v6, Ip("2001:db8::2"));
}

TEST(NextHopRulesTest, KeepsTheMacWhileTheKernelDoubts) {
  for (const int state : {NUD_STALE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT}) {
    const KernelNeighbour neighbour = Neighbour(state);
    EXPECT_TRUE(ChooseNextHop({Wan()}, Ip("192.0.2.9"), OnLink("192.0.2.9"), &neighbour).resolved) << state;
  }
  for (const int state : {NUD_NONE, NUD_INCOMPLETE, NUD_FAILED}) {
    const KernelNeighbour neighbour = Neighbour(state);
    const fwd::NextHop hop = ChooseNextHop({Wan()}, Ip("192.0.2.9"), OnLink("192.0.2.9"), &neighbour);
    EXPECT_FALSE(hop.resolved) << state;
    EXPECT_EQ(hop.port, PortId(0)) << "the route is known all the same";
  }
  EXPECT_FALSE(ChooseNextHop({Wan()}, Ip("192.0.2.9"), OnLink("192.0.2.9"), nullptr).resolved);
}

TEST(NextHopRulesTest, AsksForWhatTheKernelWouldLeaveAlone) {
  EXPECT_TRUE(NeedsAsking(nullptr));
  for (const int state : {NUD_NONE, NUD_FAILED, NUD_STALE}) {
    const KernelNeighbour neighbour = Neighbour(state);
    EXPECT_TRUE(NeedsAsking(&neighbour)) << state;
  }
  for (const int state : {NUD_REACHABLE, NUD_INCOMPLETE, NUD_DELAY, NUD_PROBE, NUD_PERMANENT, NUD_NOARP}) {
    const KernelNeighbour neighbour = Neighbour(state);
    EXPECT_FALSE(NeedsAsking(&neighbour)) << state;
  }
}

TEST(NextHopRulesTest, ByGatewayIsNotOnLink) {
  const KernelNeighbour neighbour = Neighbour(NUD_REACHABLE);
  const fwd::NextHop hop = ChooseNextHop({Wan()}, Ip("203.0.113.5"), ByGateway("192.0.2.1"), &neighbour);
  EXPECT_TRUE(hop.resolved);
  EXPECT_FALSE(hop.on_link);
  EXPECT_EQ(NeighbourNeeded({Wan()}, ByGateway("192.0.2.1")), Ip("192.0.2.1"));
}

TEST(NextHopRulesTest, GatewayMacStandsForGatewaysButNotForBackendsOnLink) {
  HostPort wan = Wan();
  wan.gateway_mac = kGatewayMac;
  EXPECT_EQ(NeighbourNeeded({wan}, ByGateway("192.0.2.1")), std::nullopt);
  const fwd::NextHop by_gateway = ChooseNextHop({wan}, Ip("203.0.113.5"), ByGateway("192.0.2.1"), nullptr);
  EXPECT_TRUE(by_gateway.resolved);
  EXPECT_FALSE(by_gateway.on_link);
  EXPECT_EQ(by_gateway.destination, kGatewayMac);

  EXPECT_EQ(NeighbourNeeded({wan}, OnLink("192.0.2.9")), Ip("192.0.2.9"));
  EXPECT_FALSE(ChooseNextHop({wan}, Ip("192.0.2.9"), OnLink("192.0.2.9"), nullptr).resolved);
}

TEST(NextHopRulesTest, WithoutAnExceptionPortAllGoesByGatewayMac) {
  HostPort wan = Wan();
  wan.interface_index = 0;
  wan.gateway_mac = kGatewayMac;
  const KernelRoute elsewhere{.interface_index = 2, .next_hop = Ip("10.0.0.1"), .on_link = false, .own_source = {}};
  for (const KernelRoute& route : {KernelRoute(), elsewhere}) {
    const fwd::NextHop hop = ChooseNextHop({wan}, Ip("192.0.2.9"), route, nullptr);
    EXPECT_EQ(hop.port, PortId(0));
    EXPECT_TRUE(hop.resolved);
    EXPECT_FALSE(hop.on_link) << "the frame goes to the gateway, so L2 forwarding is not possible";
    EXPECT_EQ(hop.destination, kGatewayMac);
  }
}

TEST(NextHopRulesTest, GatewayMacOfThePortWhoseNetworkHasTheAddress) {
  HostPort first = Wan();
  first.interface_index = 0;
  first.gateway_mac = Mac("02:00:00:00:00:aa");
  HostPort second{.id = PortId(1),
                  .mac = Mac("02:00:00:00:00:02"),
                  .interface_index = 0,
                  .addresses = {*net::IpPrefix::Parse("10.1.0.2/16")},
                  .gateway_mac = kGatewayMac};
  EXPECT_EQ(ChooseNextHop({first, second}, Ip("10.1.7.7"), {}, nullptr).port, PortId(1));
  EXPECT_EQ(ChooseNextHop({first, second}, Ip("8.8.8.8"), {}, nullptr).port, PortId(0));
}

TEST(NextHopRulesTest, RoutesByOtherInterfacesAreNoRoutes) {
  const KernelRoute elsewhere{.interface_index = 2, .next_hop = Ip("192.0.2.9"), .on_link = true, .own_source = {}};
  const KernelNeighbour neighbour = Neighbour(NUD_REACHABLE);
  EXPECT_FALSE(ChooseNextHop({Wan()}, Ip("192.0.2.9"), elsewhere, &neighbour).port.valid());
  EXPECT_EQ(NeighbourNeeded({Wan()}, elsewhere), std::nullopt);
  EXPECT_FALSE(ChooseNextHop({Wan()}, Ip("192.0.2.9"), KernelRoute(), nullptr).port.valid());
  // A port without an exception interface has index 0, which is also "no route": they must not meet.
  HostPort bare = Wan();
  bare.interface_index = 0;
  EXPECT_EQ(PortOfRoute({bare}, KernelRoute()), nullptr);
}

TEST(NextHopRulesTest, TheKernelsSourceComesFirst) {
  KernelRoute route = OnLink("192.0.2.9");
  route.own_source = Ip("198.51.100.2");
  EXPECT_EQ(ChooseNextHop({Wan()}, Ip("192.0.2.9"), route, nullptr).source_v4, Ip("198.51.100.2"));
  KernelRoute v6 = OnLink("2001:db8::9");
  v6.own_source = Ip("fe80::1");
  EXPECT_EQ(ChooseNextHop({Wan()}, Ip("2001:db8::9"), v6, nullptr).source_v6, Ip("2001:db8::2"))
      << "not a link-local one";
}

}  // namespace
}  // namespace sluice::runtime
