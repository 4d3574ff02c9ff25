// Packets that the director answers itself, and ICMP errors that follow their flow.

#include <rte_mbuf.h>

#include <cstring>

#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

using IcmpTest = PipelineTest;

// The builder's L4 bytes are arbitrary, so an ICMP message is a header written over them with a right checksum.
Bytes IcmpFrame(FrameBuilder builder, uint8_t type, uint8_t code, const Bytes& body) {
  const bool v4 = builder.source.find(':') == std::string::npos;
  builder.protocol = v4 ? 1 : 58;
  builder.payload = body.size();
  Bytes frame = builder.Build();
  const size_t l4 = 14 + 4 * builder.vlan_tags + (v4 ? 20 : 40);
  Bytes message = {type, code, 0, 0, 0x12, 0x34, 0, 1};
  message.insert(message.end(), body.begin(), body.end());
  Bytes summed;
  if (!v4) {
    summed.assign(frame.begin() + static_cast<ptrdiff_t>(l4) - 32, frame.begin() + static_cast<ptrdiff_t>(l4));
    summed.insert(summed.end(),
                  {0, 0, static_cast<uint8_t>(message.size() >> 8), static_cast<uint8_t>(message.size()), 0, 0, 0, 58});
  }
  summed.insert(summed.end(), message.begin(), message.end());
  const uint16_t checksum = net::InternetChecksum(summed.data(), summed.size());
  std::memcpy(message.data() + 2, &checksum, sizeof(checksum));
  std::copy(message.begin(), message.end(), frame.begin() + static_cast<ptrdiff_t>(l4));
  return frame;
}

bool Icmpv6ChecksumIsValid(const Bytes& frame) {
  const size_t length = frame.size() - 54;
  Bytes summed(frame.begin() + 22, frame.begin() + 54);
  summed.insert(summed.end(), {0, 0, static_cast<uint8_t>(length >> 8), static_cast<uint8_t>(length), 0, 0, 0, 58});
  summed.insert(summed.end(), frame.begin() + 54, frame.end());
  return net::ChecksumIsValid(summed.data(), summed.size());
}

TEST_F(IcmpTest, EchoV4IsAnswered) {
  const Bytes request = IcmpFrame({.hop_limit = 3, .padding = 7}, 8, 0, Bytes(33, 0x77));
  Run({request});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& reply = sent()[0].frame;
  ASSERT_EQ(reply.size(), request.size());
  EXPECT_EQ(Bytes(reply.begin(), reply.begin() + 12), (Bytes{2, 0, 0, 0, 0, 0x99, 2, 0, 0, 0, 0, 1}));
  EXPECT_EQ(Bytes(reply.begin() + 26, reply.begin() + 34), (Bytes{203, 0, 113, 10, 198, 51, 100, 1}));
  EXPECT_EQ(reply[22], 64);
  EXPECT_TRUE(net::ChecksumIsValid(reply.data() + 14, 20));
  EXPECT_EQ(reply[34], 0);
  EXPECT_TRUE(net::ChecksumIsValid(reply.data() + 34, reply.size() - 34 - 7));
  EXPECT_EQ(Bytes(reply.begin() + 38, reply.end()), Bytes(request.begin() + 38, request.end()));
  EXPECT_EQ(counters_.answered.Value(), 1u);
  EXPECT_EQ(record(0).fate, Fate::kAnswered);
}

TEST_F(IcmpTest, EchoV6IsAnsweredWithItsVlanTags) {
  FrameBuilder builder = V6();
  Run({IcmpFrame(builder, 128, 0, Bytes(12, 1))});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes reply = sent()[0].frame;
  EXPECT_EQ(reply[54], 129);
  EXPECT_TRUE(Icmpv6ChecksumIsValid(reply));
  EXPECT_EQ(net::IpAddress::FromBytes(net::Family::kIpv6, &reply[22]), Address("2001:db8:f::10"));
  builder.vlan_tags = 1;
  Run({IcmpFrame(builder, 128, 0, {})});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame[12], 0x81);
  EXPECT_EQ(sent()[0].frame[58], 129);
}

TEST_F(IcmpTest, AnswersAreLimitedInRate) {
  node_.answers_per_s = 3;
  const Bytes request = IcmpFrame({}, 8, 0, {});
  Run(std::vector<Bytes>(10, request));
  EXPECT_EQ(sent().size(), 3u);
  EXPECT_EQ(Dropped(DropReason::kAnswerRateLimited), 7u);
}

// An error of a router about a packet of the VIP's to the client, of which it quotes so many bytes.
Bytes ErrorAbout(uint16_t client_port, uint16_t vip_port, uint8_t protocol = 6, size_t quoted = 28) {
  Bytes quote = FrameBuilder{.source = "203.0.113.10",
                             .destination = "198.51.100.1",
                             .protocol = protocol,
                             .source_port = vip_port,
                             .destination_port = client_port}
                    .Build();
  quote.erase(quote.begin(), quote.begin() + 14);
  quote.resize(quoted);
  return IcmpFrame({.source = "198.18.0.1"}, 3, 4, quote);
}

