#include <rte_mbuf.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/stage/tunnel_source.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using DropTest = PipelineTest;

TEST_F(DropTest, OtherStationsFrames) {
  FrameBuilder builder;
  builder.destination_mac_first = 0x0a;
  ExpectDrop(builder.Build(), DropReason::kOtherDestinationMac);
  // Also when the frame is broken otherwise.
  builder.source = "1.2.3.4";
  Bytes broken = builder.Build();
  broken[14] = 0x65;
  ExpectDrop(broken, DropReason::kOtherDestinationMac);
}

TEST_F(DropTest, BrokenHeaders) {
  Bytes frame = FrameBuilder().Build();
  ExpectDrop(Bytes(frame.begin(), frame.begin() + 13), DropReason::kTruncatedHeader);
  ExpectDrop(Bytes(frame.begin(), frame.begin() + 30), DropReason::kTruncatedHeader);
  ExpectDrop(Bytes(frame.begin(), frame.end() - 1), DropReason::kBadIpLength);
  frame[14] = 0x65;
  ExpectDrop(frame, DropReason::kBadIpVersion);
  frame[14] = 0x44;
  ExpectDrop(frame, DropReason::kBadIpHeaderLength);
  ExpectDrop(FrameBuilder{.vlan_tags = 3}.Build(), DropReason::kTooManyVlanTags);
  ExpectDrop(FrameBuilder{.bad_checksum = true}.Build(), DropReason::kBadIpChecksum);
  Bytes bad_l4 = FrameBuilder().Build();
  bad_l4[46] = 0xf0;
  ExpectDrop(bad_l4, DropReason::kBadL4Length);
}

TEST_F(DropTest, TheDevicesVerdictOnChecksumsCounts) {
  rte_mbuf* good = MakeMbuf(FrameBuilder{.bad_checksum = true}.Build());
  good->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
  rte_mbuf* bad = MakeMbuf(FrameBuilder().Build());
  bad->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_BAD;
  RunMbufs({good, bad});
  EXPECT_EQ(sent().size(), 1u);
  EXPECT_EQ(Dropped(DropReason::kBadIpChecksum), 1u);
}

TEST_F(DropTest, HeadersOverSeveralBuffers) {
  RunMbufs({MakeMbuf(FrameBuilder{.payload = 200}.Build(), 40)});
  EXPECT_EQ(Dropped(DropReason::kHeaderNotContiguous), 1u);
}

TEST_F(DropTest, NothingIsReadBehindAFrame) {
  // Frames end where a page does, behind which nothing can be read.
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  void* const pages = mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(pages, MAP_FAILED);
  auto* const bytes = static_cast<uint8_t*>(pages);
  ASSERT_EQ(mprotect(bytes + page, page, PROT_NONE), 0);
  const auto run = [&](const Bytes& whole, size_t length, size_t burst) {
    rte_mbuf_ext_shared_info shared{};
    shared.free_cb = [](void*, void*) {};
    rte_mbuf_ext_refcnt_set(&shared, 1);
    rte_mbuf* const cut = MakeMbuf(whole);
    rte_pktmbuf_attach_extbuf(cut, pages, 0, static_cast<uint16_t>(page), &shared);
    cut->data_off = static_cast<uint16_t>(page - length);
    cut->data_len = static_cast<uint16_t>(length);
    cut->pkt_len = cut->data_len;
    std::copy_n(whole.begin(), length, bytes + cut->data_off);
    std::vector<rte_mbuf*> mbufs(length % burst, nullptr);
    for (rte_mbuf*& mbuf : mbufs) mbuf = MakeMbuf(whole);
    mbufs.push_back(cut);
    while (mbufs.size() < burst) mbufs.push_back(MakeMbuf(whole));
    RunMbufs(mbufs);
    EXPECT_EQ(sent().size(), length == whole.size() ? burst : burst - 1);
  };
  // To the VIPs options of TCP are looked at, too.
  for (const VipId vip : {VipId(2), VipId(5)}) fixture_.Vip(vip).entry.cookies = true;
  fixture_.spec().cookie_keys[0] = lb::AesBlock{7};
  Rebuild();
  for (FrameBuilder builder : {FrameBuilder(), V6()}) {
    for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 80}, {6, 8080}, {17, 53}}) {
      builder.protocol = protocol;
      builder.destination_port = port;
      // The shortest packet; and one of which more than the shortest TCP segment's bytes are there and yet not all.
      for (const size_t payload : {0u, 20u}) {
        builder.payload = payload;
        const Bytes whole = builder.Build();
        for (const size_t burst : {1u, 8u}) {
          SCOPED_TRACE(builder.destination + ", port " + std::to_string(port) + ", payload " + std::to_string(payload) +
                       ", burst " + std::to_string(burst));
          for (size_t length = 1; length <= whole.size(); ++length) run(whole, length, burst);
        }
      }
    }
  }
  munmap(pages, 2 * page);
}

