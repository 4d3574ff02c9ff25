// That the fast path changes nothing: random bursts through two directors that differ in nothing but in having it.
// The same bytes leave in the same order, and records, counters and tables are the same after each burst.

#include "dataplane/stage/fast_path.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>

#include "dataplane/lb/cookie.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/fast_cookies.h"
#include "dataplane/stage/flow_view.h"
#include "tests/stage/cookie_frames.h"
#include "tests/stage/two_directors.h"

namespace sluice::test {
namespace {

class FastPathTest : public TwoDirectorsTest {
 protected:
  FastPathTest() {
    node_.ports[0].mtu_bytes = 1500;
    node_.ports[1].mtu_bytes = 600;
    node_.ports[1].tx_ipv4_checksum = true;
    for (const std::string& vip : {std::string("203.0.113.20"), std::string("2001:db8:f::20")}) AddVips(vip);
    if (Draw(2) == 0) {
      // Now and then nothing claims a whole prefix, so that most strangers can be told at once.
      AddVip("198.18.0.0/24", 6, 80, fwd::ForwardingMode::kIpip);
      AddVip("2001:db8:18::/64", 6, 80, fwd::ForwardingMode::kIpip);
    }
    if (Draw(2) == 0) AddVip("203.0.113.30", 6, 80, fwd::ForwardingMode::kNat);
    if (Draw(4) == 0) {
      node_.tunnel_source_v4.enabled = true;
      node_.tunnel_source_v4.prefix = {192, 0, 2, 128};
      node_.tunnel_source_v4.host_mask = {0, 0, 0, 15};
    }
    if (Draw(2) == 0) fixture_.SpreadOver(PortId(1));
    stage::OwnSources& own = node_.own_sources_v4;
    own.count = 1;
    own.addresses[0] = {192, 0, 2, 2};
    node_.own_sources_v6.count = 1;
    node_.own_sources_v6.addresses[0] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
    Rebuild();
  }

  VipId AddVip(const std::string& vip, uint8_t protocol, uint16_t port, fwd::ForwardingMode mode) {
    const bool other_family = Draw(3) == 0;
    const bool v4 = (vip.find(':') == std::string::npos) != other_family;
    const bool nat = fwd::IsNat(mode);
    const PoolId pool = fixture_.AddPool(13);
    const size_t count = Draw(8) == 0 ? 0 : 2;
    for (size_t i = 0; i < count; ++i) {
      const std::string last = std::to_string(10 + backends_.size());
      const bool of_v4 = nat ? true : v4;
      backends_.push_back({fixture_.AddBackend(pool, (of_v4 ? "192.0.2." : "2001:db8::") + last), pool});
    }
    return fixture_.AddVip(vip, protocol, port, pool, mode);
  }

  void AddVips(const std::string& vip) {
    using Mode = fwd::ForwardingMode;
    for (const auto& [port, mode] : {std::pair<uint16_t, Mode>{80, Mode::kL2},
                                     {81, Mode::kIpip},
                                     {82, Draw(2) == 0 ? Mode::kGue : Mode::kGueDirect},
                                     {83, Mode::kGre}}) {
      for (const uint8_t protocol : {uint8_t{6}, uint8_t{17}})
        fixture_.Vip(AddVip(vip, protocol, port, mode)).entry.gue_port = 6080;
    }
    for (const uint8_t protocol : {uint8_t{6}, uint8_t{17}})
      fixture_.Vip(AddVip(vip, protocol, 84, Mode::kIpip)).entry.tracked = false;
    fwd::VipSpec& by_client = fixture_.Vip(AddVip(vip, 6, 85, Mode::kIpip));
    by_client.entry.tracked = Draw(2) == 0;
    by_client.entry.hash_input = fwd::HashInput::kClient;
    const PoolId by_turns = fixture_.Vip(AddVip(vip, 6, 86, Mode::kIpip)).entry.pool;
    fixture_.spec().pools[by_turns.index()].policy = fwd::SchedulingPolicy::kWeightedRoundRobin;
    fixture_.Vip(AddVip(vip, 6, 89, Mode::kIpip)).entry.unsafe_only = true;
    AddSlotVip(vip, 88);
    // So short that what is made up often names a backend; and alike, so that VIPs share what reads them.
    const lb::CookieLayout brief = {.key_bits = 1, .backend_bits = 2, .check_bits = 1};
    AddCookieVip(vip, 87, Mode::kIpip, brief);
    AddCookieVip(vip, 100, Mode::kL2, brief);
    AddCookieVip(vip, 101, Mode::kGue, {.key_bits = 2, .backend_bits = 14, .check_bits = 5});
    AddCookieVip(vip, 102, Mode::kIpip, {.key_bits = 3, .tier_bits = 3, .backend_bits = 3, .check_bits = 2});
    AddCookieVip(vip, 103, Mode::kIpip, {.key_bits = 2, .tier_bits = 2, .backend_bits = 5}, /*first_tier=*/true);
    fwd::VipSpec& range = fixture_.Vip(AddVip(vip, 6, 90, Mode::kL2));
    range.last_port = 99;
  }