TEST_F(IcmpTest, ErrorsFollowTheFlowTheyQuote) {
  // Two backends, so that the flow's own must be found in the table once the pool has changed.
  Run({FrameBuilder().Build()});
  ASSERT_EQ(record(0).backend, backend_v4_);
  const BackendId other = fixture_.AddBackend(pool_v4_, "192.0.2.12");
  fixture_.Drain(backend_v4_);
  Rebuild();
  const Bytes error = ErrorAbout(40000, 80);
  Run({error, ErrorAbout(50000, 80)});
  ASSERT_EQ(sent().size(), 2u);
  EXPECT_EQ(record(0).backend, backend_v4_);
  EXPECT_EQ(record(1).backend, other);
  EXPECT_EQ(Bytes(sent()[0].frame.begin() + 14, sent()[0].frame.end()), Bytes(error.begin() + 14, error.end()));
  EXPECT_EQ(sent()[0].frame[5], 11);
  EXPECT_EQ(counters_.related.Value(), 2u);
  EXPECT_EQ(counters_.table_v4.inserted.Value(), 1u);
}

// With cookies an error that has none may be any backend's, where no worker has an entry of its flow.
TEST_F(IcmpTest, ErrorsWithoutACookieGoToAllBackends) {
  fixture_.AddBackend(pool_v4_, "192.0.2.12");
  fixture_.Vip(VipId(0)).entry.cookies = true;
  Rebuild();
  worker_count_ = 2;
  const Bytes error = ErrorAbout(40000, 80, 6, 200);
  RunMbufs({MakeMbuf(error, 90)});
  const auto moved = sink_.TakeHandedOver();
  ASSERT_EQ(moved.size(), 1u);
  EXPECT_TRUE(sent().empty());
  worker_ = WorkerId(1);
  Resume({moved[0].mbuf});
  ASSERT_EQ(sent().size(), 2u);
  for (const auto& each : sent()) {
    EXPECT_EQ(Bytes(each.frame.begin() + 14, each.frame.end()), Bytes(error.begin() + 14, error.end()));
  }
  EXPECT_NE(sent()[0].frame[5], sent()[1].frame[5]);
  EXPECT_EQ(counters_.copies.packets.Value(), 1u);
}

TEST_F(IcmpTest, ErrorsThroughATunnel) {
  const Bytes error = ErrorAbout(40000, 8080);
  Run({error});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame[14 + 9], 4);
  EXPECT_EQ(Bytes(sent()[0].frame.begin() + 34, sent()[0].frame.end()), Bytes(error.begin() + 14, error.end()));
}

TEST_F(IcmpTest, ErrorsThatQuoteNoFlowOfTheVip) {
  ExpectDrop(ErrorAbout(40000, 81), DropReason::kVipIcmp);
  ExpectDrop(ErrorAbout(40000, 80, 47), DropReason::kVipIcmp);
  // The quote's source is another address than the one the error was sent to.
  Bytes quote = FrameBuilder{.source = "203.0.113.11", .destination = "198.51.100.1", .source_port = 80}.Build();
  quote.erase(quote.begin(), quote.begin() + 14);
  ExpectDrop(IcmpFrame({}, 3, 1, quote), DropReason::kVipIcmp);
  ExpectDrop(IcmpFrame({}, 5, 0, Bytes(28, 0)), DropReason::kVipIcmp);
}

TEST_F(IcmpTest, FragmentationNeededV4) {
  const Bytes big = FrameBuilder{.destination_port = 8080, .fragment = 0x4000, .payload = 1460}.Build();
  Run({big});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& error = sent()[0].frame;
  EXPECT_EQ(error.size(), 14u + 576u);
  EXPECT_EQ(Bytes(error.begin() + 26, error.begin() + 34), (Bytes{203, 0, 113, 10, 198, 51, 100, 1}));
  EXPECT_TRUE(net::ChecksumIsValid(error.data() + 14, 20));
  EXPECT_EQ(error[23], 1);
  EXPECT_EQ(error[34], 3);
  EXPECT_EQ(error[35], 4);
  EXPECT_EQ(error[40] << 8 | error[41], 1480);
  EXPECT_TRUE(net::ChecksumIsValid(error.data() + 34, error.size() - 34));
  EXPECT_EQ(Bytes(error.begin() + 42, error.end()), Bytes(big.begin() + 14, big.begin() + 14 + 548));
  EXPECT_EQ(counters_.answers[static_cast<size_t>(fwd::AnswerKind::kPacketTooBig)].Value(), 1u);
}

TEST_F(IcmpTest, PacketTooBigV6FromAChainOfBuffers) {
  FrameBuilder builder = V6();
  builder.destination_port = 8080;
  builder.payload = 1440;
  const Bytes big = builder.Build();
  RunMbufs({MakeMbuf(big, 700)});
  ASSERT_EQ(sent().size(), 1u);
  const Bytes& error = sent()[0].frame;
  EXPECT_LE(error.size(), 14u + 1280u);
  EXPECT_EQ(error[54], 2);
  EXPECT_EQ(error[60] << 8 | error[61], 1460);
  EXPECT_TRUE(Icmpv6ChecksumIsValid(error));
  EXPECT_TRUE(std::equal(error.begin() + 62, error.end(), big.begin() + 14));
}

TEST_F(IcmpTest, NoErrorForWhatMayBeFragmentedOrIsAnError) {
  Run({FrameBuilder{.destination_port = 8080, .payload = 1460}.Build()});
  EXPECT_EQ(sent().size(), 2u) << "it is fragmented";
  EXPECT_EQ(counters_.answered.Value(), 0u);
  node_.ports[0].mtu_bytes = 70;
  Bytes error = ErrorAbout(40000, 8080);
  error[20] = 0x40;  // DF
  error[24] = error[25] = 0;
  const uint16_t checksum = net::InternetChecksum(error.data() + 14, 20);
  std::memcpy(error.data() + 24, &checksum, sizeof(checksum));
  ExpectDrop(error, DropReason::kTooBig);
}

}  // namespace
}  // namespace sluice::test
