#include <rte_mbuf.h>

#include <cstring>
#include <set>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using fwd::ForwardingMode;
using net::Family;

constexpr uint16_t kGuePort = 6080;

// Every tunnel mode in every mix of families: the same checks for all.
struct TunnelCase {
  ForwardingMode mode;
  Family inner;
  Family outer;
};

class TunnelTest : public PipelineTest, public testing::WithParamInterface<TunnelCase> {
 protected:
  TunnelTest() {
    const PoolId pool = GetParam().outer == Family::kIpv4 ? pool_v4_ : pool_v6_;
    const VipId vip = fixture_.AddVip(inner_v4() ? "203.0.113.20" : "2001:db8:f::20", 6, 80, pool, GetParam().mode);
    fixture_.Vip(vip).entry.gue_port = kGuePort;
    Rebuild();
  }

  bool inner_v4() const { return GetParam().inner == Family::kIpv4; }
  bool outer_v4() const { return GetParam().outer == Family::kIpv4; }

  FrameBuilder Inner() const {
    return {.source = inner_v4() ? "198.51.100.1" : "2001:db8:c::1",
            .destination = inner_v4() ? "203.0.113.20" : "2001:db8:f::20",
            .tos = 0xb9};
  }

  size_t ShimBytes() const {
    switch (GetParam().mode) {
      case ForwardingMode::kGue:
        return 12;
      case ForwardingMode::kGueDirect:
        return 8;
      case ForwardingMode::kGre:
        return 4;
      default:
        return 0;
    }
  }

  size_t OuterBytes() const { return (outer_v4() ? 20 : 40) + ShimBytes(); }

  void CheckOuterIp(const Bytes& out, size_t at, uint8_t protocol, size_t payload) {
    if (outer_v4()) {
      net::Ipv4Header ip;
      std::memcpy(&ip, out.data() + at, sizeof(ip));
      EXPECT_EQ(ip.version_ihl, 0x45);
      EXPECT_EQ(ip.tos, 0xb9);
      EXPECT_EQ(ip.total_length.Host(), 20 + payload);
      EXPECT_EQ(ip.fragment.Host(), net::kIpv4DontFragment);
      EXPECT_EQ(ip.ttl, 64);
      EXPECT_EQ(ip.protocol, protocol);
      EXPECT_EQ(ip.source, Address("192.0.2.2").v4());
      EXPECT_EQ(ip.destination, Address("192.0.2.11").v4());
      EXPECT_TRUE(net::ChecksumIsValid(out.data() + at, 20));
      return;
    }
    net::Ipv6Header ip;
    std::memcpy(&ip, out.data() + at, sizeof(ip));
    EXPECT_EQ(ip.version_class_flow.Host() >> 20, 0x6b9u);
    EXPECT_EQ(ip.payload_length.Host(), payload);
    EXPECT_EQ(ip.hop_limit, 64);
    EXPECT_EQ(ip.next_header, protocol);
    EXPECT_EQ(net::IpAddress::FromBytes(Family::kIpv6, ip.source), Address("2001:db8::2"));
    EXPECT_EQ(net::IpAddress::FromBytes(Family::kIpv6, ip.destination), Address("2001:db8::16"));
  }

  void CheckUdp(const Bytes& out, size_t ip, size_t udp_at, size_t payload) {
    net::UdpHeader udp;
    std::memcpy(&udp, out.data() + udp_at, sizeof(udp));
    EXPECT_GE(udp.source_port.Host(), 49152);
    EXPECT_EQ(udp.destination_port.Host(), kGuePort);
    EXPECT_EQ(udp.length.Host(), payload);
    if (outer_v4()) {
      EXPECT_EQ(udp.checksum, 0);
      return;
    }
    // RFC 8200 pseudo-header, spelled out byte by byte.
    Bytes summed(out.begin() + static_cast<ptrdiff_t>(ip) + 8, out.begin() + static_cast<ptrdiff_t>(ip) + 40);
    summed.insert(summed.end(), {0, 0, static_cast<uint8_t>(payload >> 8), static_cast<uint8_t>(payload), 0, 0, 0, 17});
    summed.insert(summed.end(), out.begin() + static_cast<ptrdiff_t>(udp_at), out.end());
    EXPECT_NE(udp.checksum, 0);
    EXPECT_TRUE(net::ChecksumIsValid(summed.data(), summed.size()));
  }