  void AddSlotVip(const std::string& vip, uint16_t port) {
    fwd::VipEntry& entry = fixture_.Vip(AddVip(vip, 6, port, fwd::ForwardingMode::kIpip)).entry;
    entry.cookies = entry.slots = true;
  }

  void AddCookieVip(const std::string& vip, uint16_t port, fwd::ForwardingMode mode, const lb::CookieLayout& layout,
                    bool first_tier = false) {
    fwd::VipEntry& entry = fixture_.Vip(AddVip(vip, 6, port, mode)).entry;
    entry.cookies = true;
    entry.cookie_layout = layout;
    entry.first_tier = first_tier;
    layouts_[port] = layout;
    uint16_t id = 0;
    for (const auto& [backend, pool] : backends_) {
      if (pool == entry.pool) fixture_.spec().backends[backend.index()].info.cookie_id = id++;
    }
    for (const uint32_t number : key_numbers_) {
      fixture_.spec().cookie_keys[number] = lb::AesBlock{uint8_t(7 + number)};
      keys_.Set(number, lb::AesBlock{uint8_t(7 + number)});
    }
  }

  // Turns the payload's first bytes into the timestamps that every segment has; what is echoed is a good cookie, one
  // that is not as it should be, or anything.
  void PutTimestamps(Bytes& frame, size_t l4_offset) {
    if (frame.size() < l4_offset + 32) return;
    PutOptions(l4_offset, frame);
    if (Draw(8) == 0) frame[l4_offset + 12] = 0x90;
    for (size_t i = 24; i < 32; ++i) frame[l4_offset + i] = static_cast<uint8_t>(Draw(256));
    if (Draw(8) == 0) frame[l4_offset + 20 + Draw(4)] = static_cast<uint8_t>(Draw(12));
    const auto slot = slot_cookies_.find(FlowIn(frame, kIpOffset));
    if (slot != slot_cookies_.end() && Draw(6) != 0) frame[l4_offset + 31] = slot->second;
    const auto layout = layouts_.find(static_cast<uint16_t>(frame[l4_offset + 2] << 8 | frame[l4_offset + 3]));
    if (layout != layouts_.end() && Draw(6) != 0) PutAnyCookie(layout->second, l4_offset, frame);
  }

  // Of either key, naming a backend that may or may not be there.
  void PutAnyCookie(const lb::CookieLayout& layout, size_t l4_offset, Bytes& frame) {
    const uint32_t number = key_numbers_[layout.key_bits > 1 ? Draw(2) : 0];
    if (number >> layout.key_bits != 0) return;
    const lb::CookieFields fields = {.tier = static_cast<uint32_t>(Draw(4)) >> (layout.tier_bits == 0 ? 2 : 0),
                                     .backend = static_cast<uint32_t>(Draw(4) == 0 ? Draw(4) : Draw(2))};
    PutCookie(layout, keys_, number, fields, static_cast<uint32_t>(random_()), l4_offset, frame);
  }

