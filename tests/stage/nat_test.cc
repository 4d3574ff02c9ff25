#include <gmock/gmock.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/stage/nat_fixture.h"

namespace sluice::test::nat {
namespace {

TEST_F(NatTest, DestinationNatBothWaysWithoutAnyState) {
  for (const Family* f : {&kV4, &kV6}) {
    for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 80}, {17, 53}}) {
      FrameBuilder request = FromClient(*f, protocol, port);
      request.tcp_flags = kAck;
      Run({Frame(request)});
      ASSERT_EQ(sent().size(), 1u);
      EXPECT_EQ(sent()[0].frame, Changed(request, f->client, 40000, f->backend, port, Backend(f->backend_mac)));
      FrameBuilder reply = request;
      std::swap(reply.source_port, reply.destination_port);
      reply.source = f->backend;
      reply.destination = f->client;
      Run({Frame(reply)});
      ASSERT_EQ(sent().size(), 1u);
      EXPECT_EQ(sent()[0].frame, Changed(reply, f->vip, port, f->client, 40000, kRouter));
      EXPECT_EQ(record(0).fate, Fate::kForwarded);
    }
  }
  EXPECT_EQ(tables_.nat().table().in_use(), 0u);
  EXPECT_EQ(counters_.nat.stateless_replies.Value(), 4u);
}

TEST_F(NatTest, AZeroUdpChecksumStaysZero) {
  const FrameBuilder request = FromClient(kV4, 17, 53);
  Run({request.Build()});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(Get16(sent()[0].frame, L4(sent()[0].frame) + 6), 0);
}

TEST_F(NatTest, AWrongChecksumStaysWrong) {
  FrameBuilder request = FromClient(kV4, 6, 80);
  Bytes frame = Frame(request);
  frame[frame.size() - 1] ^= 1;
  Run({frame});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_NE(Get16(sent()[0].frame, L4(frame) + 16), L4Checksum(sent()[0].frame));
}

TEST_F(NatTest, TheHostsOwnTrafficWithABackendIsTheHosts) {
  const FrameBuilder reply = {.source = kV4.backend,
                              .destination = "192.0.2.2",
                              .protocol = 6,
                              .source_port = 80,
                              .destination_port = 5000,
                              .tcp_flags = kAck};
  Run({Frame(reply)});
  EXPECT_EQ(punted().size(), 1u);
}

TEST_F(NatTest, OtherPacketsOfABackendAreTheHosts) {
  FrameBuilder other = {.source = kV4.backend, .destination = kV4.client, .source_port = 22, .tcp_flags = kAck};
  Run({Frame(other)});
  EXPECT_EQ(punted().size(), 1u);
}

TEST_F(NatTest, FullNatBothWays) {
  for (const Family* f : {&kV4, &kV6}) {
    for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 81}, {17, 54}}) {
      FrameBuilder request = FromClient(*f, protocol, port);
      Run({Frame(request)});
      ASSERT_EQ(sent().size(), 1u);
      const uint16_t local_port = Get16(sent()[0].frame, L4(sent()[0].frame));
      EXPECT_GE(local_port, 20000);
      EXPECT_LE(local_port, 20099);
      EXPECT_EQ(sent()[0].frame, Changed(request, f->local, local_port, f->backend, port, Backend(f->backend_mac)));
      EXPECT_EQ(record(0).rung, fwd::Rung::kScheduler);
      FrameBuilder reply = request;
      reply.source = f->backend;
      reply.source_port = port;
      reply.destination = f->local;
      reply.destination_port = local_port;
      reply.tcp_flags = kSyn | kAck;
      Run({Frame(reply)});
      ASSERT_EQ(sent().size(), 1u);
      EXPECT_EQ(sent()[0].frame, Changed(reply, f->vip, port, f->client, 40000, kRouter));
      request.tcp_flags = kAck;
      Run({Frame(request)});
      ASSERT_EQ(sent().size(), 1u);
      EXPECT_EQ(sent()[0].frame, Changed(request, f->local, local_port, f->backend, port, Backend(f->backend_mac)));
      EXPECT_EQ(record(0).rung, fwd::Rung::kConnectionTable);
    }
  }
  EXPECT_EQ(tables_.nat().table().in_use(), 4u);
  EXPECT_EQ(counters_.nat.replies.Value(), 4u);
}