  uint8_t ExpectedProtocol() const {
    const auto mode = GetParam().mode;
    if (mode == ForwardingMode::kGre) return 47;
    if (mode == ForwardingMode::kGue || mode == ForwardingMode::kGueDirect) return 17;
    return inner_v4() ? 4 : 41;
  }

  void CheckShim(const Bytes& out, size_t ip, size_t payload) {
    const size_t shim = ip + (outer_v4() ? 20 : 40);
    if (GetParam().mode == ForwardingMode::kGre) {
      const uint16_t type = inner_v4() ? 0x0800 : 0x86dd;
      EXPECT_EQ(Bytes(out.begin() + static_cast<ptrdiff_t>(shim), out.begin() + static_cast<ptrdiff_t>(shim) + 4),
                (Bytes{0, 0, static_cast<uint8_t>(type >> 8), static_cast<uint8_t>(type & 0xff)}));
    } else if (GetParam().mode != ForwardingMode::kIpip) {
      CheckUdp(out, ip, shim, payload);
    }
    if (GetParam().mode == ForwardingMode::kGue) {
      EXPECT_EQ(Bytes(out.begin() + static_cast<ptrdiff_t>(shim) + 8, out.begin() + static_cast<ptrdiff_t>(shim) + 12),
                (Bytes{0, static_cast<uint8_t>(inner_v4() ? 4 : 41), 0, 0}));
    }
  }
};

TEST_P(TunnelTest, OuterHeadersAreRightAndTheInnerPacketUntouched) {
  for (const size_t payload : {size_t{0}, size_t{1}, size_t{777}}) {
    for (const size_t tags : {size_t{0}, size_t{2}}) {
      FrameBuilder builder = Inner();
      builder.payload = payload;
      builder.vlan_tags = tags;
      const Bytes plain = builder.Build();
      builder.padding = 5;
      Run({builder.Build()});
      ASSERT_EQ(sent().size(), 1u);
      const Bytes& out = sent()[0].frame;
      const size_t l2 = 14 + 4 * tags;
      const Bytes inner(plain.begin() + static_cast<ptrdiff_t>(l2), plain.end());
      ASSERT_EQ(out.size(), l2 + OuterBytes() + inner.size());
      EXPECT_EQ(Bytes(out.end() - static_cast<ptrdiff_t>(inner.size()), out.end()), inner);
      EXPECT_EQ(out[l2 - 2] << 8 | out[l2 - 1], outer_v4() ? 0x0800 : 0x86dd);
      CheckOuterIp(out, l2, ExpectedProtocol(), ShimBytes() + inner.size());
      CheckShim(out, l2, ShimBytes() + inner.size());
    }
  }
}

// Over IPv6, where zero would say that there is none.
TEST_P(TunnelTest, AUdpChecksumOfZeroIsAllOnes) {
  if (outer_v4() || ExpectedProtocol() != 17) return;
  for (const size_t tags : {size_t{0}, size_t{1}}) {
    FrameBuilder builder = Inner();
    builder.payload = 20;
    builder.vlan_tags = tags;
    Bytes frame = builder.Build();
    const size_t ip = 14 + 4 * tags;
    const size_t checksum_at = ip + 40 + 6;
    const auto word = [](const Bytes& bytes, size_t at) { return uint32_t{bytes[at]} << 8 | bytes[at + 1]; };
    Run({frame});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(record(0).past == stage::Past::kAll, tags == 0) << "both ways are to be tested";
    // What is missing to a sum of all ones, of which the checksum would be zero.
    const size_t last = frame.size() - 2;
    uint32_t changed = word(frame, last) + word(sent()[0].frame, checksum_at);
    changed = (changed & 0xffff) + (changed >> 16);
    frame[last] = static_cast<uint8_t>(changed >> 8);
    frame[last + 1] = static_cast<uint8_t>(changed);
    Run({frame});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(word(sent()[0].frame, checksum_at), 0xffffu);
    CheckUdp(sent()[0].frame, ip, ip + 40, sent()[0].frame.size() - ip - 40);
  }
}

