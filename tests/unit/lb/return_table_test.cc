#include "dataplane/lb/return_table.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace sluice::lb {
namespace {

using Kind = ReturnMatch::Kind;

ReturnTable::Vip Vip(uint16_t id, uint16_t pool, const std::string& prefix, uint8_t protocol, uint16_t first,
                     uint16_t last) {
  return {.id = VipId(id),
          .pool = PoolId(pool),
          .prefix = *net::IpPrefix::Parse(prefix),
          .protocol = protocol,
          .first_port = first,
          .last_port = last};
}

ReturnTable::Backend Backend(const std::string& address, uint16_t pool, uint16_t port = 0) {
  return {.address = *net::IpAddress::Parse(address), .pool = PoolId(pool), .port = port};
}

ReturnMatch Lookup(const ReturnTable& table, const net::IpAddress& source, uint8_t protocol, uint16_t port) {
  return source.is_v4() ? table.LookupV4(source.v4(), protocol, Be16::FromHost(port))
                        : table.LookupV6(source.data(), protocol, Be16::FromHost(port));
}

// "none", "3" (the VIP's id) or "ambiguous".
std::string Answer(const ReturnTable& table, const std::string& source, uint8_t protocol, uint16_t port) {
  const ReturnMatch match = Lookup(table, *net::IpAddress::Parse(source), protocol, port);
  if (match.kind == Kind::kNone) return "none";
  return match.kind == Kind::kAmbiguous ? "ambiguous" : std::to_string(match.services->vip.value());
}

TEST(ReturnTableTest, EmptyKnowsNoAnswer) {
  const ReturnTable table;
  EXPECT_TRUE(table.empty());
  EXPECT_EQ(Answer(table, "0.0.0.0", 6, 80), "none");
  EXPECT_EQ(Answer(table, "::", 17, 0), "none");
}

TEST(ReturnTableTest, GivesTheVipThatTheClientTalksTo) {
  const ReturnTable table({Vip(4, 0, "203.0.113.10", 6, 80, 80), Vip(5, 1, "2001:db8::53", 17, 53, 53)},
                          {Backend("192.0.2.11", 0, 8080), Backend("2001:db8:1::1", 1)});
  const ReturnMatch web = Lookup(table, *net::IpAddress::Parse("192.0.2.11"), 6, 8080);
  ASSERT_EQ(web.kind, Kind::kUnique);
  ASSERT_EQ(web.count, 1);
  EXPECT_EQ(web.services->vip, VipId(4));
  EXPECT_EQ(web.services->family, net::Family::kIpv4);
  EXPECT_EQ(net::IpAddress::FromBytes(net::Family::kIpv4, web.services->address.data()).ToString(), "203.0.113.10");
  EXPECT_EQ(web.services->port.Host(), 80);
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 80), "none") << "the backend gets nothing on the VIP's port";
  EXPECT_EQ(Answer(table, "192.0.2.11", 17, 8080), "none");
  EXPECT_EQ(Answer(table, "192.0.2.12", 6, 8080), "none");
  EXPECT_EQ(Answer(table, "2001:db8:1::1", 17, 53), "5");
  EXPECT_EQ(table.needs_state(), (std::vector<bool>{false, false}));
  EXPECT_TRUE(table.HasSourceV4(net::IpAddress::Parse("192.0.2.11")->v4()));
  EXPECT_FALSE(table.HasSourceV4(net::IpAddress::Parse("192.0.2.12")->v4()));
  EXPECT_TRUE(table.HasSourceV6(net::IpAddress::Parse("2001:db8:1::1")->data()));
  EXPECT_FALSE(table.HasSourceV6(net::IpAddress::Parse("2001:db8:1::2")->data()));
}

TEST(ReturnTableTest, TwoVipsWithOneBackendPortAreAmbiguous) {
  const ReturnTable table({Vip(0, 0, "203.0.113.10", 6, 80, 80), Vip(1, 1, "203.0.113.11", 6, 80, 80),
                           Vip(2, 1, "203.0.113.11", 6, 81, 81)},
                          {Backend("192.0.2.11", 0), Backend("192.0.2.11", 1)});
  const ReturnMatch match = Lookup(table, *net::IpAddress::Parse("192.0.2.11"), 6, 80);
  ASSERT_EQ(match.kind, Kind::kAmbiguous);
  ASSERT_EQ(match.count, 2);
  EXPECT_EQ(match.services[0].vip, VipId(0));
  EXPECT_EQ(match.services[1].vip, VipId(1));
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 81), "2");
  EXPECT_EQ(table.needs_state(), (std::vector<bool>{true, true, false}));
}