TEST_F(DropTest, ToAVipButNotServed) {
  ExpectDrop(FrameBuilder{.destination_port = 81}.Build(), DropReason::kVipNoService);
  ExpectDrop(FrameBuilder{.protocol = 47}.Build(), DropReason::kVipNoService);
  // ICMP types 156 and 8; the builder's source port is the type.
  ExpectDrop(FrameBuilder{.protocol = 1}.Build(), DropReason::kVipIcmp);
  fixture_.Vip(VipId(0)).answers_echo = fixture_.Vip(VipId(1)).answers_echo = fixture_.Vip(VipId(2)).answers_echo =
      false;
  Rebuild();
  ExpectDrop(FrameBuilder{.protocol = 1, .source_port = 0x0800}.Build(), DropReason::kEchoDisabled);
  ExpectDrop(FrameBuilder{.protocol = 1, .fragment = 0x2000}.Build(), DropReason::kFragment);
  ExpectDrop(FrameBuilder{.fragment = 0x2000}.Build(), DropReason::kFragmentBad);
}

TEST_F(DropTest, Martians) {
  for (const char* source : {"0.1.2.3", "127.0.0.1", "224.0.0.1", "255.255.255.255", "203.0.113.10"}) {
    ExpectDrop(FrameBuilder{.source = source}.Build(), DropReason::kMartianSource);
  }
  for (const char* source : {"::", "::1", "ff02::1", "2001:db8:f::10"}) {
    ExpectDrop(FrameBuilder{.source = source, .destination = "2001:db8:f::10"}.Build(), DropReason::kMartianSource);
  }
}

TEST_F(DropTest, NearlyMartians) {
  for (const char* source : {"1.0.0.1", "126.0.0.1", "128.0.0.1", "223.255.255.255", "203.0.113.11"}) {
    Run({FrameBuilder{.source = source}.Build()});
    EXPECT_EQ(sent().size(), 1u) << source;
  }
  for (const char* source : {"::2", "::1:0:0:0", "fe80::1", "2001:db8:f::11", "2001:db8:e::10"}) {
    Run({FrameBuilder{.source = source, .destination = "2001:db8:f::10"}.Build()});
    EXPECT_EQ(sent().size(), 1u) << source;
  }
}

TEST_F(DropTest, NoBackend) {
  fixture_.Drain(backend_v4_);
  Rebuild();
  ExpectDrop(FrameBuilder().Build(), DropReason::kNoBackend);
  EXPECT_EQ(counters_.vips[0].dropped.Value(), 1u);
  EXPECT_EQ(counters_.vips[0].requests.packets.Value(), 1u);
}

TEST_F(DropTest, NextHops) {
  fixture_.hop().on_link = false;
  Rebuild();
  ExpectDrop(FrameBuilder().Build(), DropReason::kBackendNotOnLink);
  fixture_.hop().resolved = false;
  Rebuild();
  ExpectDrop(FrameBuilder().Build(), DropReason::kNextHopUnresolved);
  ExpectDrop(FrameBuilder{.destination_port = 8080}.Build(), DropReason::kNextHopUnresolved);
}

TEST_F(DropTest, FamilyMismatch) {
  fixture_.AddVip("203.0.113.99", 6, 80, pool_v6_);
  Rebuild();
  ExpectDrop(FrameBuilder{.destination = "203.0.113.99"}.Build(), DropReason::kFamilyMismatch);
}

TEST_F(DropTest, NoTunnelSource) {
  fixture_.hop().source_v4 = net::IpAddress();
  Rebuild();
  ExpectDrop(FrameBuilder{.destination_port = 8080}.Build(), DropReason::kNoTunnelSource);
  Run({FrameBuilder().Build()});
  EXPECT_EQ(sent().size(), 1u) << "L2 needs no tunnel source";
}

