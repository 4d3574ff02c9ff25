// That bursts of packets whose sessions are known are translated as by the stages, wherever there is another packet
// among them: through two directors that differ in nothing but in having the fast path. Flows are of IPv4 with even
// seeds, of IPv6 with odd ones.

#include "dataplane/stage/fast_known.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/stage/nat_fixture.h"
#include "tests/stage/two_directors.h"

namespace sluice::test {
namespace {

// What a burst has beside packets of known sessions: other packets, and such as could be taken for these.
enum class Odd {
  kSyn,
  kNoAck,
  kClientEnds,
  kBackendEnds,
  kClientResets,
  kBackendResets,
  kBeginsAnew,  // behind an RST of the same flow
  kUnknownFlow,
  kUnknownAnswer,
  kNoHopLeft,
  kLastHop,
  kTooLong,
  kOtherWay,
  kWithoutSession,
  kOtherFamily,
  kFragment,
  kError,
  kMartian,
  kBadIpHeader,
  kCutHeader,
  kTagged,
  kCount
};

class FastKnownTest : public TwoDirectorsTest {
 protected:
  using Mode = fwd::ForwardingMode;
  using Counts = std::vector<size_t>;

  // A packet from either side, as it arrives.
  struct Flow {
    Bytes from_client;
    Bytes from_backend;
  };

  FastKnownTest() {
    for (stage::PortTraits& port : node_.ports) port.mtu_bytes = kMtu;
    for (const bool v4 : {true, false}) {
      // Two VIPs with the same backends: what these send may be either's, so each flow has a session.
      const PoolId shared = AddPool(v4);
      for (const int last : {20, 21}) {
        fixture_.AddVip(Vip(v4, last), 6, 80, shared, Mode::kNat);
        fixture_.AddVip(Vip(v4, last), 17, 53, shared, Mode::kNat);
      }
      fixture_.AddVip(Vip(v4, 20), 6, 81, AddPool(v4), Mode::kFullNat);
      fixture_.AddVip(Vip(v4, 20), 17, 54, AddPool(v4), Mode::kFullNat);
      fixture_.AddVip(Vip(v4, 20), 6, kWithoutSessionPort, AddPool(v4), Mode::kNat);
      fixture_.AddVip(Vip(v4, 20), 6, kOtherWayPort, AddPool(v4), Mode::kIpip);
    }
    Rebuild();
  }

  static std::string Vip(bool v4, int last) { return (v4 ? "203.0.113." : "2001:db8:f::") + std::to_string(last); }

  void ExpectAlike(const std::vector<Bytes>& frames) {
    const std::vector<uint64_t> offloads(frames.size(), RTE_MBUF_F_RX_IP_CKSUM_UNKNOWN);
    const std::vector<size_t> segments(frames.size(), SIZE_MAX);
    RunOn(*common_, frames, offloads, segments);
    RunOn(*stages_, frames, offloads, segments);
    ExpectEqual(*common_, *stages_, frames.size());
  }

  std::string OtherBackend(size_t from) { return (v4_ ? "192.0.2." : "2001:db8::") + std::to_string(from + Draw(50)); }

  // As the other side gets it.
  Bytes Send(const Bytes& frame) {
    ExpectAlike({frame});
    EXPECT_EQ(common_->sent.size(), 1u);
    return common_->sent.empty() ? frame : common_->sent[0].frame;
  }

  static Bytes AnswerTo(Bytes frame) {
    const size_t address_bytes = nat::IsV4(frame) ? 4 : 16;
    const size_t l4 = nat::L4(frame);
    uint8_t* const source = &frame[l4 - 2 * address_bytes];
    std::swap_ranges(source, source + address_bytes, source + address_bytes);
    std::swap_ranges(&frame[l4], &frame[l4 + 2], &frame[l4 + 2]);
    std::copy_n(kOwnMac, 6, frame.begin());
    return frame;
  }

  static bool IsTcp(const Bytes& frame) { return frame[nat::kIp + (nat::IsV4(frame) ? 9 : 6)] == 6; }