TEST(ReturnTableTest, MorePreciseVipsOfTheSameAddressGoFirst) {
  const ReturnTable table({Vip(0, 0, "203.0.113.10", 6, 0, 65535), Vip(1, 0, "203.0.113.10", 6, 8000, 8999),
                           Vip(2, 0, "203.0.113.10", 6, 8080, 8080), Vip(3, 0, "203.0.113.10", 6, 80, 80)},
                          {Backend("192.0.2.11", 0)});
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 0), "0");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 80), "3");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 8000), "1");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 8080), "2");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 8999), "1");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 9000), "0");
  EXPECT_EQ(Answer(table, "192.0.2.11", 6, 65535), "0");
  const ReturnMatch all = Lookup(table, *net::IpAddress::Parse("192.0.2.11"), 6, 9000);
  EXPECT_EQ(all.services->port, Be16()) << "the port of the answer is the VIP's";
}

TEST(ReturnTableTest, VipsOfManyAddressesNeedState) {
  const ReturnTable table({Vip(0, 0, "203.0.113.0/24", 6, 80, 80), Vip(1, 1, "203.0.113.9", 6, 81, 90)},
                          {Backend("192.0.2.11", 0), Backend("192.0.2.12", 1, 8080)});
  const ReturnMatch match = Lookup(table, *net::IpAddress::Parse("192.0.2.11"), 6, 80);
  EXPECT_EQ(match.kind, Kind::kAmbiguous);
  EXPECT_EQ(match.count, 0);
  EXPECT_EQ(Answer(table, "192.0.2.12", 6, 8080), "ambiguous") << "many ports became one";
  EXPECT_EQ(table.needs_state(), (std::vector<bool>{true, true}));
}

TEST(ReturnTableTest, CandidatesAreListedUpToEight) {
  std::vector<ReturnTable::Vip> vips;
  for (uint16_t i = 0; i < 8; ++i) vips.push_back(Vip(i, 0, "203.0.113." + std::to_string(i), 6, 80, 80));
  EXPECT_EQ(Lookup(ReturnTable(vips, {Backend("192.0.2.11", 0)}), *net::IpAddress::Parse("192.0.2.11"), 6, 80).count,
            8);
  vips.push_back(Vip(8, 0, "203.0.113.8", 6, 80, 80));
  const ReturnTable table(vips, {Backend("192.0.2.11", 0)});
  const ReturnMatch match = Lookup(table, *net::IpAddress::Parse("192.0.2.11"), 6, 80);
  EXPECT_EQ(match.kind, Kind::kAmbiguous);
  EXPECT_EQ(match.count, 0);
}

// Every address has a set of pools of its own: what does not fit is left to the state of flows.
TEST(ReturnTableTest, ItsSizeIsBounded) {
  std::vector<ReturnTable::Vip> vips;
  std::vector<ReturnTable::Backend> backends;
  for (uint16_t i = 0; i < 100; ++i) {
    vips.push_back(Vip(i, 0, "203.0.113.1", 6, static_cast<uint16_t>(1000 + i), static_cast<uint16_t>(1000 + i)));
  }
  for (uint16_t i = 0; i < 10; ++i) {
    vips.push_back(Vip(static_cast<uint16_t>(100 + i), static_cast<uint16_t>(1 + i), "203.0.113.2", 6,
                       static_cast<uint16_t>(2000 + i), static_cast<uint16_t>(2000 + i)));
    backends.push_back(Backend("192.0.2." + std::to_string(i), 0));
    backends.push_back(Backend("192.0.2." + std::to_string(i), static_cast<uint16_t>(1 + i)));
  }
  const ReturnTable roomy(vips, backends);
  EXPECT_EQ(Answer(roomy, "192.0.2.9", 6, 1099), "99");
  EXPECT_EQ(Answer(roomy, "192.0.2.9", 6, 2009), "109");
  EXPECT_EQ(Answer(roomy, "192.0.2.9", 6, 2008), "none");
  const ReturnTable tight(vips, backends, 600);
  EXPECT_EQ(Answer(tight, "192.0.2.0", 6, 1099), "99");
  EXPECT_EQ(Answer(tight, "192.0.2.9", 6, 1099), "ambiguous");
  EXPECT_EQ(Answer(tight, "192.0.2.9", 17, 1), "ambiguous");
  EXPECT_EQ(Answer(tight, "192.0.2.10", 6, 1099), "none") << "not a backend";
  EXPECT_TRUE(tight.needs_state()[0]);
  EXPECT_TRUE(tight.needs_state()[109]);
}

// The oracle: which VIPs' packets can have come to this port of this backend, by trying all VIP ports.
struct Expected {
  Kind kind = Kind::kNone;
  VipId vip;
};

