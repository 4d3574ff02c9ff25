#include "tests/bench/pipeline/measure.h"

#include <rte_cycles.h>
#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "absl/strings/str_cat.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/pipeline.h"
#include "tests/bench/pipeline/director.h"
#include "tests/bench/pipeline/traffic.h"

namespace sluice::bench {
namespace {

// Frames are written this far ahead of their use, as by a NIC. With four cache lines of a buffer touched (two of its
// record, two of its data) that is 2 MiB: what the core wrote itself has left its own caches when it is read.
constexpr uint32_t kAhead = 8192;
constexpr uint32_t kWarmUpWindows = 64;

// Keeps what the pipeline hands out, to be freed outside of what is measured.
class KeepingSink final : public stage::PacketSink {
 public:
  explicit KeepingSink(fwd::WorkerCounters& counters) : counters_(counters) {}
  void Transmit(PortId, rte_mbuf** mbufs, size_t count, uint64_t) override {
    for (size_t i = 0; i < count; ++i) kept_[count_++] = mbufs[i];
    counters_.forwarded.Add(count);
  }
  void Answer(PortId, rte_mbuf* mbuf) override { kept_[count_++] = mbuf; }
  void Punt(PortId, stage::PuntClass, rte_mbuf* mbuf) override { kept_[count_++] = mbuf; }
  void HandOver(WorkerId, rte_mbuf* mbuf) override { kept_[count_++] = mbuf; }
  // What was handed out since the last Free, in order.
  rte_mbuf* const* begin() const { return kept_.data(); }
  size_t count() const { return count_; }
  void Free() {
    rte_pktmbuf_free_bulk(kept_.data(), static_cast<unsigned>(count_));
    count_ = 0;
  }

 private:
  fwd::WorkerCounters& counters_;
  std::array<rte_mbuf*, stage::kBurstSize> kept_;
  size_t count_ = 0;
};

// Buffers that "the NIC" has filled, in the order in which they arrive.
class Arrivals {
 public:
  Arrivals(Traffic& traffic, rte_mempool* buffers) : traffic_(traffic), buffers_(buffers) {
    for (rte_mbuf*& mbuf : ring_) mbuf = Fill();
  }
  ~Arrivals() {
    for (rte_mbuf* mbuf : ring_) rte_pktmbuf_free(mbuf);
  }

  // The next burst, with the buffers' records in the cache: a driver has just written them.
  void Receive(rte_mbuf** mbufs, uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      rte_mbuf*& place = ring_[next_++ % kAhead];
      mbufs[i] = place;
      place->port = 0;
      place->ol_flags = 0;
      place = Fill();
    }
  }

 private:
  rte_mbuf* Fill() {
    rte_mbuf* const mbuf = rte_pktmbuf_alloc(buffers_);
    const uint32_t length = traffic_.Next(rte_pktmbuf_mtod(mbuf, uint8_t*));
    mbuf->data_len = static_cast<uint16_t>(length);
    mbuf->pkt_len = length;
    return mbuf;
  }

  Traffic& traffic_;
  rte_mempool* const buffers_;
  std::array<rte_mbuf*, kAhead> ring_;
  uint64_t next_ = 0;
};

// What two looks at the clock take, one right after the other: some 70 cycles, for each burst, in virtual machines. The
// least of many. What is taken off a measurement is what was spent on it, to within a few cycles.
uint64_t ClockCycles() {
  uint64_t least = UINT64_MAX;
  for (int i = 0; i < 10'000; ++i) {
    const uint64_t begin = rte_rdtsc_precise();
    least = std::min(least, rte_rdtsc_precise() - begin);
  }
  return least;
}

// Cycles by window, over the median window, that follow a change until its tables are in the cache again: the median
// over all changes, because other work disturbs some of them more than a change does.
double CyclesPerChange(const std::vector<double>& cycles, const std::vector<size_t>& changed, double median) {
  constexpr size_t kBehind = 8;
  std::vector<double> costs;
  for (const size_t first : changed) {
    const size_t end = std::min(first + kBehind, cycles.size());
    costs.push_back(std::accumulate(&cycles[first], cycles.data() + end, 0.0) -
                    median * static_cast<double>(end - first));
  }
  return SpreadOf(std::move(costs)).p50;
}

class Run {
 public:
  Run(const Scenario& scenario, const MeasureOptions& options, rte_mempool* buffers, Director& director)
      : scenario_(scenario),
        options_(options),
        buffers_(buffers),
        director_(director),
        traffic_(scenario),
        sink_(director.counters()) {}

