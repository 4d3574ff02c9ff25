#include "dataplane/fwd/client_routes.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/fwd/unresolved_clients.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

ClientHop Gateway(uint8_t port, uint8_t mac) {
  ClientHop hop;
  hop.port = PortId(port);
  hop.resolved = true;
  hop.ether.destination[5] = mac;
  return hop;
}

ClientHop OnLink(uint8_t port) {
  ClientHop hop;
  hop.port = PortId(port);
  hop.on_link = true;
  return hop;
}

NeighbourTable::Neighbour Station(const std::string& address, uint8_t port, uint8_t mac) {
  NeighbourTable::Neighbour station{.address = test::Address(address), .hop = Gateway(port, mac)};
  station.hop.on_link = true;
  return station;
}

const ClientHop* Lookup(const ClientRoutes& routes, const std::string& destination, uint64_t hash = 0) {
  const net::IpAddress address = test::Address(destination);
  return address.is_v4() ? routes.LookupV4(address.v4(), hash) : routes.LookupV6(address.data(), hash);
}

struct Route {
  std::string prefix;
  RouteSet::Group hops;
};

ClientRoutes Make(const std::vector<Route>& routes, std::vector<ClientHop> hops,
                  const std::vector<NeighbourTable::Neighbour>& neighbours = {}) {
  std::vector<lb::PrefixValue> prefixes;
  std::vector<RouteSet::Group> groups;
  for (const Route& route : routes) {
    prefixes.push_back({*net::IpPrefix::Parse(route.prefix), static_cast<uint32_t>(groups.size())});
    groups.push_back(route.hops);
  }
  return {std::make_shared<const RouteSet>(prefixes, groups), std::move(hops),
          std::make_shared<const NeighbourTable>(neighbours)};
}

TEST(ClientRoutesTest, WithoutRoutesNothingLeaves) {
  const ClientRoutes routes;
  EXPECT_EQ(Lookup(routes, "198.51.100.1"), nullptr);
  EXPECT_EQ(Lookup(routes, "2001:db8::1"), nullptr);
}

TEST(ClientRoutesTest, FollowsTheLongestPrefixToItsHop) {
  const ClientRoutes routes = Make({{"0.0.0.0/0", {0}}, {"198.51.100.0/24", {1}}, {"10.0.0.0/8", {}}, {"::/0", {1}}},
                                   {Gateway(0, 1), Gateway(1, 2)});
  EXPECT_EQ(Lookup(routes, "203.0.113.7")->ether.destination[5], 1);
  EXPECT_EQ(Lookup(routes, "198.51.100.7")->port, PortId(1));
  EXPECT_EQ(Lookup(routes, "10.1.1.1"), nullptr) << "a route that leads elsewhere hides the default route";
  EXPECT_EQ(Lookup(routes, "2001:db8::1")->ether.destination[5], 2);
}

TEST(ClientRoutesTest, OnLinkTheDestinationItselfIsTheStation) {
  const ClientRoutes routes =
      Make({{"192.0.2.0/24", {0}}, {"198.51.100.0/24", {1}}, {"2001:db8::/64", {0}}}, {OnLink(0), OnLink(1)},
           {Station("192.0.2.7", 0, 7), Station("198.51.100.7", 1, 8), Station("2001:db8::7", 0, 9),
            Station("192.0.2.8", 1, 10)});
  EXPECT_EQ(Lookup(routes, "192.0.2.7")->ether.destination[5], 7);
  EXPECT_EQ(Lookup(routes, "198.51.100.7")->ether.destination[5], 8);
  EXPECT_EQ(Lookup(routes, "2001:db8::7")->ether.destination[5], 9);
  const ClientHop* unknown = Lookup(routes, "192.0.2.8");
  ASSERT_NE(unknown, nullptr);
  EXPECT_FALSE(unknown->resolved) << "the station of this address is on another port";
  EXPECT_TRUE(unknown->on_link);
  EXPECT_EQ(unknown->port, PortId(0));
}