// Datagrams from where our tunnels come from, to the last byte of an address and the last bit of a prefix.
TEST_F(DropTest, OwnTunnels) {
  node_.own_sources_v4.count = node_.own_sources_v6.count = 1;
  node_.own_sources_v4.addresses[0] = {192, 0, 2, 2};
  node_.own_sources_v6.addresses[0] = {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2};
  node_.tunnel_source_v4 = stage::ToTunnelSource(net::IpPrefix::Parse("192.0.2.128/28"));
  node_.tunnel_source_v6 = stage::ToTunnelSource(net::IpPrefix::Parse("2001:db8:0:0:80::/73"));
  const auto from = [](const char* source, const FrameBuilder& like) {
    FrameBuilder builder = like;
    builder.source = source;
    builder.protocol = 17;
    builder.destination_port = 53;
    return builder.Build();
  };
  for (const char* source : {"192.0.2.2", "192.0.2.128", "192.0.2.143"})
    ExpectDrop(from(source, FrameBuilder()), DropReason::kTunnelLoop);
  for (const char* source : {"2001:db8::2", "2001:db8::80:0:0:0", "2001:db8::ff:ffff:ffff:ffff"})
    ExpectDrop(from(source, V6()), DropReason::kTunnelLoop);
  const std::vector<Bytes> others = {
      from("192.0.2.3", FrameBuilder()), from("192.0.2.144", FrameBuilder()), from("192.0.2.127", FrameBuilder()),
      from("2001:db8::3", V6()),         from("2001:db8::100:0:0:0", V6()),   from("2001:db8::7f:ffff:ffff:ffff", V6()),
      from("2001:db9::2", V6())};
  Run(others);
  EXPECT_EQ(sent().size(), others.size());
}

// Less than IPv6's least MTU would fit, which no host would believe.
TEST_F(DropTest, TooBigCountsTheEncapsulation) {
  const size_t headers = 60;
  node_.ports[0].mtu_bytes = 1300;
  FrameBuilder frame{.source = "2001:db8:c::1", .destination = "2001:db8:f::10", .destination_port = 8080};
  frame.payload = 1260 - headers;
  Run({frame.Build()});
  EXPECT_EQ(sent().size(), 1u);
  frame.payload = 1261 - headers;
  ExpectDrop(frame.Build(), DropReason::kTooBig);
}

TEST_F(DropTest, NoHeadroom) {
  rte_mbuf* mbuf = MakeMbuf(FrameBuilder{.destination_port = 8080}.Build());
  // Move the packet to the very front of the buffer.
  const uint16_t headroom = rte_pktmbuf_headroom(mbuf);
  std::memmove(rte_pktmbuf_mtod(mbuf, uint8_t*) - headroom, rte_pktmbuf_mtod(mbuf, uint8_t*),
               rte_pktmbuf_data_len(mbuf));
  mbuf->data_off = 0;
  RunMbufs({mbuf});
  EXPECT_EQ(Dropped(DropReason::kNoHeadroom), 1u);
}

TEST_F(DropTest, RandomBytesHaveOneFateEach) {
  std::mt19937 random(11);
  const std::vector<Bytes> seeds = {
      FrameBuilder().Build(), FrameBuilder{.destination_port = 8080, .vlan_tags = 1}.Build(),
      FrameBuilder{.source = "2001:db8:c::1", .destination = "2001:db8:f::10", .destination_port = 8080}.Build(),
      FrameBuilder{.protocol = 17, .destination_port = 53, .padding = 8}.Build()};
  for (int round = 0; round < 3000; ++round) {
    std::vector<rte_mbuf*> mbufs;
    for (size_t i = 0; i < stage::kBurstSize; ++i) {
      Bytes frame = seeds[random() % seeds.size()];
      for (auto flips = random() % 6; flips > 0; --flips) {
        frame[random() % frame.size()] = static_cast<uint8_t>(random());
      }
      frame.resize(1 + random() % frame.size());
      mbufs.push_back(MakeMbuf(frame, 20 + random() % 100));
    }
    RunMbufs(std::move(mbufs));
  }
  EXPECT_GT(counters_.forwarded.Value(), 1000u);
}

}  // namespace
}  // namespace sluice::test
