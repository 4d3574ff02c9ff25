#include "tests/stage/pipeline_fixture.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/stage/frame_bytes.h"
#include "tests/stage/allocation_guard.h"

namespace sluice::test {
namespace {

constexpr unsigned kMbufs = 255;

Bytes BytesOf(const rte_mbuf* mbuf) {
  Bytes bytes;
  for (; mbuf != nullptr; mbuf = mbuf->next) {
    const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
    bytes.insert(bytes.end(), data, data + rte_pktmbuf_data_len(mbuf));
  }
  return bytes;
}

rte_mempool* SharedPool() {
  static rte_mempool* pool = rte_pktmbuf_pool_create("stage_test", kMbufs, 0, 0, 2176, 0);
  SLUICE_CHECK(pool != nullptr);
  return pool;
}

}  // namespace

fwd::NatSetup NatSetupForTests() {
  fwd::NatSetup setup;
  setup.ends.v4.count = setup.ends.v6.count = 1;
  setup.ends.v4.addresses[0] = lb::LoadNatAddress(net::Family::kIpv4, Address("192.0.2.100").data());
  setup.ends.v6.addresses[0] = lb::LoadNatAddress(net::Family::kIpv6, Address("2001:db8::64").data());
  setup.ends.first_port = 20000;
  setup.ends.last_port = 20099;
  return setup;
}

void RecordingSink::Take(const Taken& taken) {
  SLUICE_CHECK(taken_count_ < taken_.size());
  taken_[taken_count_++] = taken;
}

void RecordingSink::Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) {
  EXPECT_EQ(bytes, stage::FrameBytes(mbufs, count));
  for (size_t i = 0; i < count; ++i) Take({mbufs[i], port, std::nullopt});
  counters_.forwarded.Add(count);
}

void RecordingSink::Answer(PortId port, rte_mbuf* mbuf) {
  Take({mbuf, port, std::nullopt});
  counters_.answered.Increment();
}

void RecordingSink::Punt(PortId port, stage::PuntClass punt_class, rte_mbuf* mbuf) {
  Take({mbuf, port, punt_class});
  counters_.punted.Increment();
}

void RecordingSink::HandOver(WorkerId owner, rte_mbuf* mbuf) {
  handed_over_[handed_over_count_++] = {owner, mbuf};
  counters_.handed_over.Increment();
}

std::vector<RecordingSink::HandedOver> RecordingSink::TakeHandedOver() {
  const std::vector<HandedOver> taken(handed_over_.begin(),
                                      handed_over_.begin() + static_cast<ptrdiff_t>(handed_over_count_));
  handed_over_count_ = 0;
  return taken;
}

void RecordingSink::Collect(std::vector<Sent>& sent, std::vector<Punted>& punted) {
  for (size_t i = 0; i < taken_count_; ++i) {
    const Taken& taken = taken_[i];
    if (taken.punt_class) {
      punted.push_back({taken.port, *taken.punt_class, BytesOf(taken.mbuf)});
    } else {
      const uint64_t flags = taken.mbuf->ol_flags;
      const bool sums = (flags & RTE_MBUF_F_TX_IP_CKSUM) != 0;
      sent.push_back({.port = taken.port,
                      .frame = BytesOf(taken.mbuf),
                      .tx_flags = flags,
                      .tx_offload = sums ? taken.mbuf->tx_offload : 0});
    }
    rte_pktmbuf_free(taken.mbuf);
  }
  taken_count_ = 0;
}

PipelineTest::PipelineTest()
    : counters_(64, 128),
      tables_({.v4 = 1000, .v6 = 1000, .wide = 1000, .nat = 400}, memory_.Source(), NatSetupForTests()),
      sink_(counters_),
      pool_(SharedPool()) {
  pool_v4_ = fixture_.AddPool();
  pool_v6_ = fixture_.AddPool();
  backend_v4_ = fixture_.AddBackend(pool_v4_, "192.0.2.11");
  backend_v6_ = fixture_.AddBackend(pool_v6_, "2001:db8::16");
  for (const auto& [address, pool] : {std::pair{"203.0.113.10", pool_v4_}, std::pair{"2001:db8:f::10", pool_v6_}}) {
    fixture_.AddVip(address, 6, 80, pool);
    fixture_.AddVip(address, 17, 53, pool);
    fixture_.AddVip(address, 6, 8080, pool, fwd::ForwardingMode::kIpip);
  }
  for (stage::PortTraits& port : node_.ports) {
    port.mac = net::MacAddress(kOwnMac);
    port.has_exception_port = true;
    port.address_v4 = Address("192.0.2.2");
    port.address_v6 = Address("2001:db8::2");
  }
  node_.management_ports.set(22);
  Rebuild();
}

