#ifndef SLUICE_TESTS_STAGE_TWO_DIRECTORS_H_
#define SLUICE_TESTS_STAGE_TWO_DIRECTORS_H_

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/stage/fast_path.h"
#include "tests/stage/allocation_guard.h"
#include "tests/stage/cookie_frames.h"
#include "tests/stage/pipeline_fixture.h"
#include "tests/support/counter_values.h"

// Two directors that differ in nothing but in having the fast path, to be given the same packets.
namespace sluice::test {

inline constexpr size_t kConnections = 48;  // so few that buckets overflow
inline constexpr size_t kSessions = 64;
inline constexpr size_t kSlotConnections = 64;
constexpr size_t ToLines(size_t bytes) { return (bytes + 63) / 64 * 64; }
inline constexpr std::array kComparedBytes = {
    ToLines(lb::ConnectionTableV4::BytesFor(kConnections)), ToLines(lb::ConnectionTableV6::BytesFor(kConnections)),
    ToLines(lb::ConnectionTableWide::BytesFor(kConnections)), ToLines(lb::SlotTable::BytesFor(kSlotConnections))};
inline constexpr size_t kTableBytes = std::accumulate(kComparedBytes.begin(), kComparedBytes.end(), size_t{0});

// Memory whose content can be compared: the connection tables of one director and its slots, one behind the other.
class ComparableMemory {
 public:
  fwd::TableMemory Source() {
    return [this](size_t bytes) {
      const size_t lines = ToLines(bytes);
      const bool compared = std::find(kComparedBytes.begin(), kComparedBytes.end(), lines) != kComparedBytes.end();
      if (!compared || used_ + lines > sizeof(block_)) return other_.Source()(bytes);
      void* const at = block_ + used_;
      used_ += lines;
      return at;
    };
  }
  bool operator==(const ComparableMemory& other) const {
    return used_ == other.used_ && std::memcmp(block_, other.block_, used_) == 0;
  }
  size_t used() const { return used_; }

 private:
  alignas(64) uint8_t block_[kTableBytes] = {};
  size_t used_ = 0;
  TestMemory other_;
};

struct Director {
  Director(bool fast_path, const fwd::NatSetup& nat)
      : with_fast_path(fast_path),
        tables({.v4 = kConnections,
                .v6 = kConnections,
                .wide = kConnections,
                .nat = kSessions,
                .stateful = kSlotConnections},
               memory.Source(), nat) {}

  const bool with_fast_path;
  fwd::WorkerCounters counters{64, 128};
  ComparableMemory memory;
  fwd::FlowTables tables;
  RecordingSink sink{counters};
  lb::FragmentTable fragments{8, 4, 2};
  stage::SecondsBudget answers;
  stage::SecondsBudget copies;
  stage::Burst burst;
  std::vector<RecordingSink::Sent> sent;
  std::vector<RecordingSink::Punted> punted;
  std::vector<std::pair<WorkerId, Bytes>> handed_over;
};

// The fast path's first pass alone.
struct FirstPass {
  FirstPass(Director& director, std::vector<rte_mbuf*> frames, const stage::StageEnv& common)
      : mbufs(std::move(frames)), env(common) {
    env.tables = &director.tables;
    env.counters = &director.counters;
    director.burst.count = mbufs.size();
    looked = stage::LookUpOnFastPath(mbufs.data(), PortId(0), director.burst, wanted, env);
  }
  ~FirstPass() { rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(mbufs.size())); }
  FirstPass(const FirstPass&) = delete;
  FirstPass& operator=(const FirstPass&) = delete;

  std::vector<rte_mbuf*> mbufs;
  stage::StageEnv env;
  stage::WantedEntries wanted;
  stage::Looked looked;
};

// The parameter is the seed of what is drawn.
class TwoDirectorsTest : public PipelineTest, public testing::WithParamInterface<unsigned> {
 protected:
  TwoDirectorsTest() : random_(GetParam()) {}

  size_t Draw(size_t count) { return random_() % count; }
  template <typename T>
  const T& Pick(const std::vector<T>& from) {
    return from[Draw(from.size())];
  }

  // Of two backends.
  PoolId AddPool(bool v4) {
    const PoolId pool = fixture_.AddPool(13);
    for (int i = 0; i < 2; ++i) {
      const std::string last = std::to_string(10 + backends_.size());
      backends_.push_back({fixture_.AddBackend(pool, (v4 ? "192.0.2." : "2001:db8::") + last), pool});
    }
    return pool;
  }

  // Of half of the backends, or all.
  fwd::NextHop& AnyHop() {
    std::optional<fwd::NextHop>& odd = fixture_.odd_hop();
    if (Draw(2) == 0) return fixture_.hop();
    if (!odd) odd = fixture_.hop();
    return *odd;
  }