  // Addresses and ports of the IP packet at `ip`; empty when it is not one with 24 or 44 bytes.
  static Bytes FlowIn(const Bytes& frame, size_t ip) {
    const bool v4 = frame[ip] >> 4 == 4;
    const size_t begin = ip + (v4 ? 12 : 8);
    const size_t end = ip + (v4 ? 24 : 44);
    if (frame.size() < end) return {};
    return Bytes(frame.begin() + static_cast<long>(begin), frame.begin() + static_cast<long>(end));
  }

  // Takes the cookies of slots out of SYNs that were sent to backends in a tunnel of IPv4 or IPv6.
  void LearnSlots(const std::vector<RecordingSink::Sent>& sent) {
    for (const RecordingSink::Sent& each : sent) {
      const size_t outer = each.frame[12] == 0x08 ? 20 : 40;
      const size_t ip = kIpOffset + outer;
      if (each.frame.size() < ip + 20) continue;
      const size_t l4_offset = ip + (each.frame[ip] >> 4 == 4 ? 20 : 40);
      if (each.frame.size() < l4_offset + 32 || (each.frame[l4_offset + 13] & 2) == 0) continue;
      if (each.frame[l4_offset + 28] != lb::kSynEchoMark) continue;
      slot_cookies_[FlowIn(each.frame, ip)] = each.frame[l4_offset + 31];
    }
  }

  // The station of a backend that the frame may be for sends it back, or one of nearly the same address.
  void ComeBack(Bytes& frame, uint16_t port) {
    std::vector<uint8_t> stations;
    for (const fwd::VipSpec& vip : fixture_.spec().vips) {
      if (vip.first_port != port) continue;
      for (const fwd::BackendSpec& backend : fixture_.spec().backends) {
        const net::IpAddress& address = backend.info.address;
        if (backend.info.pool == vip.entry.pool) stations.push_back(address.data()[address.size() - 1]);
      }
    }
    if (stations.empty() || frame.size() < kIpOffset) return;
    std::copy_n(std::to_array<uint8_t>({2, 0, 0, 0, 1, Pick(stations)}).begin(), 6, &frame[6]);
    if (Draw(2) == 0) ++frame[6 + Draw(6)];
  }

  // One that the fast path knows, unless its backend makes it another.
  Bytes PlainFrame() {
    const bool v4 = Draw(3) != 0;
    FrameBuilder builder;
    builder.source = v4 ? "198.51.100.1" : "2001:db8:c::1";
    builder.destination = v4 ? "203.0.113.20" : "2001:db8:f::20";
    builder.protocol = Draw(3) == 0 ? uint8_t{17} : uint8_t{6};
    builder.source_port = static_cast<uint16_t>(40000 + Draw(3));
    builder.destination_port = Pick<uint16_t>({80, 81, 82, 83, 84, 87, 88, 88, 89, 100, 101, 102, 103});
    builder.tcp_flags = Pick<uint8_t>({0x10, 0x10, 0x10, 0x18, 0x18, 0x18, 0x02});
    builder.tos = static_cast<uint8_t>(Draw(256));
    builder.payload = Draw(3) == 0 ? Draw(40) : 12 + Draw(28);
    builder.padding = Draw(10);
    Bytes frame = builder.Build();
    if (builder.protocol == 6 && builder.payload >= 12) PutTimestamps(frame, v4 ? 34 : 54);
    if (Draw(12) == 0) ComeBack(frame, builder.destination_port);
    return frame;
  }

