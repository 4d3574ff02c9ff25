// Fragments between the families: packets that are cut because IPv6 routers would not, and fragments that come as such,
// with several workers. What the bytes of the headers must be is shown by golden cases.

#include <gmock/gmock.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <map>
#include <utility>

#include "tests/stage/nat_fixture.h"

namespace sluice::test::nat {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr uint16_t kMore = 0x2000;

// The fragments put together again: a frame without fragmentation, by RFC 791 and RFC 8200.
Bytes Together(const std::vector<RecordingSink::Sent>& sent) {
  std::map<size_t, Bytes> parts;
  Bytes whole;
  for (const RecordingSink::Sent& each : sent) {
    const Bytes& frame = each.frame;
    const bool v4 = IsV4(frame);
    const size_t headers = kIp + (v4 ? 20 : 48);
    const size_t offset = v4 ? (Get16(frame, kIp + 6) & 0x1fffu) * 8 : Get16(frame, kIp + 42) & 0xfff8u;
    parts[offset] = Bytes(frame.begin() + static_cast<ptrdiff_t>(headers), frame.end());
    if (offset != 0) continue;
    whole = Bytes(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(v4 ? headers : headers - 8));
    if (!v4) whole[kIp + 6] = frame[kIp + 40];
  }
  const size_t begin = whole.size();
  for (const auto& [offset, part] : parts) {
    EXPECT_EQ(whole.size() - begin, offset);
    whole.insert(whole.end(), part.begin(), part.end());
  }
  Put16(whole, kIp + (IsV4(whole) ? 2 : 4), whole.size() - (IsV4(whole) ? kIp : begin));
  return whole;
}

// The parts of a frame with `size` bytes behind the IP header in each.
std::vector<Bytes> Cut(const Bytes& frame, size_t size, uint16_t id) {
  const size_t l4 = L4(frame);
  std::vector<Bytes> out;
  for (size_t at = 0; at < frame.size() - l4; at += size) {
    const size_t end = std::min(at + size, frame.size() - l4);
    const bool more = end < frame.size() - l4;
    Bytes part(frame.begin(), frame.begin() + static_cast<ptrdiff_t>(l4));
    if (IsV4(frame)) {
      Put16(part, kIp + 2, 20 + end - at);
      Put16(part, kIp + 4, id);
      Put16(part, kIp + 6, at / 8 | (more ? kMore : 0));
      SealIpv4(part);
    } else {
      Put16(part, kIp + 4, 8 + end - at);
      part.insert(part.end(), {std::exchange(part[kIp + 6], uint8_t{44}), 0, 0, 0, 0, 0, 0, 0});
      Put16(part, l4 + 2, at | (more ? 1 : 0));
      Put16(part, l4 + 6, id);
    }
    part.insert(part.end(), frame.begin() + static_cast<ptrdiff_t>(l4 + at),
                frame.begin() + static_cast<ptrdiff_t>(l4 + end));
    out.push_back(std::move(part));
  }
  return out;
}

class NatFamilyTest : public NatTest {
 protected:
  NatFamilyTest() {
    AddNat(kV4, 17, 91, pool_v6_, fwd::ForwardingMode::kFullNat);
    AddNat(kV6, 17, 91, pool_v4_, fwd::ForwardingMode::kFullNat);
    Rebuild();
  }

  static FrameBuilder Request(const Family& f, size_t payload) {
    FrameBuilder request = FromClient(f, 17, 91);
    request.payload = payload;
    return request;
  }