  // Backends come, go and change between bursts, and time passes.
  void ChangeSomething() {
    if (Draw(4) == 0) now_s_ += static_cast<uint32_t>(Draw(3) == 0 ? Draw(100) : 1);
    if (Draw(5) != 0) return;
    const auto& [backend, pool] = Pick(backends_);
    switch (Draw(6)) {
      case 0:
        fixture_.Drain(backend);
        break;
      case 1:
        fixture_.Drain(backend);
        fixture_.Undrain(backend, pool);
        break;
      case 2:
        fixture_.Down(backend, static_cast<fwd::OnDown>(Draw(3)));
        break;
      case 3:
        fixture_.Drain(backend);
        fixture_.Reuse(backend, pool, "192.0.2." + std::to_string(100 + Draw(50)));
        break;
      case 4:
        AnyHop().resolved = Draw(6) != 0;
        AnyHop().on_link = Draw(4) != 0;
        break;
      case 5:
        AnyHop().port = PortId(static_cast<uint8_t>(Draw(2)));
        AnyHop().source_v6 = Draw(3) == 0 ? Address("::") : Address("2001:db8::2");
        break;
    }
    Rebuild();
  }

  // `headrooms`: how far frames are from the starts of their buffers; none: as usual.
  void RunOn(Director& director, const std::vector<Bytes>& frames, const std::vector<uint64_t>& offloads,
             const std::vector<size_t>& segments, const std::vector<uint16_t>& headrooms = {}) {
    std::vector<rte_mbuf*> mbufs;
    for (size_t i = 0; i < frames.size(); ++i) {
      rte_mbuf* const mbuf = MakeMbuf(frames[i], segments[i]);
      mbuf->ol_flags |= offloads[i];
      if (!headrooms.empty()) {
        const auto* const frame = rte_pktmbuf_mtod(mbuf, const uint8_t*);
        mbuf->data_off = headrooms[i];
        std::memmove(rte_pktmbuf_mtod(mbuf, uint8_t*), frame, rte_pktmbuf_data_len(mbuf));
      }
      mbufs.push_back(mbuf);
    }
    stage::StageEnv env = MakeEnv();
    env.tables = &director.tables;
    env.counters = &director.counters;
    env.fragments = &director.fragments;
    env.answers = director.answers;
    env.copies = director.copies;
    env.fast_path = director.with_fast_path;
    env.wants_records = wants_records_;
    director.sent.clear();
    director.punted.clear();
    {
      const AllocationGuard guard;
      // Not always the one that records have from the start; the same for both directors.
      const PortId port(static_cast<uint8_t>((mbufs.size() + now_s_) % 2));
      stage::RunPipeline(mbufs.data(), mbufs.size(), port, env, director.burst, director.sink);
      stage::Burst resumed;
      while (stage::ResumeFragments(env, resumed, director.sink) != 0) continue;
      director.fragments.Expire(now_s_);
      while (stage::ResumeFragments(env, resumed, director.sink) != 0) continue;
    }
    director.answers = env.answers;
    director.copies = env.copies;
    director.sink.Collect(director.sent, director.punted);
    director.handed_over.clear();
    for (const RecordingSink::HandedOver& each : director.sink.TakeHandedOver()) {
      const auto* const bytes = rte_pktmbuf_mtod(each.mbuf, const uint8_t*);
      director.handed_over.emplace_back(each.owner, Bytes(bytes, bytes + rte_pktmbuf_data_len(each.mbuf)));
      rte_pktmbuf_free(each.mbuf);
    }
    director.tables.Sweep(1, now_s_, *state_, director.counters);
  }

  FirstPass LookUp(Director& director, const std::vector<Bytes>& frames) {
    std::vector<rte_mbuf*> mbufs;
    for (const Bytes& frame : frames) mbufs.push_back(MakeMbuf(frame));
    return FirstPass(director, std::move(mbufs), MakeEnv());
  }

  static void ExpectEqualSessions(fwd::NatFlows& a, fwd::NatFlows& b) {
    ASSERT_EQ(a.table().in_use(), b.table().in_use());
    ASSERT_EQ(a.table().highest(), b.table().highest());
    ASSERT_EQ(a.destination_sessions(), b.destination_sessions());
    for (uint32_t i = 0; i < a.table().highest(); ++i) {
      const lb::NatSession& x = a.table().at(i);
      const lb::NatSession& y = b.table().at(i);
      ASSERT_EQ(x.tracking.state, y.tracking.state);
      if (x.tracking.state == lb::NatState::kFree) continue;
      ASSERT_TRUE(x.FromClient() == y.FromClient() && x.FromBackend() == y.FromBackend());
      ASSERT_TRUE(x.vip == y.vip && x.backend == y.backend && x.use == y.use);
      ASSERT_EQ(x.tracking.confirmed, y.tracking.confirmed);
      ASSERT_EQ(x.tracking.answered, y.tracking.answered);
      ASSERT_EQ(x.tracking.last_seen_s, y.tracking.last_seen_s);
      ASSERT_EQ(x.tracking.client_ack, y.tracking.client_ack);
      ASSERT_EQ(x.tracking.backend_ack, y.tracking.backend_ack);
    }
  }