void PipelineTest::TearDown() {
  now_s_ += 1000;
  ExpireFragments();
  EXPECT_EQ(rte_mempool_avail_count(pool_), kMbufs) << "packet buffers were lost or freed twice";
  uint64_t left = counters_.forwarded.Value() + counters_.answered.Value() + counters_.punted.Value();
  for (const Counter& dropped : counters_.dropped) left += dropped.Value();
  EXPECT_EQ(counters_.received.Value() + counters_.originated.Value(), left)
      << "invariant 2: every packet has one fate";
}

rte_mbuf* PipelineTest::MakeMbuf(const Bytes& frame, size_t segment) {
  rte_mbuf* head = nullptr;
  size_t at = 0;
  do {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    SLUICE_CHECK(mbuf != nullptr);
    const size_t room = std::min<size_t>(segment, rte_pktmbuf_tailroom(mbuf));
    const size_t size = std::min(room, frame.size() - at);
    std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(size)), frame.data() + at, size);
    at += size;
    if (head == nullptr) {
      head = mbuf;
    } else {
      SLUICE_CHECK(rte_pktmbuf_chain(head, mbuf) == 0);
    }
  } while (at < frame.size());
  return head;
}

void PipelineTest::Run(const std::vector<Bytes>& frames) {
  std::vector<rte_mbuf*> mbufs;
  for (const Bytes& frame : frames) mbufs.push_back(MakeMbuf(frame));
  RunMbufs(std::move(mbufs));
}

void PipelineTest::RunMbufs(std::vector<rte_mbuf*> mbufs) {
  sent_.clear();
  punted_.clear();
  stage::StageEnv env = MakeEnv();
  {
    const AllocationGuard guard;
    stage::RunPipeline(mbufs.data(), mbufs.size(), PortId(0), env, burst_, sink_);
    while (stage::ResumeFragments(env, resumed_, sink_) != 0) continue;
  }
  sink_.Collect(sent_, punted_);
}

void PipelineTest::RunWithoutBuffers(const Bytes& frame) {
  rte_mbuf* const packet = MakeMbuf(frame);
  std::vector<rte_mbuf*> rest(rte_mempool_avail_count(pool_));
  const auto count = static_cast<unsigned>(rest.size());
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(pool_, rest.data(), count), 0);
  RunMbufs({packet});
  rte_pktmbuf_free_bulk(rest.data(), count);
}

void PipelineTest::Resume(std::vector<rte_mbuf*> mbufs) {
  sent_.clear();
  punted_.clear();
  stage::StageEnv env = MakeEnv();
  {
    const AllocationGuard guard;
    stage::ResumePipeline(mbufs.data(), mbufs.size(), env, burst_, sink_);
    while (stage::ResumeFragments(env, resumed_, sink_) != 0) continue;
  }
  sink_.Collect(sent_, punted_);
}

void PipelineTest::ExpireFragments() {
  sent_.clear();
  punted_.clear();
  stage::StageEnv env = MakeEnv();
  {
    const AllocationGuard guard;
    fragments_.Expire(now_s_);
    while (stage::ResumeFragments(env, resumed_, sink_) != 0) continue;
  }
  sink_.Collect(sent_, punted_);
}

stage::StageEnv PipelineTest::MakeEnv() {
  return {.state = state_.get(),
          .node = &node_,
          .tables = &tables_,
          .counters = &counters_,
          .now_s = now_s_,
          .worker = worker_,
          .worker_count = worker_count_,
          .fragments = &fragments_};
}

void PipelineTest::ExpectDrop(const Bytes& frame, DropReason reason) {
  const uint64_t before = Dropped(reason);
  Run({frame});
  EXPECT_EQ(Dropped(reason), before + 1) << "expected " << DropReasonLabel(reason) << ", got "
                                         << (record(0).fate == Fate::kDropped ? DropReasonLabel(record(0).reason)
                                                                              : "another fate");
  EXPECT_TRUE(sent_.empty());
  EXPECT_TRUE(punted_.empty());
}

void PipelineTest::Rebuild() {
  state_ = fixture_.Build();
  // The stages index counters by id, as sluiced's limits allow them to.
  SLUICE_CHECK(state_->vips->size() <= counters_.vip_count && state_->backends->size() <= counters_.backend_count);
}

}  // namespace sluice::test