TEST_F(NatTest, FullNatBetweenFamilies) {
  for (const auto& [client, inside] : {std::pair{&kV4, &kV6}, std::pair{&kV6, &kV4}}) {
    const PoolId pool = inside == &kV4 ? pool_v4_ : pool_v6_;
    AddNat(*client, 6, 90, pool, fwd::ForwardingMode::kFullNat);
    AddNat(*client, 17, 91, pool, fwd::ForwardingMode::kFullNat);
  }
  Rebuild();
  for (const auto& [client, inside] : {std::pair{&kV4, &kV6}, std::pair{&kV6, &kV4}}) {
    for (const auto& [protocol, port] : {std::pair<uint8_t, uint16_t>{6, 90}, {17, 91}}) {
      const FrameBuilder request = FromClient(*client, protocol, port);
      Run({Frame(request)});
      ASSERT_EQ(sent().size(), 1u);
      const Bytes out = sent()[0].frame;
      ASSERT_EQ(IsV4(out), inside == &kV4);
      const uint16_t local_port = Get16(out, L4(out));
      const uint8_t checksum_at = protocol == 6 ? 16 : 6;
      EXPECT_EQ(Get16(out, L4(out) + checksum_at), L4Checksum(out));
      FrameBuilder expected = request;
      expected.source = inside->local;
      expected.source_port = local_port;
      expected.destination = inside->backend;
      --expected.hop_limit;
      Bytes want = To(Frame(expected), Backend(inside->backend_mac));
      if (IsV4(want)) {  // the id is free to be chosen, and the packet may be fragmented
        std::copy_n(out.begin() + kIp + 4, 4, want.begin() + kIp + 4);
        std::copy_n(out.begin() + kIp + 10, 2, want.begin() + kIp + 10);
      }
      EXPECT_EQ(out, want);
      FrameBuilder reply = expected;
      std::swap(reply.source, reply.destination);
      std::swap(reply.source_port, reply.destination_port);
      Run({Frame(reply)});
      ASSERT_EQ(sent().size(), 1u);
      const Bytes back = sent()[0].frame;
      ASSERT_EQ(IsV4(back), client == &kV4);
      EXPECT_EQ(Get16(back, L4(back)), port);
      EXPECT_EQ(Get16(back, L4(back) + 2), 40000);
      EXPECT_EQ(Get16(back, L4(back) + checksum_at), L4Checksum(back));
    }
  }
}

