#include <rte_mbuf.h>

#include "dataplane/net/headers.h"
#include "dataplane/stage/probes.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

constexpr uint16_t kFirst = 61000;

// What the host's kernel sends by a port, some of it from the source ports of health checks.
class ProbeTest : public PipelineTest {
 protected:
  ProbeTest() : probes_(kFirst, kFirst + 99) {}
  fwd::ProbeTarget To(BackendId backend, VipId vip) {
    return {backend, fixture_.spec().backends[backend.index()].info.generation, vip};
  }

  struct Result {
    std::vector<Bytes> host;    // not touched
    std::vector<Bytes> probes;  // that leave
    std::vector<DropReason> drops;
  };
  Result FromHost(const std::vector<Bytes>& frames) {
    std::array<rte_mbuf*, stage::kBurstSize> mbufs;
    for (size_t i = 0; i < frames.size(); ++i) mbufs[i] = MakeMbuf(frames[i]);
    stage::StageEnv env = MakeEnv();
    env.probes = &probes_;
    Result result;
    stage::Burst burst;
    const size_t left = stage::TakeProbes(mbufs.data(), frames.size(), PortId(0), env, burst);
    const auto take = [](rte_mbuf* mbuf) {
      const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
      Bytes bytes(data, data + rte_pktmbuf_data_len(mbuf));
      rte_pktmbuf_free(mbuf);
      return bytes;
    };
    for (size_t i = 0; i < left; ++i) result.host.push_back(take(mbufs[i]));
    for (const stage::Packet& packet : burst) {
      if (packet.fate == Fate::kForwarded) {
        result.probes.push_back(take(packet.mbuf));
      } else {
        EXPECT_EQ(packet.fate, Fate::kDropped);
        result.drops.push_back(packet.reason);
        rte_pktmbuf_free(packet.mbuf);
      }
    }
    return result;
  }
  static FrameBuilder Probe(uint16_t source_port, std::string destination = "203.0.113.10", uint16_t port = 80) {
    return {.source = "192.0.2.2",
            .destination = std::move(destination),
            .source_port = source_port,
            .destination_port = port};
  }

  fwd::ProbePorts probes_;
  const VipId vip_v4_ = VipId(0);  // the fixture's first
};

TEST_F(ProbeTest, GoesToTheBackendOfItsSourcePortAndToNoOther) {
  const BackendId other = fixture_.AddBackend(pool_v4_, "192.0.2.12");
  fixture_.Drain(other);
  Rebuild();
  probes_.Register(kFirst, To(backend_v4_, vip_v4_));
  probes_.Register(kFirst + 1, To(other, vip_v4_));
  const Bytes first = Probe(kFirst).Build();
  const Result result = FromHost({first, Probe(kFirst + 1).Build(), Probe(kFirst + 1, "203.0.113.10", 8443).Build()});
  ASSERT_EQ(result.probes.size(), 3u);
  // L2: only the MAC addresses are others; a check's own port need not be the VIP's.
  EXPECT_TRUE(std::equal(first.begin() + 12, first.end(), result.probes[0].begin() + 12));
  EXPECT_NE(Bytes(result.probes[0].begin(), result.probes[0].begin() + 6),
            Bytes(result.probes[1].begin(), result.probes[1].begin() + 6));
  EXPECT_EQ(Bytes(result.probes[1].begin(), result.probes[1].begin() + 12),
            Bytes(result.probes[2].begin(), result.probes[2].begin() + 12));
  EXPECT_EQ(counters_.probes.Value(), 3u);
  // They are nobody's traffic.
  EXPECT_EQ(counters_.backends[backend_v4_.index()].requests.packets.Value(), 0u);
  EXPECT_EQ(counters_.vips[vip_v4_.index()].requests.packets.Value(), 0u);
}

TEST_F(ProbeTest, IsEncapsulatedAsTrafficIs) {
  const VipId tunnel = fixture_.AddVip("203.0.113.20", 6, 80, pool_v6_, fwd::ForwardingMode::kGue);
  fixture_.Vip(tunnel).entry.gue_port = 6080;
  Rebuild();
  probes_.Register(kFirst, To(backend_v6_, tunnel));
  const Bytes probe = Probe(kFirst, "203.0.113.20").Build();
  const Result result = FromHost({probe});
  ASSERT_EQ(result.probes.size(), 1u);
  // As the pipeline sends the same packet when a client does.
  Run({probe});
  ASSERT_EQ(sent().size(), 1u);
  EXPECT_EQ(result.probes[0], sent()[0].frame);
}

TEST_F(ProbeTest, OtherPacketsOfTheHostStayAsTheyAre) {
  probes_.Register(kFirst, To(backend_v4_, vip_v4_));
  probes_.Register(kFirst + 1, To(backend_v4_, vip_v4_));
  probes_.Clear(kFirst + 1);
  const std::vector<Bytes> frames = {
      Probe(kFirst, "192.0.2.11").Build(),  // to no VIP
      Probe(kFirst + 1).Build(),            // a port that is nobody's now
      Probe(kFirst + 2).Build(),            // one that never was
      Probe(kFirst - 1).Build(),
      Probe(kFirst + 100).Build(),
      Probe(179).Build(),  // others' ports
      Bytes(60, 0),        // no IP at all
  };
  const Result result = FromHost(frames);
  EXPECT_EQ(result.host, frames);
  EXPECT_TRUE(result.probes.empty());
  EXPECT_EQ(counters_.probes.Value(), 0u);
}

TEST_F(ProbeTest, WithoutBackendOrNextHopItIsDropped) {
  probes_.Register(kFirst, {backend_v4_, 77, vip_v4_});  // another use of the id
  probes_.Register(kFirst + 1, {BackendId(999), 0, vip_v4_});
  probes_.Register(kFirst + 2, To(backend_v4_, VipId(999)));
  const Result result = FromHost({Probe(kFirst).Build(), Probe(kFirst + 1).Build(), Probe(kFirst + 2).Build()});
  EXPECT_EQ(result.drops, std::vector(3, DropReason::kProbeOutdated));
}

}  // namespace
}  // namespace sluice::test