  static Bytes WithFlags(Bytes frame, uint8_t flags, uint32_t sequence, uint32_t acknowledgement) {
    if (!IsTcp(frame)) return nat::WithChecksum(std::move(frame));
    const size_t l4 = nat::L4(frame);
    frame[l4 + 13] = flags;
    nat::Put32(frame, l4 + 4, sequence);
    nat::Put32(frame, l4 + 8, acknowledgement);
    return nat::WithChecksum(std::move(frame));
  }

  FrameBuilder FromClient(bool v4, uint8_t protocol, uint16_t port) {
    ++clients_;
    return {.source = (v4 ? "198.51.100." : "2001:db8:c::") + std::to_string(1 + clients_ % 99),
            .destination = Vip(v4, port == 81 || port == 54 || port >= kLastFullNatPort || Draw(3) != 0 ? 20 : 21),
            .protocol = protocol,
            .source_port = static_cast<uint16_t>(1024 + clients_ / 99),
            .destination_port = port,
            .payload = 12 + Draw(30),
            .padding = Draw(8)};
  }

  // A flow whose session is known from both sides.
  Flow Open(bool v4, uint8_t protocol, uint16_t port) {
    Bytes frame = FromClient(v4, protocol, port).Build();
    Flow flow = {WithFlags(frame, nat::kAck, 1, 1), {}};
    const Bytes sent = Send(WithFlags(frame, nat::kSyn, 0, 0));
    flow.from_backend = WithFlags(AnswerTo(sent), nat::kAck, 1, 1);
    Send(WithFlags(flow.from_backend, nat::kSyn | nat::kAck, 0, 1));
    for (int i = 0; i < 2; ++i) {
      Send(flow.from_client);
      Send(flow.from_backend);
    }
    return flow;
  }
  void OpenAll() {
    flows_.clear();
    for (int i = 0; i < 3; ++i) {
      flows_.push_back(Open(v4_, 6, 80));
      flows_.push_back(Open(v4_, 6, 81));
    }
  }

  static void SetHops(Bytes& frame, uint8_t hops) {
    frame[nat::kIp + (nat::IsV4(frame) ? 8 : 7)] = hops;
    if (nat::IsV4(frame)) nat::SealIpv4(frame);
  }

  // What the IP header says of the packet's length, as it is.
  static void SetLength(Bytes& frame) {
    if (nat::IsV4(frame)) {
      nat::Put16(frame, nat::kIp + 2, frame.size() - nat::kIp);
      nat::SealIpv4(frame);
    } else {
      nat::Put16(frame, nat::kIp + 4, frame.size() - nat::kIp - 40);
    }
  }

  Bytes KnownFrame() {
    const Flow& flow = Pick(flows_);
    Bytes frame = WithFlags(Draw(2) == 0 ? flow.from_client : flow.from_backend, Draw(2) == 0 ? 0x10 : 0x18,
                            static_cast<uint32_t>(random_()), static_cast<uint32_t>(Draw(4)));
    SetHops(frame, static_cast<uint8_t>(2 + Draw(254)));
    // Wrong ones stay wrong, and a datagram's may be none.
    if (Draw(4) == 0) nat::Put16(frame, nat::L4(frame) + (IsTcp(frame) ? 16 : 6), Draw(2) == 0 ? 0 : Draw(65536));
    return frame;
  }
  std::vector<Bytes> KnownFrames(size_t count) {
    std::vector<Bytes> frames(count);
    std::generate(frames.begin(), frames.end(), [this] { return KnownFrame(); });
    return frames;
  }