  // A SYN and an ACK of each flow, with NAT the backend's answer between them, so that it is an established connection.
  void OpenConnections() {
    const bool stateless = scenario_.selection == Selection::kHash || scenario_.selection == Selection::kCookie;
    if (scenario_.load == Load::kNoVip || stateless) return;
    for (uint64_t flow = 0; flow < scenario_.flows;) {
      const auto count = std::min<uint64_t>(stage::kBurstSize, scenario_.flows - flow);
      const auto step = [&](auto write) {
        std::array<rte_mbuf*, stage::kBurstSize> mbufs;
        for (uint64_t i = 0; i < count; ++i) {
          mbufs[i] = rte_pktmbuf_alloc(buffers_);
          const uint32_t length = write(flow + i, rte_pktmbuf_mtod(mbufs[i], uint8_t*));
          mbufs[i]->data_len = static_cast<uint16_t>(length);
          mbufs[i]->pkt_len = length;
        }
        Process(mbufs.data(), static_cast<uint32_t>(count));
      };
      step([&](uint64_t each, uint8_t* frame) { return traffic_.Write(each, net::kTcpSyn, frame); });
      // One that got lost shows in what CheckFates counts.
      for (uint64_t i = 0; i < std::min<uint64_t>(count, sink_.count()); ++i) {
        traffic_.Learn(flow + i, rte_pktmbuf_mtod(sink_.begin()[i], const uint8_t*));
      }
      sink_.Free();
      if (config::IsNat(scenario_.mode)) {
        step([&](uint64_t each, uint8_t* frame) {
          return traffic_.WriteReply(each, net::kTcpSyn | net::kTcpAck, frame);
        });
        sink_.Free();
      }
      step([&](uint64_t each, uint8_t* frame) { return traffic_.Write(each, net::kTcpAck, frame); });
      sink_.Free();
      flow += count;
    }
  }

  Result Windows() {
    Arrivals arrivals(traffic_, buffers_);
    std::vector<double> cycles, reference;
    std::vector<size_t> changed;  // windows in which a state was taken up
    for (uint32_t i = 0; i < kWarmUpWindows; ++i) Window(arrivals);
    if (scenario_.changes_per_s != 0) director_.StartChanges(scenario_.changes_per_s);
    for (uint32_t i = 0; i < options_.windows; ++i) {
      cycles.push_back(Window(arrivals));
      if (took_up_) changed.push_back(i);
      reference.push_back(ReferenceWindow());
      ForgetNewFlows();
    }
    Result result;
    result.scenario = scenario_;
    result.cycles = SpreadOf(cycles);
    result.reference = SpreadOf(std::move(reference));
    result.mpps = static_cast<double>(rte_get_tsc_hz()) / result.cycles.p50 / 1e6;
    result.packets = uint64_t{options_.windows} * Bursts() * scenario_.burst;
    result.changes = changed.size();
    result.cycles_per_change = CyclesPerChange(cycles, changed, result.cycles.p50) * Bursts() * scenario_.burst;
    result.clock_cycles = clock_cycles_;
    return result;
  }

 private:
  uint32_t Bursts() const { return std::max<uint32_t>(1, options_.window_packets / scenario_.burst); }

  uint64_t Process(rte_mbuf** mbufs, uint32_t count) {
    const uint64_t begin = rte_rdtsc_precise();
    stage::RunPipeline(mbufs, count, Director::port(), director_.env(), burst_, sink_);
    return rte_rdtsc_precise() - begin - clock_cycles_;
  }

  double Window(Arrivals& arrivals) {
    std::array<rte_mbuf*, stage::kBurstSize> mbufs;
    uint64_t cycles = 0;
    took_up_ = false;
    for (uint32_t i = 0; i < Bursts(); ++i) {
      arrivals.Receive(mbufs.data(), scenario_.burst);
      cycles += Process(mbufs.data(), scenario_.burst);
      sink_.Free();
      took_up_ = director_.TakeUpState() || took_up_;
    }
    return static_cast<double>(cycles) / (Bursts() * scenario_.burst);
  }

  double ReferenceWindow() {
    std::array<rte_mbuf*, stage::kBurstSize> mbufs;
    uint64_t cycles = 0;
    for (uint32_t i = 0; i < Bursts(); ++i) {
      const uint64_t begin = rte_rdtsc_precise();
      for (uint32_t k = 0; k < scenario_.burst; ++k) {
        mbufs[k] = rte_pktmbuf_alloc(buffers_);
        *rte_pktmbuf_mtod(mbufs[k], volatile uint8_t*) = static_cast<uint8_t>(k);
      }
      rte_pktmbuf_free_bulk(mbufs.data(), scenario_.burst);
      cycles += rte_rdtsc_precise() - begin - clock_cycles_;
    }
    return static_cast<double>(cycles) / (Bursts() * scenario_.burst);
  }