  // Lets the frame arrive at a worker and go from worker to worker until it leaves or is held.
  std::vector<RecordingSink::Sent> Deliver(const Bytes& frame, WorkerId worker) {
    worker_ = worker;
    Run({frame});
    std::vector<RecordingSink::Sent> left = sent();
    for (auto moved = sink_.TakeHandedOver(); !moved.empty(); moved = sink_.TakeHandedOver()) {
      for (const auto& [owner, mbuf] : moved) {
        worker_ = owner;
        Resume({mbuf});
        left.insert(left.end(), sent().begin(), sent().end());
      }
    }
    return left;
  }
};

TEST_F(NatFamilyTest, WhatIpv6RoutersWouldNotCutIsCutHere) {
  for (const bool has_checksum : {true, false}) {
    const FrameBuilder request = Request(kV4, 1950);
    const Bytes frame = has_checksum ? Frame(request) : request.Build();
    const uint64_t originated = counters_.originated.Value();
    Run({frame});
    ASSERT_THAT(sent(), SizeIs(2));
    EXPECT_EQ(counters_.originated.Value(), originated + 1);
    for (const auto& piece : sent()) EXPECT_LE(piece.frame.size(), kIp + 1500);
    const Bytes whole = Together(sent());
    EXPECT_EQ(Get16(whole, L4(whole) + 6), L4Checksum(whole));
    EXPECT_EQ(whole.size(), frame.size() + 20);
  }
  RunMbufs({MakeMbuf(Frame(Request(kV4, 4000)), 333)});
  ASSERT_THAT(sent(), SizeIs(3));
  const Bytes whole = Together(sent());
  EXPECT_EQ(Get16(whole, L4(whole) + 6), L4Checksum(whole));
}

TEST_F(NatFamilyTest, WithoutBuffersForItsPiecesAPacketIsDropped) {
  RunWithoutBuffers(Frame(Request(kV4, 1600)));
  EXPECT_EQ(Dropped(DropReason::kFragmentNoBuffer), 1u);
  EXPECT_THAT(sent(), IsEmpty());
}

// A port towards IPv4 backends whose MTU is less than what every IPv6 host may send.
TEST_F(NatFamilyTest, WhatIpv6HostsMaySendIsCutForASmallerLink) {
  node_.ports[0].mtu_bytes = 576;
  const Bytes frame = Frame(Request(kV6, 1280 - 48));
  Run({frame});
  ASSERT_THAT(sent(), SizeIs(3));
  for (const auto& piece : sent()) EXPECT_LE(piece.frame.size(), kIp + 576);
  const Bytes whole = Together(sent());
  EXPECT_EQ(Get16(whole, L4(whole) + 6), L4Checksum(whole));
  Run({Frame(Request(kV6, 1280 - 47))});
  ASSERT_THAT(sent(), SizeIs(1));
  EXPECT_EQ(record(0).fate, Fate::kAnswered);
  EXPECT_EQ(Get32(sent()[0].frame, kIp + 44), 1280u);
}

// Two workers: a fragment meets the others of its packet first, and then its flow.
TEST_F(NatFamilyTest, FragmentsFindTheirPacketsAndTheirFlowsWorker) {
  worker_count_ = 2;
  for (const auto& [client, inside] : {std::pair{&kV4, &kV6}, std::pair{&kV6, &kV4}}) {
    const auto begun = Deliver(Frame(Request(*client, 10)), WorkerId(0));
    ASSERT_THAT(begun, SizeIs(1));
    FrameBuilder reply = Request(*client, 2000);
    reply.source = inside->backend;
    reply.destination = inside->local;
    reply.source_port = 91;
    reply.destination_port = Get16(begun[0].frame, L4(begun[0].frame));
    for (const Bytes& packet : {Frame(Request(*client, 2000)), Frame(reply)}) {
      for (uint16_t id = 0; id < 20; ++id) {
        std::vector<Bytes> parts = Cut(packet, 800, id);
        std::vector<RecordingSink::Sent> left;
        for (size_t i = 0; i < parts.size(); ++i) {
          const auto out = Deliver(parts[i], WorkerId(static_cast<uint8_t>((id + i) % 2)));
          left.insert(left.end(), out.begin(), out.end());
        }
        ASSERT_THAT(left, SizeIs(3));
        const Bytes whole = Together(left);
        EXPECT_NE(IsV4(whole), IsV4(packet));
        EXPECT_EQ(Get16(whole, L4(whole) + 6), L4Checksum(whole));
      }
    }
  }
  EXPECT_GT(counters_.handed_over.Value(), 20u);
}

}  // namespace
}  // namespace sluice::test::nat
