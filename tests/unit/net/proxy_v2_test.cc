#include "dataplane/net/proxy_v2.h"

#include <gtest/gtest.h>

#include "dataplane/net/nat_rewrite.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

// The client's segment, rewritten to the backend with the header in front of its payload, is what scapy makes of it.
void ExpectVector(Family family, const oracle::PacketVector& vector) {
  const bool v4 = family == Family::kIpv4;
  const auto address = [v4](const char* four, const char* six) { return *IpAddress::Parse(v4 ? four : six); };
  const IpAddress local = address("192.0.2.5", "2001:db8::5");
  const IpAddress backend = address("192.0.2.11", "2001:db8::11");
  const IpAddress client = address("198.51.100.1", "2001:db8:c::1");
  const IpAddress vip = address("203.0.113.10", "2001:db8:f::10");
  Bytes header(ProxyV2Size(family));
  ASSERT_EQ(WriteProxyV2(family, client.data(), Be16::FromHost(40000), vip.data(), Be16::FromHost(80), header.data()),
            header.size());
  const ExactCopy packet(FromHex(vector.before));
  const ptrdiff_t l4 = v4 ? 20 : 40;
  const PacketBytes view = {family, 6, packet.data(), packet.data() + l4, packet.size() - static_cast<uint32_t>(l4)};
  ASSERT_TRUE(RewriteFlow(view, {local.data(), backend.data(), Be16::FromHost(1025), Be16::FromHost(8080)}));
  AccountForInsertedPayload(view, header.data(), ProxyV2Size(family));
  Bytes segment = packet.bytes();
  segment.insert(segment.begin() + l4 + 20, header.begin(), header.end());
  EXPECT_EQ(segment, FromHex(vector.after));
}

TEST(ProxyV2Test, Ipv4) {
  EXPECT_EQ(ProxyV2Size(Family::kIpv4), 28);
  ExpectVector(Family::kIpv4, oracle::kProxyV4);
}

TEST(ProxyV2Test, Ipv6) {
  EXPECT_EQ(ProxyV2Size(Family::kIpv6), 52);
  ExpectVector(Family::kIpv6, oracle::kProxyV6);
}

}  // namespace
}  // namespace sluice::net
