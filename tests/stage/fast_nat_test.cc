// The same as fast_path_test.cc for address translation: both directions, with all that makes a flow another than those
// that the fast path translates.

#include "dataplane/stage/fast_nat.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "tests/stage/cookie_frames.h"
#include "tests/stage/nat_fixture.h"
#include "tests/stage/two_directors.h"

namespace sluice::test {
namespace {

class FastNatTest : public TwoDirectorsTest {
 protected:
  using Mode = fwd::ForwardingMode;

  FastNatTest() {
    node_.ports[1].mtu_bytes = 600;
    worker_count_ = Draw(3) == 0 ? 2 : 1;
    for (const bool v4 : {true, false}) {
      const auto vip = [v4](int last) { return (v4 ? "203.0.113." : "2001:db8:f::") + std::to_string(last); };
      // Two VIPs with the same backends: what these send may be either's, so each flow has a session.
      const PoolId shared = AddPool(v4);
      if (GetParam() % 3 == 0)
        fixture_.spec().pools[shared.index()].policy = fwd::SchedulingPolicy::kWeightedRoundRobin;
      for (const int last : {20, 21}) {
        fixture_.AddVip(vip(last), 6, 80, shared, Mode::kNat);
        fixture_.AddVip(vip(last), 17, 53, shared, Mode::kNat);
      }
      const size_t first = backends_.size();
      fixture_.AddVip(vip(20), 6, 81, AddPool(v4), Mode::kFullNat);
      fixture_.AddVip(vip(20), 17, 54, AddPool(v4), Mode::kFullNat);
      full_nat_.insert(full_nat_.end(), backends_.begin() + static_cast<ptrdiff_t>(first), backends_.end());
      // Between the families, with a PROXY protocol header, without sessions, with cookies, in a tunnel.
      fixture_.AddVip(vip(20), 6, 82, AddPool(!v4), Mode::kFullNat);
      fixture_.Vip(fixture_.AddVip(vip(20), 6, 83, AddPool(v4), Mode::kFullNat)).entry.proxy_protocol = true;
      fixture_.AddVip(vip(20), 6, 84, AddPool(v4), Mode::kNat);
      AddCookieVip(vip(20), 85, AddPool(v4), Mode::kNat);
      AddCookieVip(vip(20), 87, AddPool(v4), Mode::kIpip);
      fixture_.AddVip(vip(20), 6, 86, AddPool(v4), Mode::kIpip);
    }
    const lb::AesBlock secret = {7};
    fixture_.spec().cookie_keys[0] = secret;
    keys_.Set(0, secret);
    Rebuild();
  }

  void AddCookieVip(const std::string& address, uint16_t port, PoolId named, Mode mode) {
    fwd::VipEntry& vip = fixture_.Vip(fixture_.AddVip(address, 6, port, named, mode)).entry;
    vip.cookies = true;
    vip.cookie_layout = kLayout;
    uint16_t cookie_id = 0;
    for (const auto& [backend, pool] : backends_) {
      if (pool == named) fixture_.spec().backends[backend.index()].info.cookie_id = cookie_id++;
    }
  }

  void SetNumbers(Bytes& frame) {
    const size_t l4 = nat::L4(frame);
    if (frame[nat::kIp + (nat::IsV4(frame) ? 9 : 6)] != 6 || frame.size() < l4 + 20) return;
    nat::Put32(frame, l4 + 4, static_cast<uint32_t>(Draw(3)));
    nat::Put32(frame, l4 + 8, static_cast<uint32_t>(Draw(4)));
  }

