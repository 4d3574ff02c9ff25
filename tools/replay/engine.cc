#include "tools/replay/engine.h"

#include <rte_mempool.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/limits.h"
#include "config/problem.h"
#include "config/validate.h"
#include "controlplane/reconcile/timeouts.h"
#include "dataplane/base/check.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/net/parser.h"
#include "dataplane/stage/group_by_kind.h"
#include "dataplane/stage/pipeline.h"
#include "dataplane/stage/stage_env.h"
#include "dataplane/stage/tunnel_source.h"
#include "tools/replay/eal.h"

namespace sluice::replay {
namespace {

struct FreeDeleter {
  void operator()(void* memory) const { std::free(memory); }
};

// Takes over what the pipeline hands out and copies it to the result of the packet it came in as. Stages may reorder a
// burst (by port, by fate); looking the buffer up restores the order of arrival. What did not come in with this burst
// goes to the one that was handed out before it.
class ResultSink final : public stage::PacketSink {
 public:
  explicit ResultSink(fwd::WorkerCounters& counters) : counters_(counters) {}

  void Begin(rte_mbuf** mbufs, PacketResult* results, size_t count) {
    std::copy_n(mbufs, count, mbufs_.begin());
    results_ = results;
    count_ = count;
    last_ = results;
  }

  // What comes now had waited for something in this burst.
  void BeginReleased() { last_ = results_ + count_ - 1; }

  void Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t) override {
    for (size_t i = 0; i < count; ++i) Send(port, mbufs[i], Fate::kForwarded);
    counters_.forwarded.Add(count);
  }

  void Answer(PortId port, rte_mbuf* mbuf) override {
    Send(port, mbuf, Fate::kAnswered);
    counters_.answered.Increment();
  }

  void Punt(PortId port, stage::PuntClass punt_class, rte_mbuf* mbuf) override {
    counters_.punted.Increment();
    PacketResult* const result = Take(mbuf, Fate::kPunted);
    if (result == nullptr) return;
    result->out_port = port;
    result->punt_class = punt_class;
  }

  void HandOver(WorkerId, rte_mbuf*) override { SLUICE_CHECK(false && "there is one worker"); }

 private:
  void Send(PortId port, rte_mbuf* mbuf, Fate fate) {
    fwd::PortCounters& port_counters = counters_.ports[port.index()];
    port_counters.tx_packets.Increment();
    port_counters.tx_bytes.Add(mbuf->pkt_len);
    if (PacketResult* const result = Take(mbuf, fate); result != nullptr) result->out_port = port;
  }

  // The result of a packet of this burst; null for others.
  PacketResult* Take(rte_mbuf* mbuf, Fate fate) {
    const auto end = mbufs_.begin() + static_cast<ptrdiff_t>(count_);
    const auto found = std::find(mbufs_.begin(), end, mbuf);
    if (found == end) {
      last_->extra.push_back({.fate = fate, .bytes = CopyOut(mbuf)});
      return nullptr;
    }
    PacketResult& result = results_[found - mbufs_.begin()];
    last_ = &result;
    *found = nullptr;  // a buffer may be handed out once
    result.bytes = CopyOut(mbuf);
    return &result;
  }

  static std::vector<uint8_t> CopyOut(rte_mbuf* mbuf) {
    std::vector<uint8_t> bytes;
    bytes.reserve(mbuf->pkt_len);
    for (const rte_mbuf* s = mbuf; s != nullptr; s = s->next) {
      const auto* const data = rte_pktmbuf_mtod(s, const uint8_t*);
      bytes.insert(bytes.end(), data, data + s->data_len);
    }
    SLUICE_CHECK(bytes.size() == mbuf->pkt_len);
    rte_pktmbuf_free(mbuf);
    return bytes;
  }