  // What IP, TCP or UDP says of its length, by a few bytes; the checksum is right or wrong.
  void DamageLength(Bytes& frame) {
    const bool v4 = frame[12] == 0x08;
    const size_t l4 = kIpOffset + (v4 ? 20u : 40u);
    const bool tcp = frame.size() > kIpOffset + 9 && frame[kIpOffset + (v4 ? 9u : 6u)] == net::kProtocolTcp;
    const size_t at =
        Pick<size_t>({kIpOffset + (v4 ? 3u : 5u), kIpOffset + (v4 ? 3u : 5u), tcp ? l4 + 12 : l4 + 4 + Draw(2)});
    if (frame.size() <= at) return;
    frame[at] = static_cast<uint8_t>(frame[at] + Draw(41) - 20);
    if (v4 && Draw(2) == 0) {
      std::fill_n(&frame[kIpOffset + 10], 2, uint8_t{0});
      const uint16_t sum = net::InternetChecksum(&frame[kIpOffset], 20);
      std::memcpy(&frame[kIpOffset + 10], &sum, sizeof(sum));
    }
  }

  // What a device found of a burst's checksums: of all the same, or of some this and of others that.
  std::vector<uint64_t> Offloads(size_t count) {
    const std::vector<uint64_t> verdicts = {0, 0, RTE_MBUF_F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_BAD,
                                            RTE_MBUF_F_RX_IP_CKSUM_NONE};
    const size_t of_all = Draw(verdicts.size() + 2);
    std::vector<uint64_t> offloads;
    for (size_t i = 0; i < count; ++i) {
      offloads.push_back(of_all < verdicts.size() ? verdicts[of_all] : Pick(verdicts));
    }
    return offloads;
  }

  // One that is checked with seven others, of which one in many does not pass.
  Bytes FrameOfEights(bool v4, uint8_t protocol) {
    FrameBuilder builder;
    builder.protocol = protocol;
    builder.source = v4 ? "198.51.100.1" : "2001:db8:c::1";
    builder.destination = v4 ? "203.0.113.20" : "2001:db8:f::20";
    if (Draw(20) == 0) builder.destination = v4 ? "198.51.100.200" : "2001:db8:77::1";
    if (!v4 && Draw(60) == 0) builder.source = Pick<std::string>({"::1", "::", "ff02::1", "::2", builder.destination});
    if (Draw(60) == 0) builder.source = v4 ? "192.0.2.2" : "2001:db8::2";  // ours
    builder.source_port = static_cast<uint16_t>(40000 + Draw(3));
    builder.destination_port = protocol == net::kProtocolTcp
                                   ? Pick<uint16_t>({80, 81, 82, 83, 84, 87, 88, 89, 90, 100, 101})
                                   : Pick<uint16_t>({80, 81, 81, 81, 82, 83, 84, 84, 90});
    builder.tcp_flags =
        Pick<uint8_t>({0x10, 0x10, 0x10, 0x10, 0x10, 0x18, 0x18, 0x18, 0x18, 0x02, 0x02, 0x11, 0x04, 0x03, 0x06});
    builder.payload = Draw(40);
    builder.padding = Draw(3) == 0 ? Draw(10) : 0;
    Bytes frame = builder.Build();
    if (protocol == net::kProtocolTcp && Draw(2) == 0) PutTimestamps(frame, v4 ? 34 : 54);
    if (Draw(30) == 0) ComeBack(frame, builder.destination_port);
    if (Draw(60) == 0) DamageLength(frame);
    return frame;
  }

