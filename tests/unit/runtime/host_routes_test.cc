#include "dataplane/runtime/host_routes.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/msg.h>

#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "dataplane/runtime/kernel_routes.h"

namespace sluice::runtime {
namespace {

constexpr int kInterface = 7;

net::IpAddress Ip(const std::string& text) { return *net::IpAddress::Parse(text); }
net::MacAddress Mac(uint8_t last) {
  const std::array<uint8_t, 6> bytes = {2, 0, 0, 0, 0, last};
  return net::MacAddress(bytes.data());
}
KernelNeighbour Reachable(uint8_t mac) { return {.state = NUD_REACHABLE, .mac = Mac(mac)}; }

class HostRoutesTest : public testing::Test {
 protected:
  // A default route by 192.0.2.1, the network 192.0.2.0/24 on link, and whatever else.
  RoutePlan Plan(const std::vector<std::string>& more = {}) {
    RoutePlanner planner(ports_);
    const HostRoute::Hop gateway{.interface_index = kInterface, .gateway = Ip("192.0.2.1")};
    planner.Add({.prefix = *net::IpPrefix::Parse("0.0.0.0/0"), .hops = {gateway}});
    planner.Add({.prefix = *net::IpPrefix::Parse("192.0.2.0/24"), .hops = {{.interface_index = kInterface}}});
    for (const std::string& prefix : more) planner.Add({.prefix = *net::IpPrefix::Parse(prefix), .hops = {gateway}});
    return planner.Finish();
  }

  const fwd::ClientHop* Lookup(const std::string& address) { return routes_.routes()->LookupV4(Ip(address).v4(), 0); }