  fwd::WorkerCounters& counters_;
  std::array<rte_mbuf*, stage::kBurstSize> mbufs_{};
  PacketResult* results_ = nullptr;
  PacketResult* last_ = nullptr;  // handed out last
  size_t count_ = 0;
};

// A burst ends with it, so that what it releases leaves right behind it.
bool IsFragment(const Frame& frame) {
  const auto size = static_cast<uint32_t>(frame.bytes.size());
  return net::ParseFrame(frame.bytes.data(), size, size).l4_status == net::L4Status::kFragment;
}

stage::PacketKind KindOf(const Frame& frame) { return stage::KindOf(frame.bytes.data(), frame.bytes.size()); }

// As sluiced validates what a reload or its API brings.
model::Validator ValidatorFor(const config::NodeConfig& node) {
  return [node](const model::DesiredState& desired) {
    std::vector<model::Complaint> complaints;
    for (const auto& problems : {config::ValidateServices(desired), config::ValidateTogether(node, desired)}) {
      for (const config::Problem& problem : problems) complaints.push_back({problem.field, problem.message});
    }
    return complaints;
  };
}

std::vector<net::MacAddress> PortMacs(size_t ports, const EngineOptions& options) {
  std::vector<net::MacAddress> macs;
  for (size_t i = 0; i < ports; ++i) {
    const PortId id(static_cast<PortId::rep>(i));
    const auto given = options.port_macs.find(id);
    macs.push_back(given != options.port_macs.end() ? given->second : NextHops::DefaultPortMac(id));
  }
  return macs;
}

fwd::NatSetup ToNatSetup(const config::NodeConfig& node) {
  fwd::NatSetup setup;
  for (const net::IpAddress& address : node.nat.local_addresses) SLUICE_CHECK(setup.ends.Add(address));
  setup.ends.first_port = node.nat.local_ports.first;
  setup.ends.last_port = node.nat.local_ports.last;
  return setup;
}

constexpr model::Limits kLimits = {
    .vips = config::limits::kVips, .pools = config::limits::kVips, .backends = config::limits::kBackends};

class EngineImpl final : public Engine {
 public:
  EngineImpl(const config::NodeConfig& node, const EngineOptions& options, rte_mempool* pool)
      : pool_(pool),
        dataplane_(NextHops(node.ports, PortMacs(node.ports.size(), options), options.neighbours), kLimits.vips,
                   kLimits.backends),
        reconciler_(kLimits, ValidatorFor(node), dataplane_, dataplane_, reconcile::ToNodePart(node),
                    [this] { return model::SteadyTime(std::chrono::seconds(now_s_)); }),
        tables_(
            {.v4 = node.tables.connections_v4,
             .v6 = node.tables.connections_v6,
             .wide = node.tables.connections_wide,
             .nat = node.tables.nat_sessions,
             .stateful = node.tables.connections_stateful},
            [this](size_t bytes) { return Allocate(bytes); }, ToNatSetup(node)),
        fragments_(node.fragments.packets, node.fragments.held, node.fragments.timeout_s),
        sink_(dataplane_.counters()) {
    const std::vector<net::MacAddress> macs = PortMacs(node.ports.size(), options);
    for (size_t i = 0; i < node.ports.size(); ++i) {
      node_.ports[i].mac = macs[i];
      node_.ports[i].mtu_bytes = node.ports[i].mtu_bytes;
      node_.ports[i].tx_ipv4_checksum = false;
      node_.ports[i].has_exception_port = node.ports[i].exception.enabled;
      node_.ports[i].SetAddresses(node.ports[i].addresses);
    }
    node_.tunnel_source_v4 = stage::ToTunnelSource(node.tunnels.source_v4);
    node_.tunnel_source_v6 = stage::ToTunnelSource(node.tunnels.source_v6);
    stage::CollectOwnSources(node_);
    node_.answers_per_s = node.answers_per_s;
    node_.copies_per_s = node.copies_per_s;
    env_.node = &node_;
    env_.tables = &tables_;
    env_.counters = &dataplane_.counters();
    env_.fragments = &fragments_;
    env_.unresolved = &unresolved_;
    env_.wants_records = true;
    for (const uint16_t port : node.punt.management_ports) node_.management_ports.set(port);
  }

  ~EngineImpl() override {
    fragments_.Clear();
    lb::FragmentTable::Released left;
    while (fragments_.Release(left)) rte_pktmbuf_free(static_cast<rte_mbuf*>(left.packet));
    rte_mempool_free(pool_);
  }

  reconcile::Reconciler& reconciler() override { return reconciler_; }
  void StartCapture(uint64_t first_time_ns) override;
  std::vector<PacketResult> Process(std::span<const Frame> frames, PortId port) override;
  void Advance(uint32_t seconds) override { AdvanceClock(elapsed_ns_ + seconds * kNsPerSecond); }
  uint64_t ElapsedNs() const override { return elapsed_ns_; }
  const LocalDataplane& dataplane() const override { return dataplane_; }
  uint32_t BuffersInUse() const override { return rte_mempool_in_use_count(pool_); }