  void ExpectEqual(Director& a, Director& b, size_t count) {
    // Without records a burst went as a whole.
    const size_t records = a.burst.count == 0 ? 0 : count;
    for (size_t i = 0; i < records; ++i) {
      const stage::Packet& x = a.burst.packets[i];
      const stage::Packet& y = b.burst.packets[i];
      ASSERT_EQ(x.fate, y.fate) << "of packet " << i;
      ASSERT_EQ(x.reason, y.reason);
      ASSERT_EQ(x.vip, y.vip);
      ASSERT_EQ(x.backend, y.backend);
      ASSERT_EQ(x.rung, y.rung);
      ASSERT_EQ(x.flow_hash, y.flow_hash);
      ASSERT_EQ(x.in_port, y.in_port);
      ASSERT_EQ(x.out_port, y.out_port);
      if (!x.vip.valid()) continue;  // then these may not have been looked for
      ASSERT_EQ(x.client_offset, y.client_offset);
      ASSERT_EQ(x.vip_offset, y.vip_offset);
      ASSERT_EQ(x.headers.ip_length, y.headers.ip_length);
      ASSERT_EQ(x.headers.l4_offset, y.headers.l4_offset);
      ASSERT_EQ(x.headers.protocol, y.headers.protocol);
      ASSERT_EQ(x.headers.source_port, y.headers.source_port);
      ASSERT_EQ(x.headers.destination_port, y.headers.destination_port);
      ASSERT_EQ(x.headers.tcp_flags, y.headers.tcp_flags);
      ASSERT_EQ(x.direction, y.direction);
    }
    ASSERT_EQ(a.sent.size(), b.sent.size());
    for (size_t i = 0; i < a.sent.size(); ++i) {
      ASSERT_EQ(a.sent[i].port, b.sent[i].port);
      ASSERT_EQ(a.sent[i].frame, b.sent[i].frame);
      ASSERT_EQ(a.sent[i].tx_flags, b.sent[i].tx_flags);
      ASSERT_EQ(a.sent[i].tx_offload, b.sent[i].tx_offload);
    }
    ASSERT_EQ(a.punted.size(), b.punted.size());
    for (size_t i = 0; i < a.punted.size(); ++i) {
      ASSERT_EQ(a.punted[i].frame, b.punted[i].frame);
      ASSERT_EQ(a.punted[i].punt_class, b.punted[i].punt_class);
    }
    ASSERT_EQ(a.handed_over, b.handed_over);
    ASSERT_EQ(CounterValues(a.counters), CounterValues(b.counters));
    ASSERT_TRUE(a.memory == b.memory) << "the connection tables differ";
    ASSERT_EQ(a.tables.v4().unconfirmed, b.tables.v4().unconfirmed);
    ASSERT_EQ(a.tables.v6().unconfirmed, b.tables.v6().unconfirmed);
    ASSERT_EQ(a.tables.wide().unconfirmed, b.tables.wide().unconfirmed);
    ASSERT_EQ(a.tables.slots().unconfirmed, b.tables.slots().unconfirmed);
    ASSERT_NO_FATAL_FAILURE(ExpectEqualSessions(a.tables.nat(), b.tables.nat()));
  }

  bool wants_records_ = false;
  std::mt19937_64 random_;
  std::vector<std::pair<BackendId, PoolId>> backends_;
};

// Kinds of packets that have loops of their own.
struct Kind {
  bool v4;
  uint8_t protocol;

  size_t l4() const { return kIpOffset + (v4 ? 20 : 40); }
};
inline constexpr std::array<Kind, 4> kKinds = {
    {{true, net::kProtocolTcp}, {false, net::kProtocolTcp}, {true, net::kProtocolUdp}, {false, net::kProtocolUdp}}};

// For bursts of one kind with others among them. No address translation.
class TwoDirectorsRunsTest : public TwoDirectorsTest {
 protected:
  // With two backends, which cookies name 0 and 1.
  VipId AddVip(const std::string& vip, uint8_t protocol, uint16_t port, fwd::ForwardingMode mode) {
    const size_t first = backends_.size();
    const PoolId pool = AddPool(vip.find(':') == std::string::npos);
    for (uint16_t id = 0; id < 2; ++id)
      fixture_.spec().backends[backends_[first + id].first.index()].info.cookie_id = id;
    return fixture_.AddVip(vip, protocol, port, pool, mode);
  }

  // After one buffer for each frame, of whose checksums a device found the same.
  void ExpectAlike(const std::vector<Bytes>& frames, uint64_t verdict) {
    const std::vector<uint64_t> offloads(frames.size(), verdict);
    const std::vector<size_t> segments(frames.size(), SIZE_MAX);
    RunOn(*common_, frames, offloads, segments);
    RunOn(*stages_, frames, offloads, segments);
    ExpectEqual(*common_, *stages_, frames.size());
  }

  const std::unique_ptr<Director> common_ = std::make_unique<Director>(true, fwd::NatSetup());
  const std::unique_ptr<Director> stages_ = std::make_unique<Director>(false, fwd::NatSetup());
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_TWO_DIRECTORS_H_