  // Flows of one packet fill their share of the table; once it is near, their time passes.
  void ForgetNewFlows() {
    if (!scenario_.has_new()) return;
    const auto fills = [](const auto& counted) { return counted.unconfirmed * 2 > counted.unconfirmed_limit; };
    fwd::FlowTables& tables = *director_.env().tables;
    if (fills(tables.v4()) || fills(tables.v6()) || fills(tables.slots())) director_.Advance(FirstPacketTimeoutS());
  }

  // Of datagrams it is that of all others, too: then those that were opened end with them.
  uint32_t FirstPacketTimeoutS() const { return scenario_.protocol == net::kProtocolUdp ? 61 : 31; }

  const uint64_t clock_cycles_ = ClockCycles();
  const Scenario& scenario_;
  const MeasureOptions& options_;
  rte_mempool* const buffers_;
  Director& director_;
  Traffic traffic_;
  KeepingSink sink_;
  stage::Burst burst_;
  bool took_up_ = false;  // in the last window
};

fwd::Rung RungOf(const Scenario& scenario) {
  if (scenario.selection == Selection::kHash) return fwd::Rung::kHashOnly;
  if (scenario.selection == Selection::kCookie) return fwd::Rung::kCookie;
  if (scenario.load == Load::kNew) return fwd::Rung::kScheduler;
  return scenario.selection == Selection::kSlot ? fwd::Rung::kSlot : fwd::Rung::kConnectionTable;
}

// That each selection of the row mixed found what it is about: of what goes on an eighth by hash and by cookie, the
// rest in the table. Half of that is asked for, because flows are drawn.
bool HasItsRungs(const fwd::WorkerCounters& counters, uint64_t opened) {
  const uint64_t going_on = (counters.received.Value() - opened) / 16 * 15;
  const auto on = [&counters](fwd::Rung rung) { return counters.rungs[static_cast<size_t>(rung)].Value(); };
  return on(fwd::Rung::kHashOnly) >= going_on / 16 && on(fwd::Rung::kCookie) >= going_on / 16 &&
         on(fwd::Rung::kConnectionTable) >= going_on / 2;
}

// That packets were treated as the row says.
absl::Status CheckFates(const Scenario& scenario, const fwd::WorkerCounters& counters) {
  const uint64_t received = counters.received.Value();
  const uint64_t as_meant = scenario.load == Load::kNoVip
                                ? counters.dropped[static_cast<size_t>(DropReason::kPuntNoHost)].Value()
                                : counters.forwarded.Value();
  const fwd::Rung rung = RungOf(scenario);
  // What begins, first of all what opened the connections, goes by the scheduler. Answers of backends have no rung.
  const bool both = scenario.one_new_in != 0;
  const uint64_t begun = both ? counters.rungs[static_cast<size_t>(fwd::Rung::kScheduler)].Value() : 0;
  const uint64_t on_rung = counters.rungs[static_cast<size_t>(rung)].Value() + begun;
  const uint64_t not_on_rung = both || scenario.selection == Selection::kHash ? 0 : 2ull * scenario.flows;
  const bool has_no_rung = scenario.load == Load::kNoVip || config::IsNat(scenario.mode);
  const bool as_selected = scenario.load == Load::kMixed ? HasItsRungs(counters, 2ull * scenario.flows)
                                                         : has_no_rung || on_rung + not_on_rung >= received;
  if (as_meant == received && as_selected) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(scenario.Name(), ": of ", received, " packets only ", as_meant,
                                          " had the fate that the row is about, and ", on_rung, " its rung"));
}

}  // namespace

Spread SpreadOf(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const auto at = [&values](double share) {
    return values[static_cast<size_t>(share * static_cast<double>(values.size() - 1))];
  };
  return {.p10 = at(0.1), .p50 = at(0.5), .p90 = at(0.9)};
}

absl::StatusOr<Result> Measure(const Scenario& scenario, const MeasureOptions& options, rte_mempool* buffers) {
  auto director = Director::Create(scenario, options.hugepages);
  if (!director.ok()) return director.status();
  Run run(scenario, options, buffers, **director);
  run.OpenConnections();
  Result result = run.Windows();
  if (const absl::Status status = CheckFates(scenario, (*director)->counters()); !status.ok()) return status;
  return result;
}

}  // namespace sluice::bench