 private:
  // Not 0: a machine's clock does not start there either.
  static constexpr uint32_t kFirstSecond = 1;

  void* Allocate(size_t bytes);
  static uint32_t SecondOf(uint64_t elapsed_ns) {
    return kFirstSecond + static_cast<uint32_t>(elapsed_ns / kNsPerSecond);
  }
  // What a frame's time stamp is on the clock, be it in the past.
  uint64_t OnClock(uint64_t time_ns) const;
  // Does nothing when the time is in the past.
  void AdvanceClock(uint64_t elapsed_ns);
  void ProcessBurst(std::span<const Frame> frames, PortId port, PacketResult* results);
  void ResumeFragments() {
    while (stage::ResumeFragments(env_, resumed_, sink_) != 0) continue;
  }

  rte_mempool* const pool_;
  LocalDataplane dataplane_;
  reconcile::Reconciler reconciler_;
  stage::NodeTraits node_;
  std::vector<std::unique_ptr<void, FreeDeleter>> memory_;  // of the tables, which it outlives
  fwd::FlowTables tables_;
  lb::FragmentTable fragments_;
  fwd::UnresolvedClients unresolved_;
  ResultSink sink_;
  uint64_t elapsed_ns_ = 0;
  uint32_t now_s_ = kFirstSecond;  // of elapsed_ns_
  // A frame with this time stamp comes at this time; those of one capture keep their distance from it.
  struct Anchor {
    uint64_t time_ns = 0;
    uint64_t elapsed_ns = 0;
  };
  std::optional<Anchor> anchor_;
  stage::Burst burst_;
  stage::Burst resumed_;
  stage::StageEnv env_;  // one for all bursts, as a worker's: it holds the budget of answers
};

void* EngineImpl::Allocate(size_t bytes) {
  constexpr size_t kCacheLine = 64;
  const size_t rounded = (bytes + kCacheLine - 1) / kCacheLine * kCacheLine;
  void* const memory = std::aligned_alloc(kCacheLine, rounded);
  SLUICE_CHECK(memory != nullptr);
  std::memset(memory, 0, rounded);
  memory_.emplace_back(memory);
  return memory;
}

uint64_t EngineImpl::OnClock(uint64_t time_ns) const {
  return anchor_->elapsed_ns + (time_ns > anchor_->time_ns ? time_ns - anchor_->time_ns : 0);
}

void EngineImpl::AdvanceClock(uint64_t elapsed_ns) {
  if (elapsed_ns <= elapsed_ns_) return;
  elapsed_ns_ = elapsed_ns;
  const uint32_t end_s = SecondOf(elapsed_ns);
  const uint32_t start_s = now_s_;
  // A worker's sweep goes on while it forwards and is through within seconds; here it happens when a second is over. A
  // table's time stamps have 16 bits, so a long time passes in parts; after the longest timeout the table is empty.
  constexpr uint32_t kSweepEveryS = 3600;
  while (now_s_ < end_s) {
    const bool all_over = now_s_ - start_s > config::limits::kTimeoutS.max;
    now_s_ = all_over ? end_s : now_s_ + std::min(kSweepEveryS, end_s - now_s_);
    tables_.Sweep(tables_.bucket_count(), now_s_, *dataplane_.state(), dataplane_.counters());
    fragments_.Expire(now_s_);
    env_.state = dataplane_.state();
    ResumeFragments();  // they are all dropped
  }
}

void EngineImpl::StartCapture(uint64_t first_time_ns) {
  const bool is_past = anchor_ && (first_time_ns < anchor_->time_ns || OnClock(first_time_ns) < elapsed_ns_);
  if (!anchor_ || is_past) anchor_ = {.time_ns = first_time_ns, .elapsed_ns = elapsed_ns_};
}

std::vector<PacketResult> EngineImpl::Process(std::span<const Frame> frames, PortId port) {
  SLUICE_CHECK(dataplane_.state() != nullptr && (anchor_.has_value() || frames.empty()));
  std::vector<PacketResult> results(frames.size());
  size_t done = 0;
  while (done < frames.size()) {
    AdvanceClock(OnClock(frames[done].time_ns));
    size_t count = 1;
    // Bursts end where GroupByKind would give frames another order than the capture has.
    while (count < stage::kBurstSize && done + count < frames.size() && !IsFragment(frames[done + count - 1]) &&
           KindOf(frames[done + count - 1]) <= KindOf(frames[done + count]) &&
           SecondOf(std::max(elapsed_ns_, OnClock(frames[done + count].time_ns))) == now_s_) {
      ++count;
    }
    ProcessBurst(frames.subspan(done, count), port, results.data() + done);
    for (size_t i = done; i < done + count; ++i) AdvanceClock(OnClock(frames[i].time_ns));  // in the same second
    done += count;
  }
  return results;
}

void EngineImpl::ProcessBurst(std::span<const Frame> frames, PortId port, PacketResult* results) {
  std::array<rte_mbuf*, stage::kBurstSize> mbufs{};
  for (size_t i = 0; i < frames.size(); ++i) {
    mbufs[i] = MakeMbuf(pool_, frames[i].bytes.data(), static_cast<uint32_t>(frames[i].bytes.size()));
    SLUICE_CHECK(mbufs[i] != nullptr);  // Create made enough for a burst of the largest frames
  }
  const auto arrived = mbufs;
  sink_.Begin(mbufs.data(), results, frames.size());
  env_.state = dataplane_.state();
  env_.now_s = now_s_;
  stage::RunPipeline(mbufs.data(), frames.size(), port, env_, burst_, sink_);
  sink_.BeginReleased();
  ResumeFragments();
  for (size_t i = 0; i < frames.size(); ++i) {
    const stage::Packet& packet = burst_.packets[i];
    SLUICE_CHECK(packet.mbuf == arrived[i]);  // as Process made the burst
    results[i].fate = packet.fate;
    if (packet.fate == Fate::kDropped) results[i].reason = packet.reason;
    results[i].vip = packet.vip;
    results[i].backend = packet.backend;
    results[i].rung = packet.rung;
  }
  unresolved_.TakeAll([this](const fwd::UnresolvedClients::Client& client) { dataplane_.Learn(client.address); });
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> Engine::Create(const config::NodeConfig& node, const EngineOptions& options) {
  if (const absl::Status status = InitEalForBuffersOnly(); !status.ok()) return status;
  // Buffers for a burst of the largest frames, with one more each for what a stage may put in front, for as many pieces
  // as a stage may cut them into, and for all fragments that may wait.
  const uint32_t data_bytes = std::min<uint32_t>(node.memory.mbuf_data_bytes, UINT16_MAX - RTE_PKTMBUF_HEADROOM);
  const auto buffers = static_cast<uint32_t>((kMaxFrameBytes / data_bytes + 2) * stage::kBurstSize +
                                             (UINT16_MAX / data_bytes + 2) * node.fragments.held +
                                             stage::ExtraPackets::kMax + stage::ExtraPackets::kMaxCopies);
  static uint32_t pools = 0;
  rte_mempool* const pool =
      rte_pktmbuf_pool_create(absl::StrCat("replay", pools++).c_str(), buffers, 0, 0,
                              static_cast<uint16_t>(data_bytes + RTE_PKTMBUF_HEADROOM), SOCKET_ID_ANY);
  if (pool == nullptr) {
    return absl::ResourceExhaustedError(absl::StrCat("no memory for ", buffers,
                                                     " packet buffers of node.memory.mbuf_data_bytes = ", data_bytes,
                                                     " with node.fragments.held = ", node.fragments.held));
  }
  return std::make_unique<EngineImpl>(node, options, pool);
}

std::string BackendName(const model::PoolRecord& pool, const model::BackendRecord& backend) {
  return absl::StrCat(pool.name, "/", backend.desired.name);
}

std::vector<Named> VipNames(const model::Registry& registry) {
  std::vector<Named> names;
  for (const model::VipRecord& vip : *registry.vips) names.push_back({vip.id.value(), vip.desired.name});
  return names;
}

std::vector<Named> BackendNames(const model::Registry& registry) {
  std::vector<Named> names;
  for (const auto& pool : registry.pools) {
    for (const model::BackendRecord& backend : pool->backends) {
      names.push_back({backend.id.value(), BackendName(*pool, backend)});
    }
  }
  return names;
}

}  // namespace sluice::replay