Expected Naive(const std::vector<ReturnTable::Vip>& vips, const std::vector<ReturnTable::Backend>& backends,
               const net::IpAddress& source, uint8_t protocol, uint16_t port) {
  // Of VIPs of this backend on one address and port, the one with the fewest ports gets the packet.
  const auto takes = [&](const ReturnTable::Vip& vip, uint16_t vip_port, uint16_t mapped) {
    if (vip.protocol != protocol || vip_port < vip.first_port || vip_port > vip.last_port) return false;
    if (mapped != 0 || vip.prefix.length != vip.prefix.address.bits()) return true;
    return std::none_of(vips.begin(), vips.end(), [&](const ReturnTable::Vip& other) {
      const bool of_backend = std::any_of(backends.begin(), backends.end(), [&](const ReturnTable::Backend& b) {
        return b.address == source && b.pool == other.pool && b.port == 0;
      });
      return of_backend && other.prefix == vip.prefix && other.protocol == protocol && vip_port >= other.first_port &&
             vip_port <= other.last_port && other.last_port - other.first_port < vip.last_port - vip.first_port;
    });
  };
  Expected expected;
  std::vector<std::pair<VipId, int>> senders;  // VIP and VIP port
  bool wide = false;
  for (const ReturnTable::Backend& backend : backends) {
    if (backend.address != source) continue;
    for (const ReturnTable::Vip& vip : vips) {
      if (vip.pool != backend.pool) continue;
      for (int vip_port = 0; vip_port <= 60; ++vip_port) {
        const auto from = static_cast<uint16_t>(vip_port);
        if (!takes(vip, from, backend.port) || (backend.port != 0 ? backend.port : from) != port) continue;
        wide = wide || vip.prefix.length != vip.prefix.address.bits();
        if (std::find(senders.begin(), senders.end(), std::pair(vip.id, vip_port)) == senders.end()) {
          senders.emplace_back(vip.id, vip_port);
        }
      }
    }
  }
  if (senders.empty()) return expected;
  const bool unique = senders.size() == 1 && !wide;
  return {.kind = unique ? Kind::kUnique : Kind::kAmbiguous, .vip = unique ? senders[0].first : VipId()};
}

TEST(ReturnTableTest, AgreesWithTryingAllVips) {
  std::mt19937 random(11);
  const std::vector<std::string> sources = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"};
  for (int round = 0; round < 20; ++round) {
    std::vector<ReturnTable::Vip> vips;
    for (uint16_t i = 0; i < 12; ++i) {
      const bool wide = random() % 8 == 0;
      const uint16_t width = random() % 3 != 0 ? 1 : 10;
      const auto first = static_cast<uint16_t>(1 + random() % 4 * 10);
      ReturnTable::Vip vip = Vip(i, static_cast<uint16_t>(random() % 4),
                                 "203.0.113." + std::to_string(random() % 3 * 16) + (wide ? "/28" : ""),
                                 random() % 3 == 0 ? 17 : 6, first, static_cast<uint16_t>(first + width - 1));
      if (random() % 8 == 0) vip.first_port = 0, vip.last_port = 65535;
      const bool taken = std::any_of(vips.begin(), vips.end(), [&](const auto& other) {
        return other.prefix == vip.prefix && other.protocol == vip.protocol && other.first_port == vip.first_port &&
               other.last_port == vip.last_port;
      });
      if (!taken) vips.push_back(vip);
    }
    std::vector<ReturnTable::Backend> backends;
    for (int i = 0; i < 8; ++i) {
      const uint16_t port = random() % 2 == 0 ? uint16_t{0} : static_cast<uint16_t>(1 + random() % 20);
      const auto backend = Backend(sources[random() % sources.size()], static_cast<uint16_t>(random() % 5), port);
      if (std::find(backends.begin(), backends.end(), backend) == backends.end()) backends.push_back(backend);
    }
    const ReturnTable table(vips, backends);
    for (const std::string& text : sources) {
      const net::IpAddress source = *net::IpAddress::Parse(text);
      for (const uint8_t protocol : {uint8_t{6}, uint8_t{17}}) {
        for (uint16_t port = 0; port <= 60; ++port) {
          const Expected expected = Naive(vips, backends, source, protocol, port);
          const ReturnMatch match = Lookup(table, source, protocol, port);
          ASSERT_EQ(match.kind, expected.kind) << "round " << round << ": " << text << " port " << port;
          const VipId vip = match.kind == Kind::kUnique ? match.services->vip : VipId();
          ASSERT_EQ(vip, expected.vip) << "round " << round << ": " << text << " port " << port;
        }
      }
    }
  }
}

}  // namespace
}  // namespace sluice::lb