  Bytes Frame() {
    if (Draw(2) == 0) return PlainFrame();
    const bool v4 = Draw(3) != 0;
    const std::vector<std::string> clients_v4 = {"198.51.100.1", "198.51.100.2", "198.51.100.1", "198.51.100.2",
                                                 "127.0.0.1",    "0.1.2.3",      "224.0.0.5",    "192.0.2.2",
                                                 "203.0.113.20", "192.0.2.11"};
    const std::vector<std::string> clients_v6 = {
        "2001:db8:c::1", "2001:db8:c::2", "2001:db8:c::1", "2001:db8:c::2", "::1", "::", "ff02::1", "2001:db8:f::20"};
    const std::vector<std::string> vips_v4 = {"203.0.113.20", "203.0.113.20", "203.0.113.20", "203.0.113.20",
                                              "203.0.113.10", "198.18.0.7",   "203.0.113.30", "198.51.100.200"};
    const std::vector<std::string> vips_v6 = {"2001:db8:f::20", "2001:db8:f::20", "2001:db8:f::10", "2001:db8:18::7",
                                              "2001:db8:77::1"};
    const std::vector<uint16_t> ports = {80, 81, 82, 83,  84,  85,  86,  87, 88,   88, 89,
                                         90, 95, 99, 100, 101, 102, 103, 53, 8080, 7};
    const std::vector<uint8_t> flags = {0x02, 0x10, 0x10, 0x10, 0x18, 0x11, 0x04, 0x14, 0x12, 0x00, 0x03, 0x06};
    FrameBuilder builder;
    builder.source = Pick(v4 ? clients_v4 : clients_v6);
    builder.destination = Pick(v4 ? vips_v4 : vips_v6);
    builder.protocol = Draw(20) == 0 ? uint8_t{4} : Draw(3) == 0 ? uint8_t{17} : uint8_t{6};
    builder.source_port = static_cast<uint16_t>(40000 + Draw(3));
    builder.destination_port = Pick(ports);
    builder.tcp_flags = Pick(flags);
    builder.tos = static_cast<uint8_t>(Draw(256));
    builder.payload = Draw(10) == 0 ? Draw(1460) : Draw(40);
    builder.padding = Draw(4) == 0 ? Draw(10) : 0;
    builder.vlan_tags = Draw(20) == 0 ? 1 : 0;
    builder.destination_mac_first = Draw(30) == 0 ? static_cast<uint8_t>(Draw(256)) : uint8_t{2};
    builder.bad_checksum = Draw(30) == 0;
    if (Draw(25) == 0) builder.fragment = static_cast<uint16_t>(Draw(2) == 0 ? 0x2000 : Draw(1 << 16));
    builder.id = static_cast<uint16_t>(Draw(3));
    Bytes frame = builder.Build();
    if (builder.protocol == 6 && builder.vlan_tags == 0 && Draw(2) == 0) PutTimestamps(frame, v4 ? 34 : 54);
    if (Draw(20) == 0) ComeBack(frame, builder.destination_port);
    if (Draw(8) == 0) frame[Draw(std::min<size_t>(frame.size(), 80))] = static_cast<uint8_t>(Draw(256));
    if (Draw(8) == 0) DamageLength(frame);
    if (Draw(30) == 0) frame.resize(1 + Draw(frame.size()));
    return frame;
  }