  Bytes FromClient() {
    const bool v4 = Draw(3) != 0;
    const std::string vip = (v4 ? "203.0.113." : "2001:db8:f::") + std::to_string(20 + (Draw(4) == 0 ? 1 : 0));
    FrameBuilder builder;
    builder.source = (v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(1 + Draw(2));
    builder.destination = Draw(20) == 0 ? (v4 ? "192.0.2.100" : "2001:db8::64") : vip;
    builder.protocol = Draw(3) == 0 ? uint8_t{17} : uint8_t{6};
    builder.source_port = static_cast<uint16_t>(40000 + Draw(2));
    builder.destination_port = builder.protocol == 17
                                   ? Pick<uint16_t>({53, 54})
                                   : Pick<uint16_t>({80, 80, 81, 81, 82, 83, 84, 85, 86, 87, 87, 87});
    builder.tcp_flags = Pick<uint8_t>({0x02, 0x02, 0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x18, 0x11, 0x04, 0x12});
    builder.hop_limit = Draw(12) == 0 ? static_cast<uint8_t>(Draw(3)) : uint8_t{61};
    builder.payload = Draw(8) == 0 ? Draw(1460) : Draw(40);
    builder.padding = Draw(10);
    const bool has_cookie = builder.destination_port == 85 || builder.destination_port == 87;
    if (has_cookie) builder.payload += 12;
    if (Draw(40) == 0) builder.fragment = static_cast<uint16_t>(Draw(2) == 0 ? 0x2000 : 0x4000);
    Bytes frame = builder.Build();
    SetNumbers(frame);
    if (has_cookie) {
      const size_t l4 = nat::L4(frame);
      PutOptions(l4, frame);
      PutCookie(kLayout, keys_, 0, {.backend = static_cast<uint32_t>(Draw(2))}, 0, l4, frame);
    }
    return Draw(3) == 0 ? frame : nat::WithChecksum(frame);
  }

  // An answer to what was sent to a backend, most often.
  Bytes FromBackend() {
    Bytes frame = Pick(sent_before_);
    const bool v4 = nat::IsV4(frame);
    const size_t address_bytes = v4 ? 4 : 16;
    const size_t l4 = nat::L4(frame);
    uint8_t* const source = &frame[l4 - 2 * address_bytes];
    std::swap_ranges(source, source + address_bytes, source + address_bytes);
    std::swap_ranges(&frame[l4], &frame[l4 + 2], &frame[l4 + 2]);
    std::copy_n(kOwnMac, 6, frame.begin());
    if (frame[nat::kIp + (v4 ? 9 : 6)] == 6) {
      const bool begins = (frame[l4 + 13] & 0x12) == 0x02;
      frame[l4 + 13] = begins ? 0x12 : Pick<uint8_t>({0x10, 0x10, 0x10, 0x18, 0x18, 0x11, 0x14, 0x12});
      SetNumbers(frame);
    }
    if (Draw(20) == 0) frame[l4 + Draw(4)] = static_cast<uint8_t>(Draw(256));
    return Draw(3) == 0 ? frame : nat::WithChecksum(frame);
  }

  Bytes NatFrame() {
    Bytes frame = sent_before_.empty() || Draw(2) == 0 ? FromClient() : FromBackend();
    if (Draw(30) == 0) frame[Draw(std::min<size_t>(frame.size(), 60))] = static_cast<uint8_t>(Draw(256));
    return frame;
  }

  // Of a burst of packets through a tunnel, which needs no records, or would not but for what is among them.
  std::vector<Bytes> TunnelBurst() {
    std::vector<Bytes> frames(stage::kBurstSize);
    for (Bytes& frame : frames) {
      frame = FrameBuilder{.source = "198.51.100." + std::to_string(1 + Draw(2)),
                           .destination = "203.0.113.20",
                           .source_port = static_cast<uint16_t>(41000 + Draw(2)),
                           .destination_port = 86,
                           .tcp_flags = Draw(100) == 0 ? uint8_t{0x02} : uint8_t{0x10},
                           .payload = Draw(20)}
                  .Build();
    }
    if (Draw(3) == 0) frames[Draw(frames.size())] = NatFrame();
    return frames;
  }

  // Whole packets of flows, without tunnels and errors.
  void Learn(const std::vector<RecordingSink::Sent>& sent) {
    for (const RecordingSink::Sent& each : sent) {
      const Bytes& frame = each.frame;
      if (frame.size() < 80 || (nat::Get16(frame, 12) != 0x0800 && nat::Get16(frame, 12) != 0x86dd)) continue;
      const bool v4 = nat::IsV4(frame);
      const uint8_t protocol = frame[nat::kIp + (v4 ? 9 : 6)];
      if ((protocol != 6 && protocol != 17) || (v4 && (frame[nat::kIp + 6] & 0x3f) != 0)) continue;
      const size_t end = v4 ? nat::kIp + nat::Get16(frame, nat::kIp + 2) : nat::L4(frame) + nat::Get16(frame, 18);
      if (end <= frame.size() && end >= nat::L4(frame) + 20) sent_before_.push_back(frame);
    }
    while (sent_before_.size() > 40) sent_before_.erase(sent_before_.begin());
  }

  // Sides of sessions that stage/fast_sessions.h takes for known now.
  std::set<uint64_t> Known(fwd::NatFlows& nat) {
    std::set<uint64_t> known;
    for (uint32_t i = 0; i < nat.table().highest(); ++i) {
      const lb::NatTracking& tracking = nat.table().at(i).tracking;
      for (const lb::NatSide side : {lb::NatSide::kClient, lb::NatSide::kBackend}) {
        if (tracking.state != lb::NatState::kEstablished && tracking.state != lb::NatState::kUdp) continue;
        if (tracking.Knows(side, nat.NumberFor(*state_))) known.insert(i * 2 + lb::IndexOf(side));
      }
    }
    return known;
  }

  // Another backend gets the id of one behind full NAT: nothing but its generation tells its sessions from the old
  // one's.
  void Replace() {
    if (Draw(100) != 0) return;
    const auto& [backend, pool] = Pick(full_nat_);
    fixture_.Drain(backend);
    fixture_.Reuse(backend, pool, "192.0.2." + std::to_string(150 + Draw(50)));
    Rebuild();
  }

  // The way to clients, now and then another or none.
  void ChangeRoutes() {
    if (Draw(6) != 0) return;
    fwd::ClientHop router;
    router.port = PortId(static_cast<uint8_t>(Draw(2)));
    router.resolved = Draw(8) != 0;
    router.ether.destination[5] = 0x77;
    fwd::ClientHop local;
    local.local = true;
    std::vector<lb::PrefixValue> routes = {{*net::IpPrefix::Parse("0.0.0.0/0"), 0}, {*net::IpPrefix::Parse("::/0"), 0}};
    if (Draw(4) == 0) routes.push_back({*net::IpPrefix::Parse("198.51.100.2"), 1});
    if (Draw(8) == 0) routes.erase(routes.begin());
    fixture_.SetClientRoutes(std::make_shared<const fwd::ClientRoutes>(
        std::make_shared<const fwd::RouteSet>(std::move(routes), std::vector<fwd::RouteSet::Group>{{0}, {1}}),
        std::vector<fwd::ClientHop>{router, local},
        std::make_shared<const fwd::NeighbourTable>(std::vector<fwd::NeighbourTable::Neighbour>())));
    Rebuild();
  }

  static constexpr lb::CookieLayout kLayout = {.key_bits = 1, .backend_bits = 2, .check_bits = 1};
  lb::CookieKeys keys_;
  std::vector<Bytes> sent_before_;
  std::vector<std::pair<BackendId, PoolId>> full_nat_;
};

TEST_P(FastNatTest, LeavesEverythingAsTheStagesDo) {
  ASSERT_TRUE(stage::FastPathIsSupported()) << "this CPU has no AVX2, BMI or AES-NI, so the fast path cannot be tested";
  fwd::NatSetup setup = NatSetupForTests();
  setup.worker_count = worker_count_;
  auto common = std::make_unique<Director>(true, setup);
  auto stages = std::make_unique<Director>(false, setup);
  size_t to_backends = 0;
  size_t to_clients = 0;
  std::array<size_t, 2> known{};  // packets of IPv4, of IPv6
  size_t beside_known = 0;
  size_t without_records = 0;
  for (int round = 0; round < 1400; ++round) {
    std::vector<Bytes> frames(1 + Draw(stage::kBurstSize));
    std::generate(frames.begin(), frames.end(), [this] { return NatFrame(); });
    if (Draw(8) == 0) frames = TunnelBurst();
    const std::vector<uint64_t> offloads(frames.size(), RTE_MBUF_F_RX_IP_CKSUM_GOOD);
    const std::vector<size_t> segments(frames.size(), SIZE_MAX);
    const std::set<uint64_t> known_before = Known(common->tables.nat());
    RunOn(*common, frames, offloads, segments);
    RunOn(*stages, frames, offloads, segments);
    Learn(common->sent);
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(*common, *stages, frames.size())) << "in round " << round;
    without_records += common->burst.count == 0 ? 1 : 0;
    std::array<size_t, 2> known_of_burst{};
    size_t named_of_burst = 0;
    for (const stage::Packet& packet : common->burst) {
      if (packet.past != stage::Past::kAll) continue;
      if (packet.session == lb::NatTable::kNone) {
        named_of_burst += packet.rung == fwd::Rung::kCookie ? 1 : 0;
        continue;
      }
      const bool to_backend = packet.direction == stage::Direction::kToBackend;
      ++(to_backend ? to_backends : to_clients);
      known_of_burst[packet.headers.family == net::Family::kIpv4 ? 0 : 1] +=
          known_before.count(packet.session * 2u + (to_backend ? 0 : 1));
    }
    for (size_t family = 0; family < 2; ++family) {
      known[family] += known_of_burst[family];
    }
    if (known_of_burst[0] + known_of_burst[1] != 0) beside_known += named_of_burst;
    ChangeSomething();
    ChangeRoutes();
    Replace();
  }
  now_s_ += 1000;
  RunOn(*common, {}, {}, {});
  RunOn(*stages, {}, {}, {});
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(*common, *stages, 0));
  EXPECT_GT(without_records, 5u) << "too few bursts went without records for the test to mean anything";
  EXPECT_GT(to_backends, 50u) << "too few packets went the fast path for the test to mean anything";
  EXPECT_GT(to_clients, 50u) << "too few packets went the fast path for the test to mean anything";
  for (const size_t packets : known) {
    EXPECT_GT(packets, 50u) << "too few packets were of known sessions of a family for the test to mean anything";
  }
  EXPECT_GT(beside_known, 10u) << "too few cookies were read beside these for the test to mean anything";
}

// Frames of one family that hold the very bytes by which a session of the other is compared, in whose chain they are.
// In front of them is a packet of the session, for which its family is looked for.
TEST_P(FastNatTest, AFrameOfAnotherFamilyIsNoPacketOfTheFlow) {
  fwd::NatSetup setup = NatSetupForTests();
  setup.worker_count = worker_count_ = 1;
  auto common = std::make_unique<Director>(true, setup);
  auto stages = std::make_unique<Director>(false, setup);
  const auto run = [&](const std::vector<Bytes>& frames) {
    const std::vector<uint64_t> offloads(frames.size(), RTE_MBUF_F_RX_IP_CKSUM_GOOD);
    const std::vector<size_t> segments(frames.size(), SIZE_MAX);
    for (Director* director : {common.get(), stages.get()}) RunOn(*director, frames, offloads, segments);
    ExpectEqual(*common, *stages, frames.size());
  };
  const auto head_of = [&](const Bytes& frame) {
    const size_t l4 = nat::L4(frame);
    const size_t address_bytes = nat::IsV4(frame) ? 4 : 16;
    const lb::FlowTuple tuple = {.source = &frame[l4 - 2 * address_bytes],
                                 .destination = &frame[l4 - address_bytes],
                                 .source_port = Be16::FromHost(nat::Get16(frame, l4)),
                                 .destination_port = Be16::FromHost(nat::Get16(frame, l4 + 2)),
                                 .protocol = net::kProtocolTcp,
                                 .family = nat::IsV4(frame) ? net::Family::kIpv4 : net::Family::kIpv6};
    uint64_t hash = 0;
    lb::FlowHashes(*state_->keys, &tuple, 1, &hash);
    return common->tables.nat().table().finder().HeadOf(hash);
  };
  for (int flow = 0; flow < 20; ++flow) {
    const bool v4 = flow % 2 == 0;
    nat::Segment of_client;
    nat::Segment alike;
    do {
      const int client = 1 + static_cast<int>(Draw(250));
      const auto port = static_cast<uint16_t>(1024 + Draw(60000));
      // 198.51.100.1 and c633:6401:: begin with the same bytes, and zeros are behind both. Of a session of IPv6 those
      // of IPv4 are zero.
      of_client.frame = nat::Between((v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(client), port,
                                     v4 ? "203.0.113.20" : "2001:db8:f::20", 81);
      alike.frame = nat::Between(v4 ? absl::StrFormat("c633:64%02x::", client) : "0.0.0.0", port,
                                 v4 ? "cb00:7114::" : "0.0.0.0", 81);
    } while (head_of(of_client.Build()) != head_of(alike.Build()));
    of_client.frame.tcp_flags = nat::kSyn;
    ASSERT_NO_FATAL_FAILURE(run({of_client.Build()}));
    ASSERT_EQ(common->sent.size(), 1u);
    const Bytes& sent = common->sent[0].frame;
    const size_t l4 = nat::L4(sent);
    const std::string backend =
        v4 ? absl::StrFormat("192.0.2.%d", sent[l4 - 1]) : absl::StrFormat("2001:db8::%x", sent[l4 - 1]);
    nat::Segment of_backend = {
        .frame = nat::Between(backend, 81, v4 ? "192.0.2.100" : "2001:db8::64", nat::Get16(sent, l4)),
        .acknowledgement = 1};
    of_backend.frame.tcp_flags = nat::kSyn | nat::kAck;
    ASSERT_NO_FATAL_FAILURE(run({of_backend.Build()}));
    of_client.frame.tcp_flags = of_backend.frame.tcp_flags = nat::kAck;
    of_client.sequence = of_client.acknowledgement = of_backend.sequence = 1;
    for (int i = 0; i < 2; ++i) {
      ASSERT_NO_FATAL_FAILURE(run({of_client.Build()}));
      ASSERT_NO_FATAL_FAILURE(run({of_backend.Build()}));
    }
    ASSERT_EQ(Known(common->tables.nat()).size(), 2u);
    ASSERT_NO_FATAL_FAILURE(run({alike.Build()})) << "flow " << flow;
    ASSERT_NO_FATAL_FAILURE(run({of_client.Build(), alike.Build()})) << "flow " << flow;
    now_s_ += 10'000;
    while (common->tables.nat().table().in_use() != 0) ASSERT_NO_FATAL_FAILURE(run({}));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastNatTest, testing::Range(1u, 13u));

}  // namespace
}  // namespace sluice::test