TEST(ClientRoutesTest, WhatALookUpFoundHasAName) {
  const ClientRoutes routes =
      Make({{"0.0.0.0/0", {0}}, {"198.51.100.0/24", {1}}, {"192.0.2.0/24", {2}}},
           {Gateway(0, 1), Gateway(1, 2), OnLink(0)}, {Station("192.0.2.7", 0, 7), Station("192.0.2.8", 0, 8)});
  for (const char* const address : {"203.0.113.7", "198.51.100.7", "192.0.2.7", "192.0.2.8", "192.0.2.9"}) {
    const ClientHop* const hop = Lookup(routes, address);
    EXPECT_EQ(routes.Named(routes.NameOf(*hop)), hop) << address;
  }
  EXPECT_NE(routes.number(), ClientRoutes().number());
}

TEST(ClientRoutesTest, SpreadsFlowsOverHopsByTheirShares) {
  const ClientRoutes routes = Make({{"0.0.0.0/0", {0, 1, 1, 1}}}, {Gateway(0, 1), Gateway(1, 2)});
  std::mt19937_64 random(3);
  int second = 0;
  for (int i = 0; i < 40000; ++i) {
    const uint64_t hash = random();
    const ClientHop* hop = Lookup(routes, "198.51.100.1", hash);
    EXPECT_EQ(hop, Lookup(routes, "203.0.113.1", hash)) << "a flow keeps its way";
    if (hop->port == PortId(1)) ++second;
  }
  EXPECT_NEAR(second, 30000, 500);
}

TEST(ClientRoutesTest, AgreesWithAMapOfStations) {
  std::mt19937 random(9);
  std::map<std::pair<uint8_t, net::IpAddress>, uint8_t> expected;
  std::vector<NeighbourTable::Neighbour> stations;
  for (int i = 0; i < 3000; ++i) {
    const auto port = static_cast<uint8_t>(random() % 3);
    std::array<uint8_t, 16> bytes{0x20, 1, static_cast<uint8_t>(random() % 8), static_cast<uint8_t>(random() % 256)};
    bytes[15] = static_cast<uint8_t>(random() % 4);
    const auto family = random() % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
    NeighbourTable::Neighbour station{.address = net::IpAddress::FromBytes(family, bytes.data()),
                                      .hop = Gateway(port, static_cast<uint8_t>(random() % 256))};
    expected[{port, station.address}] = station.hop.ether.destination[5];
    stations.push_back(station);
  }
  const NeighbourTable table(stations);
  EXPECT_EQ(table.size(), expected.size());
  for (const auto& [key, mac] : expected) {
    const ClientHop* hop = table.Find(PortId(key.first), key.second.family(), key.second.data());
    ASSERT_NE(hop, nullptr);
    EXPECT_EQ(hop->ether.destination[5], mac);
    const bool elsewhere = expected.contains({static_cast<uint8_t>(key.first + 3), key.second});
    EXPECT_FALSE(elsewhere);
    EXPECT_EQ(table.Find(PortId(static_cast<uint8_t>(key.first + 3)), key.second.family(), key.second.data()), nullptr);
  }
}

TEST(UnresolvedClientsTest, TellsOfEachStationOnceWhileItWaitsAndForgetsWhatDoesNotFit) {
  UnresolvedClients clients;
  std::vector<std::string> taken;
  const auto take = [&](const UnresolvedClients::Client& client) {
    taken.push_back(std::to_string(client.port.value()) + " " + client.address.ToString());
  };
  const auto report = [&](uint8_t port, const std::string& text) {
    const net::IpAddress address = test::Address(text);
    clients.Report(PortId(port), address.family(), address.data());
  };
  clients.TakeAll(take);
  EXPECT_TRUE(taken.empty());
  for (int i = 0; i < 3; ++i) report(0, "192.0.2.1");
  report(1, "192.0.2.1");
  report(0, "2001:db8::1");
  clients.TakeAll(take);
  EXPECT_EQ(taken, (std::vector<std::string>{"0 192.0.2.1", "1 192.0.2.1", "0 2001:db8::1"}));
  taken.clear();
  report(0, "2001:db8::1");
  for (size_t i = 0; i < 2 * UnresolvedClients::kSize; ++i) report(0, "192.0.2." + std::to_string(i));
  clients.TakeAll(take);
  EXPECT_EQ(taken.size(), UnresolvedClients::kSize);
  EXPECT_EQ(taken.front(), "0 2001:db8::1") << "what was taken may be said again";
}

}  // namespace
}  // namespace sluice::fwd