  const std::vector<HostPort> ports_ = {
      {.id = PortId(0), .mac = Mac(1), .interface_index = kInterface, .addresses = {}, .gateway_mac = {}}};
  HostRoutes routes_{ports_};
  KernelNeighbours neighbours_ = {{{kInterface, Ip("192.0.2.1")}, Reachable(10)}};
};

TEST_F(HostRoutesTest, ChangesCostTheirPartOnly) {
  EXPECT_EQ(Lookup("198.51.100.1"), nullptr);
  routes_.SetPlan(Plan());
  EXPECT_TRUE(routes_.Update(neighbours_));
  EXPECT_EQ(net::MacAddress(Lookup("198.51.100.1")->ether.destination), Mac(10));
  const auto first = routes_.routes();
  EXPECT_FALSE(routes_.Update(neighbours_));
  routes_.SetPlan(Plan());
  EXPECT_FALSE(routes_.Update(neighbours_));
  EXPECT_EQ(routes_.routes(), first) << "nothing has changed";

  neighbours_[{kInterface, Ip("192.0.2.1")}] = Reachable(11);
  EXPECT_TRUE(routes_.Update(neighbours_));
  EXPECT_EQ(net::MacAddress(Lookup("198.51.100.1")->ether.destination), Mac(11));
  EXPECT_EQ(routes_.routes()->routes(), first->routes()) << "a neighbour's change does not copy the routes";

  const auto second = routes_.routes();
  routes_.SetPlan(Plan({"198.51.100.0/24"}));
  EXPECT_TRUE(routes_.Update(neighbours_));
  EXPECT_NE(routes_.routes()->routes(), second->routes());
  EXPECT_EQ(routes_.routes()->neighbours(), second->neighbours()) << "nor a route's the neighbours";
}

TEST_F(HostRoutesTest, KnowsStationsOnLinkByWhatTheKernelKnows) {
  routes_.SetPlan(Plan());
  neighbours_[{kInterface, Ip("192.0.2.7")}] = Reachable(7);
  neighbours_[{kInterface, Ip("192.0.2.8")}] = {.state = NUD_INCOMPLETE, .mac = {}};
  neighbours_[{kInterface + 1, Ip("192.0.2.9")}] = Reachable(9);
  EXPECT_TRUE(routes_.Update(neighbours_));
  EXPECT_EQ(net::MacAddress(Lookup("192.0.2.7")->ether.destination), Mac(7));
  EXPECT_FALSE(Lookup("192.0.2.8")->resolved);
  EXPECT_FALSE(Lookup("192.0.2.9")->resolved) << "known on an interface that is no port's";
  neighbours_[{kInterface, Ip("192.0.2.7")}].state = NUD_FAILED;
  EXPECT_TRUE(routes_.Update(neighbours_));
  EXPECT_FALSE(Lookup("192.0.2.7")->resolved);
}

TEST_F(HostRoutesTest, WantsGatewaysAlwaysAndStationsForAWhile) {
  routes_.SetPlan(Plan());
  const auto needed = [&](uint64_t now_ms) {
    std::set<NeighbourKey> keys;
    routes_.AddNeeded(now_ms, keys);
    return keys;
  };
  const NeighbourKey gateway{kInterface, Ip("192.0.2.1")};
  const NeighbourKey station{kInterface, Ip("192.0.2.7")};
  EXPECT_EQ(needed(0), (std::set<NeighbourKey>{gateway}));
  routes_.Want(PortId(0), Ip("192.0.2.7"), 1000);
  routes_.Want(PortId(3), Ip("192.0.2.8"), 1000);
  EXPECT_EQ(needed(1000 + HostRoutes::kWantedMs), (std::set<NeighbourKey>{gateway, station}));
  EXPECT_EQ(needed(1001 + HostRoutes::kWantedMs), (std::set<NeighbourKey>{gateway}));
}

TEST_F(HostRoutesTest, ScansDoNotMakeItWantMoreThanItsLimit) {
  for (uint32_t i = 0; i < 2 * HostRoutes::kMaxWanted; ++i) {
    routes_.Want(PortId(0), net::IpAddress::V4(Be32::FromHost(0x0a00'0000 + i)), 5);
  }
  std::set<NeighbourKey> keys;
  routes_.AddNeeded(5, keys);
  EXPECT_EQ(keys.size(), HostRoutes::kMaxWanted);
  EXPECT_TRUE(keys.contains({kInterface, Ip("10.0.0.0")})) << "those that came first stay";
}

using Message = std::unique_ptr<nl_msg, NlDeleter<nlmsg_free>>;

// An RTM_NEWROUTE message as the kernel writes it.
class RouteMessage {
 public:
  explicit RouteMessage(const rtmsg& header) : message_(nlmsg_alloc_simple(RTM_NEWROUTE, 0)) {
    rtmsg copy = header;
    EXPECT_EQ(nlmsg_append(message_.get(), &copy, sizeof(copy), NLMSG_ALIGNTO), 0);
  }
  RouteMessage& Address(int type, const std::string& text) {
    const net::IpAddress address = Ip(text);
    EXPECT_EQ(nla_put(message_.get(), type, static_cast<int>(address.size()), address.data()), 0);
    return *this;
  }
  RouteMessage& Number(int type, uint32_t value) {
    EXPECT_EQ(nla_put_u32(message_.get(), type, value), 0);
    return *this;
  }
  RouteMessage& Bytes(int type, const std::vector<uint8_t>& bytes) {
    EXPECT_EQ(nla_put(message_.get(), type, static_cast<int>(bytes.size()), bytes.data()), 0);
    return *this;
  }
  std::optional<HostRoute> Read() { return ReadRouteMessage(nlmsg_hdr(message_.get())); }

 private:
  Message message_;
};

rtmsg Header(uint8_t family, uint8_t length, uint8_t type = RTN_UNICAST, uint8_t table = RT_TABLE_MAIN) {
  rtmsg header{};
  header.rtm_family = family;
  header.rtm_dst_len = length;
  header.rtm_type = type;
  header.rtm_table = table;
  return header;
}

TEST(KernelRoutesTest, ReadsRoutesByGatewayAndOnLink) {
  const auto by_gateway = RouteMessage(Header(AF_INET, 0))
                              .Number(RTA_OIF, 3)
                              .Address(RTA_GATEWAY, "192.0.2.1")
                              .Number(RTA_PRIORITY, 50)
                              .Read();
  ASSERT_TRUE(by_gateway.has_value());
  EXPECT_EQ(by_gateway->prefix.ToString(), "0.0.0.0/0");
  EXPECT_EQ(by_gateway->metric, 50u);
  ASSERT_EQ(by_gateway->hops.size(), 1u);
  EXPECT_EQ(by_gateway->hops[0].interface_index, 3);
  EXPECT_EQ(by_gateway->hops[0].gateway, Ip("192.0.2.1"));
  const auto on_link = RouteMessage(Header(AF_INET6, 64)).Address(RTA_DST, "2001:db8::").Number(RTA_OIF, 4).Read();
  ASSERT_TRUE(on_link.has_value());
  EXPECT_EQ(on_link->prefix.ToString(), "2001:db8::/64");
  EXPECT_FALSE(on_link->hops.at(0).gateway.has_value());
}

TEST(KernelRoutesTest, ReadsAllHopsThatAreUpWithTheirWeights) {
  std::vector<uint8_t> hops;
  const auto add = [&](uint8_t flags, uint8_t weight, int interface_index, const std::string& gateway) {
    struct {
      rtnexthop hop;
      nlattr attribute;
      uint8_t address[4];
    } written{};
    written.hop.rtnh_len = sizeof(written);
    written.hop.rtnh_flags = flags;
    written.hop.rtnh_hops = static_cast<uint8_t>(weight - 1);
    written.hop.rtnh_ifindex = interface_index;
    written.attribute.nla_len = sizeof(nlattr) + 4;
    written.attribute.nla_type = RTA_GATEWAY;
    std::memcpy(written.address, Ip(gateway).data(), 4);
    const auto* bytes = reinterpret_cast<const uint8_t*>(&written);
    hops.insert(hops.end(), bytes, bytes + sizeof(written));
  };
  add(0, 1, 3, "192.0.2.1");
  add(RTNH_F_DEAD, 1, 4, "192.0.2.2");
  add(RTNH_F_LINKDOWN, 1, 4, "192.0.2.3");
  add(0, 5, 5, "192.0.2.4");
  const auto route = RouteMessage(Header(AF_INET, 0)).Bytes(RTA_MULTIPATH, hops).Read();
  ASSERT_TRUE(route.has_value());
  ASSERT_EQ(route->hops.size(), 2u);
  EXPECT_EQ(route->hops[0].interface_index, 3);
  EXPECT_EQ(route->hops[1].gateway, Ip("192.0.2.4"));
  EXPECT_EQ(route->hops[1].weight, 5u);
  // What is cut off is not read.
  hops.resize(hops.size() - 6);
  EXPECT_EQ(RouteMessage(Header(AF_INET, 0)).Bytes(RTA_MULTIPATH, hops).Read()->hops.size(), 1u);
}

TEST(KernelRoutesTest, ReadsAGatewayOfTheOtherFamily) {
  std::vector<uint8_t> via = {AF_INET6 & 0xff, AF_INET6 >> 8};
  const net::IpAddress gateway = Ip("fe80::1");
  via.insert(via.end(), gateway.data(), gateway.data() + 16);
  const auto route =
      RouteMessage(Header(AF_INET, 24)).Address(RTA_DST, "198.51.100.0").Number(RTA_OIF, 3).Bytes(RTA_VIA, via).Read();
  ASSERT_TRUE(route.has_value());
  EXPECT_EQ(route->hops.at(0).gateway, gateway);
}

TEST(KernelRoutesTest, LeavesOutWhatIsNoRouteOfOurs) {
  EXPECT_FALSE(RouteMessage(Header(AF_INET, 0, RTN_UNICAST, 100)).Number(RTA_OIF, 3).Read());
  EXPECT_FALSE(RouteMessage(Header(AF_INET, 0)).Number(RTA_TABLE, 1000).Number(RTA_OIF, 3).Read());
  EXPECT_FALSE(RouteMessage(Header(AF_INET, 0, RTN_THROW)).Read());
  rtmsg cached = Header(AF_INET6, 128);
  cached.rtm_flags = RTM_F_CLONED;
  EXPECT_FALSE(RouteMessage(cached).Number(RTA_OIF, 3).Read());
  rtmsg tos = Header(AF_INET, 0);
  tos.rtm_tos = 8;
  EXPECT_FALSE(RouteMessage(tos).Number(RTA_OIF, 3).Read());
  EXPECT_EQ(RouteMessage(Header(AF_INET, 32, RTN_LOCAL, RT_TABLE_LOCAL)).Address(RTA_DST, "192.0.2.2").Read()->kind,
            HostRoute::Kind::kLocal);
  EXPECT_EQ(RouteMessage(Header(AF_INET, 8, RTN_BLACKHOLE)).Address(RTA_DST, "10.0.0.0").Read()->kind,
            HostRoute::Kind::kDiscard);
}

}  // namespace
}  // namespace sluice::runtime