  std::map<Bytes, uint8_t> slot_cookies_;  // by flow
  std::map<uint16_t, lb::CookieLayout> layouts_;
  lb::CookieKeys keys_;
  // Of the live keys. Not all layouts have bits for the second one, and some for neither with the last of these.
  static constexpr std::array<std::array<uint32_t, 2>, 3> kKeyNumbers = {{{0, 2}, {1, 3}, {2, 3}}};
  const std::array<uint32_t, 2> key_numbers_ = kKeyNumbers[GetParam() % kKeyNumbers.size()];
};

TEST_P(FastPathTest, LeavesEverythingAsTheStagesDo) {
  ASSERT_TRUE(stage::FastPathIsSupported()) << "this CPU has no AVX2, BMI or AES-NI, so the fast path cannot be tested";
  auto common = std::make_unique<Director>(true, fwd::NatSetup());
  auto stages = std::make_unique<Director>(false, fwd::NatSetup());
  ASSERT_EQ(common->memory.used(), kTableBytes);
  size_t all_common = 0;
  for (int round = 0; round < 700; ++round) {
    const bool eights = Draw(4) == 0;
    const bool of_v4 = Draw(2) == 0;
    // Of one protocol but for some, or of both.
    const bool mostly_udp = Draw(3) == 0;
    const size_t others = Draw(4) == 0 ? 2 : 30;
    std::vector<Bytes> frames(eights ? stage::kEight * (1 + Draw(4)) : 1 + Draw(stage::kBurstSize));
    const std::vector<uint64_t> offloads = Offloads(frames.size());
    std::vector<size_t> segments;
    for (Bytes& frame : frames) {
      const bool udp = mostly_udp != (Draw(others) == 0);
      frame = eights ? FrameOfEights(of_v4 != (Draw(30) == 0), udp ? net::kProtocolUdp : net::kProtocolTcp) : Frame();
      // Also such that only padding is in the second buffer.
      const size_t nearly_all = std::max<size_t>(frame.size(), 70) - Draw(10);
      segments.push_back(Draw(eights ? 500 : 10) != 0 ? SIZE_MAX : Draw(2) == 0 ? 300 + Draw(300) : nearly_all);
    }
    RunOn(*common, frames, offloads, segments);
    RunOn(*stages, frames, offloads, segments);
    LearnSlots(common->sent);
    ASSERT_NO_FATAL_FAILURE(ExpectEqual(*common, *stages, frames.size())) << "in round " << round;
    const auto is_past = [](const stage::Packet& packet) { return packet.past == stage::Past::kAll; };
    all_common += static_cast<size_t>(std::count_if(common->burst.begin(), common->burst.end(), is_past));
    ChangeSomething();
  }
  // Fragments that still wait go, too.
  now_s_ += 1000;
  RunOn(*common, {}, {}, {});
  RunOn(*stages, {}, {}, {});
  ASSERT_NO_FATAL_FAILURE(ExpectEqual(*common, *stages, 0));
  const auto on_rung = [&](fwd::Rung rung) { return common->counters.rungs[static_cast<size_t>(rung)].Value(); };
  EXPECT_GT(on_rung(fwd::Rung::kCookie), 100u);
  EXPECT_GT(on_rung(fwd::Rung::kSlot), 20u);
  EXPECT_GT(on_rung(fwd::Rung::kScheduler), 0u);
  EXPECT_GT(all_common, 300u) << "too few packets went the fast path for the test to mean anything";
}

TEST_P(FastPathTest, ReadsCookiesAsTheLadderDoes) {
  const auto director = std::make_unique<Director>(true, fwd::NatSetup());
  size_t named = 0;
  size_t given_up = 0;
  for (int round = 0; round < 200; ++round) {
    if (round == 100) {
      for (const auto& [backend, pool] : backends_) {
        if (Draw(2) == 0) fixture_.Down(backend, static_cast<fwd::OnDown>(Draw(3)));
      }
      Rebuild();
    }
    std::vector<Bytes> frames(1 + Draw(stage::kBurstSize));
    std::generate(frames.begin(), frames.end(), [this] { return PlainFrame(); });
    const FirstPass pass = LookUp(*director, frames);
    size_t selected = 0;
    for (const stage::Packet& packet : director->burst) {
      const bool is_selected = packet.past == stage::Past::kSelection;
      selected += is_selected ? 1 : 0;
      const bool is_looked_up =
          packet.past == stage::Past::kLookup || stage::IsTracked(packet.past) || stage::IsBeginning(packet.past);
      if (!is_selected && !is_looked_up) continue;
      const fwd::VipEntry& vip = (*state_->vips)[packet.vip.index()];
      fwd::FlowView flow = stage::ViewFlow(packet);
      stage::ViewTimestamps(packet, flow);
      const bool common = stage::MayClaim(stage::FrameOf(packet) + packet.headers.l4_offset);
      const bool reads = vip.cookies && !vip.slots && flow.has_echo && common;
      BackendId expected = reads ? fwd::CookieBackend(*state_, flow) : BackendId();
      if (expected.valid() && !(*state_->backends)[expected.index()].keeps_flows()) {
        expected = BackendId();
        ++given_up;
      }
      ASSERT_EQ(packet.backend, expected);
      ASSERT_EQ(is_selected, expected.valid());
      ASSERT_EQ(packet.rung, is_selected ? fwd::Rung::kCookie : fwd::Rung::kNone);
    }
    ASSERT_EQ(pass.looked.selected, selected);
    named += selected;
  }
  EXPECT_GT(named, 100u);
  EXPECT_GT(given_up, 0u) << "by backends that do not keep their flows";
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastPathTest, testing::Range(1u, 13u));

}  // namespace
}  // namespace sluice::test
