#include <gmock/gmock.h>

#include <set>
#include <string>
#include <utility>

#include "tests/stage/nat_fixture.h"

// Which worker the packets of translated flows belong to.
namespace sluice::test::nat {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

class NatWorkerTest : public NatTest {
 protected:
  NatWorkerTest() { worker_count_ = 2; }

  // Runs a frame on worker 0; returns who dealt with it: that one, or the one it was handed over to.
  WorkerId OwnerOf(const Bytes& frame) {
    worker_ = WorkerId(0);
    Run({frame});
    const auto moved = sink_.TakeHandedOver();
    if (moved.empty()) return WorkerId(0);
    EXPECT_THAT(sent(), IsEmpty());
    worker_ = moved[0].owner;
    Resume({moved[0].mbuf});
    EXPECT_THAT(sink_.TakeHandedOver(), IsEmpty()) << "the owner keeps what is its own";
    return worker_;
  }

  static FrameBuilder Reply(FrameBuilder request, const Family& f, uint16_t port) {
    request.source = f.backend;
    request.destination = f.client;
    request.destination_port = std::exchange(request.source_port, port);
    return request;
  }
};

TEST_F(NatWorkerTest, BothDirectionsOfDestinationNatMeet) {
  for (const Family* f : {&kV4, &kV6}) {
    std::set<WorkerId> owners;
    for (uint16_t port = 40000; port < 40030; ++port) {
      FrameBuilder request = FromClient(*f, 6, 80);
      request.source_port = port;
      request.tcp_flags = kAck;
      const WorkerId owner = OwnerOf(Frame(request));
      ASSERT_THAT(sent(), SizeIs(1));
      EXPECT_EQ(OwnerOf(Frame(Reply(request, *f, 80))), owner);
      ASSERT_THAT(sent(), SizeIs(1));
      // So do errors about either.
      const std::string router = f == &kV4 ? "198.51.100.77" : "2001:db8:c::77";
      EXPECT_EQ(OwnerOf(Error(router, f->vip, Frame(Between(f->vip, 80, f->client, port)))), owner);
      EXPECT_THAT(sent(), SizeIs(1));
      EXPECT_EQ(OwnerOf(Error(router, f->client, Frame(Between(f->client, port, f->backend, 80)))), owner);
      EXPECT_THAT(sent(), SizeIs(1));
      owners.insert(owner);
    }
    EXPECT_THAT(owners, SizeIs(2));
  }
}

// Not where they are handed over from, too.
TEST_F(NatWorkerTest, AVipCountsPacketsWhereTheyAreDealtWith) {
  constexpr uint16_t kRequests = 30;
  size_t moved = 0;
  for (uint16_t i = 0; i < kRequests; ++i) {
    FrameBuilder request = FromClient(kV4, 6, 80);
    request.source_port = static_cast<uint16_t>(40000 + i);
    request.tcp_flags = kAck;
    moved += OwnerOf(Frame(request)) != WorkerId(0) ? 1 : 0;
  }
  EXPECT_GT(moved, 0u);
  uint64_t counted = 0;
  for (size_t vip = 0; vip < counters_.vip_count; ++vip) counted += counters_.vips[vip].requests.packets.Value();
  EXPECT_EQ(counted, kRequests);
}

TEST_F(NatWorkerTest, FlowsWithoutStateStayWhereTheyArrive) {
  for (fwd::VipSpec& vip : fixture_.spec().vips) vip.entry.tracked = false;
  Rebuild();
  for (uint16_t port = 40000; port < 40030; ++port) {
    FrameBuilder request = FromClient(kV4, 6, 80);
    request.source_port = port;
    EXPECT_EQ(OwnerOf(Frame(request)), WorkerId(0));
    EXPECT_EQ(OwnerOf(Frame(Reply(request, kV4, 80))), WorkerId(0));
  }
}

TEST_F(NatWorkerTest, TheLocalPortSaysWhoseAReplyOfFullNatIs) {
  for (const auto& [port, owner] : {std::pair{20000, 0}, {20049, 0}, {20050, 1}, {20099, 1}}) {
    const FrameBuilder reply = {.source = kV4.backend,
                                .destination = kV4.local,
                                .source_port = 81,
                                .destination_port = static_cast<uint16_t>(port)};
    EXPECT_EQ(OwnerOf(Frame(reply)), WorkerId(static_cast<uint8_t>(owner))) << port;
    EXPECT_EQ(record(0).reason, DropReason::kNatUnknownReply);
  }
}

TEST_F(NatWorkerTest, AFullNatFlowIsItsWhoGetsItsFirstPacket) {
  for (uint16_t port = 40000; port < 40010; ++port) {
    FrameBuilder syn = FromClient(kV4, 6, 81);
    syn.source_port = port;
    EXPECT_EQ(OwnerOf(Frame(syn)), WorkerId(0));
    ASSERT_THAT(sent(), SizeIs(1));
  }
}

// An error about a flow that this worker does not know goes round; the last one asked drops it.
TEST_F(NatWorkerTest, ErrorsAboutFullNatAskEachWorker) {
  const Bytes error = Error("198.51.100.77", kV4.vip, Frame(Between(kV4.vip, 81, kV4.client, 40000)));
  EXPECT_EQ(OwnerOf(error), WorkerId(1));
  EXPECT_EQ(record(0).reason, DropReason::kVipIcmp);
  worker_ = WorkerId(0);
  ASSERT_NE(BeginFull(kV4), 0);
  EXPECT_EQ(OwnerOf(error), WorkerId(0));
  EXPECT_THAT(sent(), SizeIs(1));
}

}  // namespace
}  // namespace sluice::test::nat
