#include "dataplane/net/icmp_error.h"

#include <gtest/gtest.h>

#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

// Writes the error in front of what the vector quotes and expects its bytes.
void ExpectVector(Family family, IcmpErrorKind kind, const oracle::PacketVector& vector, const char* source = nullptr) {
  const Bytes expected = FromHex(vector.after);
  const uint16_t headers = IcmpErrorHeaderBytes(family);
  const auto quoted = static_cast<uint32_t>(expected.size() - headers);
  const Bytes cause = FromHex(vector.before);
  const ExactCopy packet(Bytes(headers, 0xee) + Bytes(cause.begin(), cause.begin() + quoted));
  const auto address = source != nullptr ? IpAddress::Parse(source) : std::nullopt;
  WriteIcmpError(family, kind, address ? address->data() : nullptr, 1480, quoted, packet.data());
  EXPECT_EQ(packet.bytes(), expected);
}

TEST(IcmpErrorTest, Ipv4) {
  const Family v4 = Family::kIpv4;
  ExpectVector(v4, IcmpErrorKind::kTooBig, oracle::kTooBigV4);
  ExpectVector(v4, IcmpErrorKind::kTimeExceeded, oracle::kTimeExceededV4, "192.0.2.5");
  ExpectVector(v4, IcmpErrorKind::kPortUnreachable, oracle::kPortUnreachableV4);
  ExpectVector(v4, IcmpErrorKind::kHostUnreachable, oracle::kHostUnreachableV4);
  ExpectVector(v4, IcmpErrorKind::kProhibited, oracle::kProhibitedV4);
}

TEST(IcmpErrorTest, Ipv6) {
  const Family v6 = Family::kIpv6;
  ExpectVector(v6, IcmpErrorKind::kTooBig, oracle::kTooBigV6);
  ExpectVector(v6, IcmpErrorKind::kTimeExceeded, oracle::kTimeExceededV6, "2001:db8::5");
  ExpectVector(v6, IcmpErrorKind::kPortUnreachable, oracle::kPortUnreachableV6);
  ExpectVector(v6, IcmpErrorKind::kHostUnreachable, oracle::kHostUnreachableV6);
  ExpectVector(v6, IcmpErrorKind::kProhibited, oracle::kProhibitedV6);
}

TEST(IcmpErrorTest, SizesByTheirRfcs) {
  EXPECT_EQ(MaxIcmpQuote(Family::kIpv4) + IcmpErrorHeaderBytes(Family::kIpv4), 576);
  EXPECT_EQ(MaxIcmpQuote(Family::kIpv6) + IcmpErrorHeaderBytes(Family::kIpv6), 1280);
}

}  // namespace
}  // namespace sluice::net