  std::vector<Bytes> OddFrames(Odd odd) {
    const Flow& flow = Pick(flows_);
    const Bytes& either = Draw(2) == 0 ? flow.from_client : flow.from_backend;
    Bytes frame = either;
    const auto sealed = [&frame] {
      if (nat::IsV4(frame)) nat::SealIpv4(frame);
      return std::vector<Bytes>{frame};
    };
    switch (odd) {
      case Odd::kSyn:
        return {FromClient(v4_, 6, 80).Build()};
      case Odd::kNoAck:
        return {WithFlags(either, 0, 1, 1)};
      case Odd::kClientEnds:
        return {WithFlags(flow.from_client, nat::kFin | nat::kAck, 1, 1)};
      case Odd::kBackendEnds:
        return {WithFlags(flow.from_backend, nat::kFin | nat::kAck, 1, 1)};
      case Odd::kClientResets:
        return {WithFlags(flow.from_client, nat::kRst, 1, 0)};
      case Odd::kBackendResets:
        return {WithFlags(flow.from_backend, nat::kRst | nat::kAck, 1, 1)};
      case Odd::kBeginsAnew:
        return {flow.from_client, WithFlags(flow.from_client, nat::kAck, 1, 1),
                WithFlags(flow.from_backend, nat::kAck, 1, 1), WithFlags(flow.from_client, nat::kRst, 1, 0),
                WithFlags(flow.from_client, nat::kSyn, 9000, 0)};
      case Odd::kUnknownFlow:
        return {WithFlags(FromClient(v4_, 6, 80).Build(), nat::kAck, 1, 1)};
      case Odd::kUnknownAnswer:
        frame = flow.from_backend;
        frame[nat::L4(frame) + 2] ^= 1;
        return {nat::WithChecksum(frame)};
      case Odd::kNoHopLeft:
      case Odd::kLastHop:
        SetHops(frame, odd == Odd::kLastHop ? 1 : 0);
        return {frame};
      case Odd::kTooLong:
        frame.resize(nat::kIp + kMtu + 1 + Draw(2));
        SetLength(frame);
        return {frame};
      case Odd::kOtherWay:
        return {WithFlags(FromClient(v4_, 6, kOtherWayPort).Build(), nat::kAck, 1, 1)};
      case Odd::kWithoutSession:
        return {WithFlags(FromClient(v4_, 6, kWithoutSessionPort).Build(), nat::kAck, 1, 1)};
      case Odd::kOtherFamily:
        return {FromClient(!v4_, 6, 80).Build()};
      case Odd::kFragment:
        if (v4_) {
          nat::Put16(frame, nat::kIp + 6, 0x2000);
        } else {
          const Bytes header = {frame[nat::kIp + 6], 0, 0, 1, 0, 0, 0, 7};
          frame[nat::kIp + 6] = 44;
          frame.insert(frame.begin() + nat::kIp + 40, header.begin(), header.end());
          SetLength(frame);
        }
        return sealed();
      case Odd::kError: {
        const FrameBuilder error = FromClient(v4_, v4_ ? 1 : 58, 0);
        const Bytes about(either.begin(), either.begin() + static_cast<ptrdiff_t>(nat::L4(either) + 20));
        return {nat::Error(error.source, error.destination, about)};
      }
      case Odd::kMartian:
        frame[nat::kIp + (v4_ ? 12 : 8)] = v4_ ? 127 : 0xff;
        return sealed();
      case Odd::kBadIpHeader:  // its checksum, or its length
        frame[nat::kIp + (v4_ ? 11 : 4)] ^= 1;
        return {frame};
      case Odd::kCutHeader:
        frame[nat::L4(frame) + (IsTcp(frame) ? 12 : 5)] = 0xf0;
        return {frame};
      case Odd::kTagged:
        frame.insert(frame.begin() + 12, {0x81, 0, 0, 1});
        return {frame};
      case Odd::kCount:
        break;
    }
    ADD_FAILURE() << "no such packet";
    return {};
  }

  // Whether the whole burst was of known sessions, and is done with.
  void ExpectAllReady(size_t count) {
    for (size_t i = 0; i < count; ++i) {
      ASSERT_EQ(common_->burst.packets[i].past, stage::Past::kAll) << i;
      ASSERT_NE(common_->burst.packets[i].session, lb::NatTable::kNone) << i;
    }
  }

