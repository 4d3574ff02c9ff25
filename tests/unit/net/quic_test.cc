#include "dataplane/net/quic.h"

#include <gtest/gtest.h>

#include <random>

#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

std::optional<QuicHeader> ParseQuic(const Bytes& payload, uint8_t short_id_length = 8) {
  const ExactCopy copy(payload);
  return ParseQuicHeader(copy.data(), copy.size(), short_id_length);
}

TEST(QuicTest, InitialOfRfc9001) {
  // Appendix A.2: the client's Initial, protected, first bytes.
  const auto header = ParseQuic(FromHex("c000000001 08 8394c8f03e515708 00 00 449e 7b9aec34"));
  ASSERT_TRUE(header);
  EXPECT_TRUE(header->is_long);
  EXPECT_EQ(header->version.Host(), 1u);
  EXPECT_EQ(header->destination_id_offset, 6);
  EXPECT_EQ(header->destination_id_length, 8);
  EXPECT_EQ(header->source_id_offset, 15);
  EXPECT_EQ(header->source_id_length, 0);
}

TEST(QuicTest, ServersInitialOfRfc9001) {
  // Appendix A.3: no destination id, and the source id that the client will use.
  const auto header = ParseQuic(FromHex("c1 00000001 00 08 f067a5502a4262b5 00 4075"));
  ASSERT_TRUE(header);
  EXPECT_EQ(header->destination_id_length, 0);
  EXPECT_EQ(header->destination_id_offset, 6);
  EXPECT_EQ(header->source_id_offset, 7);
  EXPECT_EQ(header->source_id_length, 8);
}

TEST(QuicTest, ShortHeaderHasTheGivenLength) {
  const Bytes packet = FromHex("4c f067a5502a4262b5 fe");
  const auto header = ParseQuic(packet);
  ASSERT_TRUE(header);
  EXPECT_FALSE(header->is_long);
  EXPECT_EQ(header->destination_id_offset, 1);
  EXPECT_EQ(header->destination_id_length, 8);
  EXPECT_TRUE(ParseQuic(packet, 9));
  EXPECT_FALSE(ParseQuic(packet, 10));
  EXPECT_TRUE(ParseQuic({0x40}, 0));
  EXPECT_FALSE(ParseQuic({}, 0));
}

TEST(QuicTest, IdsOfOtherVersionsMayHave255Bytes) {
  const Bytes packet = FromHex("80 ff00001d ff") + Bytes(255, 1) + Bytes{255} + Bytes(255, 2);
  const auto header = ParseQuic(packet);
  ASSERT_TRUE(header);
  EXPECT_EQ(header->destination_id_length, 255);
  EXPECT_EQ(header->source_id_offset, 6 + 255 + 1);
  EXPECT_EQ(header->source_id_length, 255);
}

TEST(QuicTest, EveryCutOfALongHeaderIsSeen) {
  const Bytes packet = FromHex("c1 00000001 04 01020304 03 0a0b0c");
  EXPECT_TRUE(ParseQuic(packet));
  for (size_t size = 0; size < packet.size(); ++size) {
    EXPECT_FALSE(ParseQuic(Bytes(packet.begin(), packet.begin() + static_cast<ptrdiff_t>(size)))) << size;
  }
}

TEST(QuicTest, OnlyClientsThatKnowTheServerNameIt) {
  const auto names = [](std::string_view payload) {
    const Bytes bytes = FromHex(std::string(payload) + "08 8394c8f03e515708 00 00 449e");
    return CarriesServersId(*ParseQuic(bytes), bytes[0]);
  };
  // Version 1: Initial, 0-RTT, Handshake, Retry; version 2 likewise, whose numbers are others.
  EXPECT_FALSE(names("c0 00000001"));
  EXPECT_FALSE(names("d0 00000001"));
  EXPECT_TRUE(names("ef 00000001"));
  EXPECT_FALSE(names("f0 00000001"));
  EXPECT_FALSE(names("d0 6b3343cf"));
  EXPECT_FALSE(names("e0 6b3343cf"));
  EXPECT_TRUE(names("f0 6b3343cf"));
  EXPECT_FALSE(names("c0 6b3343cf"));
  // Nobody can tell of other versions.
  EXPECT_FALSE(names("e0 ff00001d"));
  EXPECT_FALSE(names("e0 00000000"));
  const Bytes short_header = FromHex("4f 8394c8f03e515708 449e");
  EXPECT_TRUE(CarriesServersId(*ParseQuic(short_header), short_header[0]));
}

}  // namespace
}  // namespace sluice::net