TEST_P(TunnelTest, ChainsOfBuffers) {
  FrameBuilder builder = Inner();
  builder.payload = 1001;
  const Bytes frame = builder.Build();
  RunMbufs({MakeMbuf(frame, 301)});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& out = sent()[0].frame;
  EXPECT_EQ(Bytes(out.begin() + static_cast<ptrdiff_t>(14 + OuterBytes()), out.end()),
            Bytes(frame.begin() + 14, frame.end()));
  CheckShim(out, 14, out.size() - 14 - (outer_v4() ? 20 : 40));
}

TEST_P(TunnelTest, TheLargestPacketThatFits) {
  const size_t ip_headers = inner_v4() ? 40 : 60;
  FrameBuilder builder = Inner();
  builder.payload = 1500 - OuterBytes() - ip_headers;
  Run({builder.Build()});
  EXPECT_EQ(sent().size(), 1u);
  ++builder.payload;
  builder.fragment = 0x4000;
  Run({builder.Build()});
  EXPECT_EQ(counters_.answers[static_cast<size_t>(fwd::AnswerKind::kPacketTooBig)].Value(), 1u);
}

TEST_P(TunnelTest, WhatMayNameASecondBackendLeavesRoomForIt) {
  if (GetParam().mode != ForwardingMode::kGue) return;
  fixture_.spec().vips.back().entry.second_chance = true;
  Rebuild();
  FrameBuilder builder = Inner();
  const size_t headers = inner_v4() ? 40 : 60;
  const size_t name = outer_v4() ? 8 : 20;
  builder.payload = 1500 - OuterBytes() - name - headers;
  Run({builder.Build()});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame.size(), 14 + 1500 - name) << "nobody is named";
  ++builder.payload;
  builder.fragment = 0x4000;
  Run({builder.Build()});
  EXPECT_EQ(counters_.answers[static_cast<size_t>(fwd::AnswerKind::kPacketTooBig)].Value(), 1u);
}

TEST_P(TunnelTest, SourcePrefixSpreadsFlows) {
  const net::IpAddress prefix = Address(outer_v4() ? "10.99.0.0" : "2001:db8:99::");
  stage::TunnelSource& source = outer_v4() ? node_.tunnel_source_v4 : node_.tunnel_source_v6;
  source.enabled = true;
  std::memcpy(source.prefix.data(), prefix.data(), prefix.size());
  for (size_t i = outer_v4() ? 2 : 8; i < prefix.size(); ++i) source.host_mask[i] = 0xff;
  std::set<Bytes> sources;
  for (uint16_t port = 1; port <= 20; ++port) {
    FrameBuilder builder = Inner();
    builder.source_port = port;
    Run({builder.Build()});
    ASSERT_EQ(sent().size(), 1u);
    const auto at = sent()[0].frame.begin() + 14 + (outer_v4() ? 12 : 8);
    EXPECT_TRUE(std::equal(prefix.data(), prefix.data() + (outer_v4() ? 2 : 8), at));
    sources.insert(Bytes(at, at + static_cast<ptrdiff_t>(prefix.size())));
    if (outer_v4()) {
      EXPECT_TRUE(net::ChecksumIsValid(sent()[0].frame.data() + 14, 20));
    }
  }
  EXPECT_GT(sources.size(), 15u);
}

std::vector<TunnelCase> AllTunnels() {
  std::vector<TunnelCase> cases;
  for (const auto mode :
       {ForwardingMode::kIpip, ForwardingMode::kGue, ForwardingMode::kGueDirect, ForwardingMode::kGre}) {
    for (const auto inner : {Family::kIpv4, Family::kIpv6}) {
      for (const auto outer : {Family::kIpv4, Family::kIpv6}) cases.push_back({mode, inner, outer});
    }
  }
  return cases;
}

std::string NameOf(const testing::TestParamInfo<TunnelCase>& info) {
  constexpr const char* kNames[] = {"L2", "Ipip", "Gue", "GueDirect", "Gre"};
  return std::string(kNames[static_cast<size_t>(info.param.mode)]) +
         (info.param.inner == Family::kIpv4 ? "4in" : "6in") + (info.param.outer == Family::kIpv4 ? "4" : "6");
}

INSTANTIATE_TEST_SUITE_P(Modes, TunnelTest, testing::ValuesIn(AllTunnels()), NameOf);

}  // namespace
}  // namespace sluice::test