  static constexpr uint16_t kMtu = 600;
  static constexpr uint16_t kWithoutSessionPort = 84;
  static constexpr uint16_t kOtherWayPort = 86;
  static constexpr uint16_t kLastFullNatPort = 90;  // and some behind it
  const bool v4_ = GetParam() % 2 == 0;
  size_t clients_ = 0;
  std::vector<Flow> flows_;
  const std::unique_ptr<Director> common_ = std::make_unique<Director>(true, NatSetupForTests());
  const std::unique_ptr<Director> stages_ = std::make_unique<Director>(false, NatSetupForTests());
};

TEST_P(FastKnownTest, TranslatesWholeBursts) {
  ASSERT_NO_FATAL_FAILURE(OpenAll());
  for (const bool with_datagrams : {false, true}) {
    if (with_datagrams) {
      flows_.push_back(Open(v4_, 17, 53));
      flows_.push_back(Open(v4_, 17, 54));
    }
    for (size_t count = 1; count <= stage::kBurstSize; ++count) {
      ASSERT_NO_FATAL_FAILURE(ExpectAlike(KnownFrames(count))) << count;
      ASSERT_NO_FATAL_FAILURE(ExpectAllReady(count)) << count;
      now_s_ += static_cast<uint32_t>(Draw(2));
    }
  }
  // At once: the first pass is all.
  for (size_t count = 1; count <= stage::kBurstSize; ++count) {
    EXPECT_TRUE(LookUp(*common_, KnownFrames(count)).looked.sent.port.valid()) << count;
  }
}

TEST_P(FastKnownTest, LeavesOthersToTheStagesWhereverTheyAre) {
  for (int k = 0; k < static_cast<int>(Odd::kCount); ++k) {
    for (const size_t count : {size_t{3}, size_t{8}, size_t{19}, stage::kBurstSize}) {
      // Closed sessions and those of flows that were never answered make room.
      now_s_ += 10000;
      ASSERT_NO_FATAL_FAILURE(ExpectAlike({}));
      ASSERT_NO_FATAL_FAILURE(OpenAll());
      flows_.push_back(Open(v4_, 17, 54));
      for (size_t place = 0; place < count; place += count < 8 ? 1 : 3) {
        std::vector<Bytes> frames = KnownFrames(count);
        const std::vector<Bytes> odd = OddFrames(static_cast<Odd>(k));
        for (size_t i = 0; i < odd.size(); ++i) frames[std::min(place + i, count - 1)] = odd[i];
        ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames)) << "with " << k << " at " << place << " of " << count;
      }
    }
  }
}

// By a change of the state between two bursts, each of which is of sessions that the first knew.
TEST_P(FastKnownTest, SeesWhatBecameOfBackends) {
  for (int k = 0; k < 8; ++k) {
    for (size_t count : {size_t{1}, size_t{5}, size_t{8}, stage::kBurstSize}) {
      now_s_ += 10000;
      ASSERT_NO_FATAL_FAILURE(ExpectAlike({}));
      ASSERT_NO_FATAL_FAILURE(OpenAll());
      const auto [backend, pool] = backends_[(v4_ ? 0 : backends_.size() / 2) + Draw(4)];
      switch (k) {
        case 0:
        case 1:
        case 2:
          fixture_.Down(backend, static_cast<fwd::OnDown>(k));
          break;
        case 3:
          fixture_.Drain(backend);
          break;
        case 4:
          fixture_.Drain(backend);
          fixture_.Reuse(backend, pool, OtherBackend(100));
          break;
        case 5:
          fixture_.Remove(backend);
          break;
        case 6:
          fixture_.hop().resolved = false;
          break;
        case 7:
          fixture_.SpreadOver(PortId(1));
          break;
      }
      Rebuild();
      for (int i = 0; i < 4; ++i) ASSERT_NO_FATAL_FAILURE(ExpectAlike(KnownFrames(count))) << k << " " << count;
      fixture_.hop().resolved = true;
      fixture_.odd_hop().reset();
      if (k < 6) {
        fixture_.Drain(backend);
        fixture_.Reuse(backend, pool, OtherBackend(150));
      }
      Rebuild();
    }
  }
}

// Backends of full NAT alone, because the others' removal changes the number under which sessions are known: those
// of the last VIP, of which all or the first one is removed.
TEST_P(FastKnownTest, SessionsOutliveTheirBackends) {
  for (const size_t removed : {size_t{2}, size_t{1}}) {
    const PoolId pool = AddPool(v4_);
    fixture_.AddVip(Vip(v4_, 20), 6, static_cast<uint16_t>(kLastFullNatPort + removed), pool, Mode::kFullNat);
    Rebuild();
    flows_.clear();
    for (int i = 0; i < 5; ++i) flows_.push_back(Open(v4_, 6, static_cast<uint16_t>(kLastFullNatPort + removed)));
    const uint32_t number = state_->vips_number;
    // Where those that are gone lie behind the end.
    const auto table = std::make_shared<fwd::BackendTable>(*state_->backends);
    for (size_t i = 0; i < removed; ++i) fixture_.Remove(backends_[backends_.size() - 2 + i].first);
    Rebuild();
    ASSERT_EQ(state_->vips_number, number);
    ASSERT_EQ(state_->backends->size() < table->size(), removed == 2);
    if (removed == 2) {
      table->resize(state_->backends->size());
      const auto state = std::make_shared<fwd::ForwardingState>(*state_);
      state->backends = table;
      state_ = state;
    }
    for (int i = 0; i < 4; ++i) ASSERT_NO_FATAL_FAILURE(ExpectAlike(KnownFrames(stage::kBurstSize))) << removed;
  }
}