TEST_F(NatTest, PortsOfBackends) {
  for (fwd::BackendSpec& backend : fixture_.spec().backends) backend.info.nat_port = 8080;
  // Now TCP 80 is the only one whose replies come from 8080 of this protocol with destination NAT.
  Rebuild();
  const FrameBuilder request = FromClient(kV4, 6, 80);
  Run({Frame(request)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame, Changed(request, kV4.client, 40000, kV4.backend, 8080, Backend(11)));
  FrameBuilder reply = request;
  reply.source = kV4.backend;
  reply.source_port = 8080;
  reply.destination = kV4.client;
  reply.destination_port = 40000;
  Run({Frame(reply)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame, Changed(reply, kV4.vip, 80, kV4.client, 40000, kRouter));
}

// Two VIPs on one backend port: the flow's session knows which of them the client talks to.
TEST_F(NatTest, AmbiguousRepliesNeedTheirSession) {
  for (fwd::BackendSpec& backend : fixture_.spec().backends) backend.info.nat_port = 8080;
  AddNat(kV4, 6, 82, pool_v4_, fwd::ForwardingMode::kNat);
  Rebuild();
  FrameBuilder reply = {.source = kV4.backend,
                        .destination = kV4.client,
                        .source_port = 8080,
                        .destination_port = 40001,
                        .tcp_flags = kSyn | kAck};
  ExpectDrop(Frame(reply), DropReason::kNatUnknownReply);
  uint16_t client_port = 40001;
  for (const uint16_t port : {uint16_t{80}, uint16_t{82}}) {
    FrameBuilder syn = FromClient(kV4, 6, port);
    syn.source_port = client_port;
    Run({Frame(syn)});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame, Changed(syn, kV4.client, client_port, kV4.backend, 8080, Backend(11)));
    reply.destination_port = client_port++;
    Run({Frame(reply)});
    ASSERT_EQ(sent().size(), 1u);
    EXPECT_EQ(sent()[0].frame, Changed(reply, kV4.vip, port, kV4.client, reply.destination_port, kRouter));
  }
  // The backend could not tell these from the flows that are there.
  FrameBuilder clash = FromClient(kV4, 6, 82);
  clash.source_port = 40001;
  ExpectDrop(Frame(clash), DropReason::kNatTupleInUse);
}

// A flow that began when its replies were unambiguous is found when they no longer are, and the other way round.
TEST_F(NatTest, FlowsOutliveAChangeOfWhatIsAmbiguous) {
  fixture_.spec().backends[backend_v4_.index()].info.nat_port = 8080;
  const BackendId second = fixture_.AddBackend(pool_v4_, "192.0.2.12");
  fixture_.spec().backends[second.index()].info.nat_port = 8080;
  Rebuild();
  FrameBuilder request = FromClient(kV4, 6, 80);
  request.tcp_flags = kSyn;
  Run({Frame(request)});
  const BackendId chosen = record(0).backend;
  FrameBuilder reply = request;
  reply.source = chosen == second ? "192.0.2.12" : "192.0.2.11";
  reply.source_port = 8080;
  reply.destination = kV4.client;
  reply.destination_port = 40000;
  reply.tcp_flags = kAck;
  const VipId other = AddNat(kV4, 6, 82, pool_v4_, fwd::ForwardingMode::kNat);
  // The scheduler would choose the other one now.
  fixture_.Drain(chosen);
  Rebuild();
  Run({Frame(reply)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame, Changed(reply, kV4.vip, 80, kV4.client, 40000, kRouter));
  request.tcp_flags = kAck;
  Run({Frame(request)});
  EXPECT_EQ(record(0).backend, chosen);
  // A flow of the time between, without an entry in the connection table.
  FrameBuilder between = request;
  between.source_port = 40001;
  between.tcp_flags = kSyn;
  Run({Frame(between)});
  const BackendId between_backend = record(0).backend;
  EXPECT_NE(between_backend, chosen);
  fixture_.spec().vips.erase(fixture_.spec().vips.begin() + other.value());
  fixture_.Undrain(chosen, pool_v4_);
  fixture_.Drain(between_backend);
  Rebuild();
  between.tcp_flags = kAck;
  Run({Frame(between)});
  EXPECT_EQ(record(0).backend, between_backend);
}

TEST_F(NatTest, NoHopLeftIsAnsweredBothWays) {
  for (const Family* f : {&kV4, &kV6}) {
    const std::string own = f == &kV4 ? "192.0.2.2" : "2001:db8::2";
    FrameBuilder request = FromClient(*f, 6, 80);
    request.hop_limit = 1;
    FrameBuilder reply = {.source = f->backend, .destination = f->client, .source_port = 80, .destination_port = 40000};
    reply.hop_limit = 1;
    Run({Frame(request), Frame(reply)});
    ASSERT_EQ(sent().size(), 2u);
    for (const auto& answer : sent()) {
      const Bytes& frame = answer.frame;
      const size_t at = L4(frame);
      EXPECT_EQ(frame[at], IsV4(frame) ? 11 : 3);
      const auto source = net::IpAddress::FromBytes(IsV4(frame) ? net::Family::kIpv4 : net::Family::kIpv6,
                                                    frame.data() + kIp + (IsV4(frame) ? 12 : 8));
      EXPECT_EQ(source.ToString(), own);
    }
  }
  EXPECT_EQ(counters_.answers[static_cast<size_t>(fwd::AnswerKind::kTimeExceeded)].Value(), 4u);
}

TEST_F(NatTest, WhatDoesNotFitIsAnsweredBothWays) {
  node_.ports[0].mtu_bytes = 1400;
  FrameBuilder request = FromClient(kV6, 6, 80);
  request.payload = 1380;
  FrameBuilder reply = {.source = kV6.backend, .destination = kV6.client, .source_port = 80, .payload = 1380};
  Run({Frame(request), Frame(reply)});
  ASSERT_EQ(sent().size(), 2u);
  for (const auto& answer : sent()) {
    EXPECT_EQ(answer.frame[L4(answer.frame)], 2);
    EXPECT_EQ(Get32(answer.frame, L4(answer.frame) + 4), 1400u);
  }
}

TEST_F(NatTest, TheMssIsClampedBothWays) {
  const Bytes mss = {2, 4, 0x23, 0x28};  // 9000
  for (const Family* f : {&kV4, &kV6}) {
    FrameBuilder syn = FromClient(*f, 6, 80);
    FrameBuilder synack = {.source = f->backend,
                           .destination = f->client,
                           .source_port = 80,
                           .destination_port = 40000,
                           .tcp_flags = kSyn | kAck};
    Run({Segment{.frame = syn, .options = mss}.Build(), Segment{.frame = synack, .options = mss}.Build()});
    ASSERT_EQ(sent().size(), 2u);
    for (const auto& out : sent()) {
      EXPECT_EQ(Get16(out.frame, L4(out.frame) + 22), f == &kV4 ? 1460 : 1440);
      EXPECT_EQ(Get16(out.frame, L4(out.frame) + 16), L4Checksum(out.frame));
    }
  }
}

TEST_F(NatTest, SegmentsOfNoConnectionAndRepliesOfNoFlow) {
  FrameBuilder stray = FromClient(kV4, 6, 81);
  for (const uint8_t flags : {kAck, kFin, kRst, uint8_t{kSyn | kAck}}) {
    stray.tcp_flags = flags;
    ExpectDrop(Frame(stray), DropReason::kNatNoSession);
  }
  FrameBuilder reply = {.source = kV4.backend, .destination = kV4.local, .source_port = 81, .destination_port = 20005};
  ExpectDrop(Frame(reply), DropReason::kNatUnknownReply);
  reply.destination_port = 20100;  // beyond the range: the host's
  Run({Frame(reply)});
  EXPECT_EQ(punted().size(), 1u);
}

TEST_F(NatTest, PortsRunOutForNewFlowsOnly) {
  const auto establish = [this](uint16_t client_port) {
    const uint16_t local = BeginFull(kV4, client_port);
    Segment synack = {.frame = {.source = kV4.backend, .destination = kV4.local, .source_port = 81}, .sequence = 500};
    synack.frame.destination_port = local;
    synack.frame.tcp_flags = kSyn | kAck;
    Segment ack = {.frame = FromClient(kV4, 6, 81), .sequence = 2, .acknowledgement = 501};
    ack.frame.source_port = client_port;
    ack.frame.tcp_flags = kAck;
    Run({synack.Build(), ack.Build()});
    return local;
  };
  const uint16_t first = establish(1000);
  ASSERT_NE(first, 0);
  for (uint16_t port = 1001; port < 1100; ++port) ASSERT_NE(establish(port), 0) << port;
  FrameBuilder more = FromClient(kV4, 6, 81);
  more.source_port = 1100;
  more.tcp_flags = kSyn;
  ExpectDrop(Frame(more), DropReason::kNatPortsExhausted);
  EXPECT_EQ(BeginFull(kV4, 1000), first);  // a retransmission finds its session
  // Another protocol has ports of its own.
  FrameBuilder datagram = FromClient(kV4, 17, 54);
  Run({Frame(datagram)});
  EXPECT_EQ(sent().size(), 1u);
  now_s_ += 7200;
  Run({Frame(more)});  // the time of the others is over
  EXPECT_EQ(sent().size(), 1u);
}

// A spoofed flow that has the only port left gives way; one that showed life does not.
TEST_F(NatTest, UnconfirmedFlowsGiveTheirPorts) {
  std::vector<uint16_t> ports;
  for (uint16_t port = 1000; port < 1250; ++port) ports.push_back(BeginFull(kV4, port));
  EXPECT_THAT(ports, testing::Not(testing::Contains(0)));
  EXPECT_EQ(tables_.nat().table().in_use(), 100u);
  EXPECT_EQ(Dropped(DropReason::kNatPortsExhausted), 0u);
}

TEST_F(NatTest, ASessionEndsWithItsBackend) {
  const uint16_t local = BeginFull(kV4);
  fixture_.Remove(backend_v4_);
  fixture_.AddBackend(pool_v4_, "192.0.2.12");
  Rebuild();
  FrameBuilder reply = {.source = kV4.backend, .destination = kV4.local, .source_port = 81, .destination_port = local};
  ExpectDrop(Frame(reply), DropReason::kNatUnknownReply);
  EXPECT_EQ(tables_.nat().table().in_use(), 0u);
  FrameBuilder later = FromClient(kV4, 6, 81);
  later.tcp_flags = kAck;
  ExpectDrop(Frame(later), DropReason::kNatNoSession);
}

TEST_F(NatTest, ADrainingBackendKeepsItsSessions) {
  const uint16_t local = BeginFull(kV4);
  fixture_.AddBackend(pool_v4_, "192.0.2.12");
  fixture_.Drain(backend_v4_);
  Rebuild();
  FrameBuilder later = FromClient(kV4, 6, 81);
  later.tcp_flags = kAck;
  Run({Frame(later)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame, Changed(later, kV4.local, local, kV4.backend, 81, Backend(11)));
}

// With ten times more spoofed SYNs than there is room for, a confirmed session stays.
TEST_F(NatTest, AFloodOfSynsMovesNoEstablishedSession) {
  const uint16_t local = BeginFull(kV4);
  FrameBuilder synack = {.source = kV4.backend, .destination = kV4.local, .source_port = 81, .destination_port = local};
  synack.tcp_flags = kSyn | kAck;
  Segment ack = {.frame = FromClient(kV4, 6, 81), .sequence = 2, .acknowledgement = 501};
  ack.frame.tcp_flags = kAck;
  Run({Segment{.frame = synack, .sequence = 500, .acknowledgement = 2}.Build(), ack.Build()});
  ASSERT_EQ(sent().size(), 2u);
  for (uint16_t i = 0; i < 4000; ++i) {
    FrameBuilder spoofed = FromClient(kV6, 6, 81);
    spoofed.source_port = static_cast<uint16_t>(1024 + i);
    Run({Frame(spoofed)});
  }
  EXPECT_LE(tables_.nat().table().in_use(), 101u);
  EXPECT_GT(counters_.table_nat.unconfirmed_full.Value(), 3000u);
  Run({ack.Build()});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(Get16(sent()[0].frame, L4(sent()[0].frame)), local);
}

TEST_F(NatTest, NoRouteToTheClientAndNoNeighbour) {
  const FrameBuilder reply = {.source = kV4.backend, .destination = kV4.client, .source_port = 80};
  fixture_.SetClientRoutes(std::make_shared<const fwd::ClientRoutes>());
  Rebuild();
  ExpectDrop(Frame(reply), DropReason::kNoClientRoute);
}

TEST_F(NatTest, SegmentedBuffersArePassedOn) {
  FrameBuilder request = FromClient(kV4, 6, 80);
  request.payload = 1000;
  const Bytes frame = Frame(request);
  RunMbufs({MakeMbuf(frame, 200)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(sent()[0].frame, Changed(request, kV4.client, 40000, kV4.backend, 80, Backend(11)));
}

TEST_F(NatTest, AChecksumThatIpv6DemandsIsSummedOverAllBuffers) {
  AddNat(kV4, 17, 91, pool_v6_, fwd::ForwardingMode::kFullNat);
  Rebuild();
  FrameBuilder request = FromClient(kV4, 17, 91);
  // In one piece and, beyond the MTU, in fragments whose sum is that of the whole.
  for (const uint16_t payload : {uint16_t{1000}, uint16_t{1465}}) {
    request.payload = payload;
    Run({Frame(request)});
    const auto with_checksum = sent();
    ASSERT_EQ(with_checksum.size(), payload == 1000 ? 1u : 2u);
    for (const size_t first : {size_t{42}, size_t{200}, size_t{201}}) {
      RunMbufs({MakeMbuf(request.Build(), first)});
      ASSERT_EQ(sent().size(), with_checksum.size()) << first;
      for (size_t i = 0; i < with_checksum.size(); ++i) EXPECT_EQ(sent()[i].frame, with_checksum[i].frame) << first;
    }
  }
}

// A session may end while a packet of it is still on its way through the stages, and its number be another flow's: the
// packet must not leave as one of that.
TEST_F(NatTest, ASessionThatEndsWithinItsBurst) {
  for (uint16_t port = 1000; port < 1100; ++port) ASSERT_NE(BeginFull(kV4, port), 0);
  FrameBuilder oldest = FromClient(kV4, 6, 81);
  oldest.source_port = 1000;
  FrameBuilder newest = FromClient(kV4, 6, 81);
  newest.source_port = 5000;
  Run({Frame(oldest), Frame(newest)});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(record(0).reason, DropReason::kNatNoSession);
  EXPECT_EQ(record(1).fate, Fate::kForwarded);
}

}  // namespace
}  // namespace sluice::test::nat