TEST_P(FastKnownTest, SessionsOutliveAllVips) {
  ASSERT_NO_FATAL_FAILURE(OpenAll());
  fixture_.spec().vips.clear();
  Rebuild();
  ASSERT_NO_FATAL_FAILURE(ExpectAlike(KnownFrames(stage::kBurstSize)));
}

// IPv6, but for family and version all that is asked of a session's packet.
TEST_P(FastKnownTest, AsksForTheFamily) {
  flows_ = {Open(true, 6, 80), Open(true, 6, 81)};
  for (const Flow& flow : flows_) {
    Bytes frame = FromClient(false, 6, 80).Build();
    frame[nat::kIp + 9] = 6;
    std::copy_n(flow.from_client.begin() + nat::kIp + 12, 12, frame.begin() + nat::kIp + 12);
    frame[nat::kIp + 33] = nat::kAck;
    frame = nat::WithChecksum(frame);
    ASSERT_NO_FATAL_FAILURE(ExpectAlike({frame}));
    ASSERT_NO_FATAL_FAILURE(ExpectAlike({flow.from_client, frame}));
  }
}

// Beside eights of TCP over IPv4 of which there is no record yet when sessions of IPv6 are looked for, too.
TEST_P(FastKnownTest, TranslatesBothFamiliesOfABurst) {
  for (const bool v4 : {true, false}) {
    for (const uint16_t port : {uint16_t{80}, uint16_t{81}}) flows_.push_back(Open(v4, 6, port));
    flows_.push_back(Open(v4, 17, 54));
  }
  for (size_t count = 2; count <= stage::kBurstSize; ++count) {
    std::vector<Bytes> frames = KnownFrames(count);
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames)) << count;
    ASSERT_NO_FATAL_FAILURE(ExpectAllReady(count)) << count;
    const Bytes other_way = WithFlags(FromClient(true, 6, kOtherWayPort).Build(), nat::kAck, 1, 1);
    std::fill_n(frames.begin(), std::min<size_t>(count / 2, 9), other_way);
    std::shuffle(frames.begin(), frames.end(), random_);
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(frames)) << count;
  }
}

// Clients are behind another port than backends, so a burst of both sides leaves by two.
TEST_P(FastKnownTest, LeavesByEachPacketsPort) {
  fwd::ClientHop router;
  router.port = PortId(1);
  router.resolved = true;
  router.ether.destination[5] = 0x77;
  fixture_.SetClientRoutes(std::make_shared<const fwd::ClientRoutes>(
      std::make_shared<const fwd::RouteSet>(
          std::vector<lb::PrefixValue>{{*net::IpPrefix::Parse("0.0.0.0/0"), 0}, {*net::IpPrefix::Parse("::/0"), 0}},
          std::vector<fwd::RouteSet::Group>{{0}}),
      std::vector<fwd::ClientHop>{router},
      std::make_shared<const fwd::NeighbourTable>(std::vector<fwd::NeighbourTable::Neighbour>())));
  Rebuild();
  ASSERT_NO_FATAL_FAILURE(OpenAll());
  node_.ports[1].mtu_bytes = v4_ ? 62 : 82;  // so that some fit by one port only
  for (size_t count = 1; count <= stage::kBurstSize; ++count) {
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(KnownFrames(count))) << count;
    std::vector<Bytes> answers;
    for (size_t i = 0; i < count; ++i) answers.push_back(Pick(flows_).from_backend);
    ASSERT_NO_FATAL_FAILURE(ExpectAlike(answers)) << count;
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastKnownTest, testing::Range(1u, 13u));

}  // namespace
}  // namespace sluice::test
