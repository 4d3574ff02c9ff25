#include "dataplane/runtime/worker.h"

#include <rte_cycles.h>
#include <rte_ethdev.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/probes.h"

namespace sluice::runtime {
namespace {

// A full pass over the connection tables takes about this long. It bounds how long an ended flow keeps its slot and
// counts as alive, so how long a drain outlasts its last flow, and how long a removed backend's id is out of use.
constexpr uint64_t kSweepPassS = 5;
// At most this many buckets (cache lines) at once, a few microseconds: tables of millions of connections take a pass in
// a minute or so rather than a noticeable share of the worker's time.
constexpr uint64_t kMaxSweepBuckets = 256;
constexpr uint64_t kSweepIntervalsPerS = 1000;

// The queues that the worker receives from.
std::vector<PortQueue> RxQueues(const std::vector<WorkerPort>& ports) {
  std::vector<PortQueue> queues;
  for (const WorkerPort& port : ports) {
    if (port.queue.can_receive) queues.push_back(port.queue);
  }
  return queues;
}

}  // namespace

Worker::Worker(WorkerSetup setup)
    : setup_(std::move(setup)),
      counters_(setup_.max_vips, setup_.max_backends),
      fragments_(setup_.fragments.packets, setup_.fragments.held, setup_.fragments.timeout_s),
      sleeper_(RxQueues(setup_.ports), setup_.idle == IdleMode::kAdaptive && setup_.rx_interrupts),
      // The longer limit is only for the interrupts of all queues; Run knows when attaching has failed.
      idle_(setup_.idle, IdlePolicy::kMaxNapNs),
      tsc_hz_(rte_get_tsc_hz()),
      sweep_interval_(tsc_hz_ / kSweepIntervalsPerS) {
  for (const WorkerPort& port : setup_.ports) {
    if (port.queue.can_receive) receiving_.push_back(port);
    if (port.from_host != nullptr) sending_for_host_.push_back(port);
    for (const TxKind kind : {kForward, kAnswer, kProbe}) {
      tx_[TxIndex(port.id, kind)].queue = port.queue;
      tx_[TxIndex(port.id, kind)].port_counters = &counters_.ports[port.id.index()];
    }
    tx_[TxIndex(port.id, kForward)].sent = &counters_.forwarded;
    tx_[TxIndex(port.id, kAnswer)].sent = &counters_.answered;
    tx_[TxIndex(port.id, kProbe)].sent = &counters_.sent_for_host;
  }
  env_.node = setup_.node;
  env_.tables = setup_.tables.get();
  env_.counters = &counters_;
  env_.fragments = &fragments_;
  env_.unresolved = &unresolved_;
  env_.probes = setup_.probes;
}

void Worker::Connect(std::vector<Worker*> workers) {
  env_.worker = setup_.id;
  env_.worker_count = static_cast<uint16_t>(workers.size());
  handovers_.resize(workers.size());
  for (size_t i = 0; i < workers.size(); ++i) handovers_[i].owner = workers[i];
}

void Worker::Stop() {
  stop_.store(true, std::memory_order_release);
  sleeper_.Wake();
}

void Worker::Wake() {
  // Pairs with the exchange in Sleep. Both modify one variable, so one comes first: if Sleep does, this sees that the
  // worker sleeps; if this does, the worker's last look at its rings sees the packet.
  if (sleeping_.fetch_or(0, std::memory_order_acq_rel) != 0) sleeper_.Wake();
}

void Worker::Run() {
  const uint32_t reader = setup_.id.value();
  sleeper_.Attach();
  if (sleeper_.uses_interrupts()) idle_ = IdlePolicy(setup_.idle, IdlePolicy::kMaxInterruptSleepNs);
  start_tsc_ = round_tsc_ = last_sweep_tsc_ = rte_rdtsc();
  next_second_tsc_ = start_tsc_ + tsc_hz_;
  ns_per_cycle_q32_ = (uint64_t{1'000'000'000} << 32) / tsc_hz_;
  setup_.publisher->Online(reader);
  while (!stop_.load(std::memory_order_acquire)) {
    TakeUpState();
    const size_t packets = Round();
    counters_.polls.Increment();
    if (packets >= stage::kBurstSize && ++unclocked_rounds_ < kRoundsByClock) [[likely]] {
      setup_.publisher->Quiescent(reader);
      continue;
    }
    const bool had_work = packets + unclocked_rounds_ != 0;
    unclocked_rounds_ = 0;
    if (packets == 0) counters_.empty_polls.Increment();
    const uint64_t tsc = rte_rdtsc();
    Account(had_work, tsc);
    if (tsc - last_sweep_tsc_ >= sweep_interval_) Housekeep(tsc);
    const uint64_t nap_ns = idle_.AfterRound(had_work, ToNs(tsc - start_tsc_));
    if (nap_ns != 0) {
      Sleep(nap_ns);
    } else {
      setup_.publisher->Quiescent(reader);
    }
  }
  setup_.publisher->Offline(reader);
  sleeper_.Detach();
}

void Worker::TakeUpState() {
  // Not compared by address: a new state may lie where one lay that was freed meanwhile.
  env_.state = setup_.publisher->Read();
  if (env_.state->generation != generation_) {
    generation_ = env_.state->generation;
    counters_.state_generation.Set(generation_);
  }
}

size_t Worker::Round() {
  size_t packets = 0;
  for (const WorkerPort& port : receiving_) packets += Receive(port);
  // Nobody hands over to the only worker: its inbox is two cache lines that need not be looked at.
  if (handovers_.size() > 1) packets += TakeOver();
  for (const WorkerPort& port : sending_for_host_) packets += SendForHost(port);
  FlushAll();
  return packets;
}

size_t Worker::Receive(const WorkerPort& port) {
  std::array<rte_mbuf*, stage::kBurstSize> mbufs;
  const size_t count = rte_eth_rx_burst(port.queue.device, port.queue.queue, mbufs.data(), stage::kBurstSize);
  if (count != 0) {
    stage::RunPipeline(mbufs.data(), count, port.id, env_, burst_, *this);
    ResumeFragments();
  }
  return count;
}

// One burst a round, as from each port: what others bring does not keep the worker from its own ports.
size_t Worker::TakeOver() {
  std::array<rte_mbuf*, stage::kBurstSize> mbufs;
  const size_t count = inbox_.Take(mbufs.data(), mbufs.size());
  if (count != 0) {
    counters_.taken_over.Add(count);
    stage::ResumePipeline(mbufs.data(), count, env_, burst_, *this);
    ResumeFragments();
  }
  return count;
}

void Worker::ResumeFragments() {
  // Nearly never is there one: a look, not a call.
  if (fragments_.held() == 0) return;
  while (stage::ResumeFragments(env_, burst_, *this) != 0) continue;
}

size_t Worker::SendForHost(const WorkerPort& port) {
  std::array<rte_mbuf*, stage::kBurstSize> mbufs;
  const size_t count =
      rte_ring_dequeue_burst(port.from_host, reinterpret_cast<void**>(mbufs.data()), stage::kBurstSize, nullptr);
  if (count == 0) return 0;
  const size_t others = stage::TakeProbes(mbufs.data(), count, port.id, env_, burst_);
  for (const stage::Packet& probe : burst_) {
    if (probe.fate == Fate::kForwarded) {
      Append(TxIndex(probe.out_port, kProbe), probe.mbuf);
    } else {
      Drop(probe.mbuf, probe.reason);
    }
  }
  if (others != 0) {
    Send(tx_[TxIndex(port.id, kProbe)], mbufs.data(), others, stage::FrameBytes(mbufs.data(), others));
  }
  return count;
}

void Worker::Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) {
  const size_t index = TxIndex(port, kForward);
  TxBuffer& buffer = tx_[index];
  if (count == buffer.mbufs.size() && buffer.count == 0) [[likely]] {
    // A full burst, as under load nearly all are, gains nothing by waiting for more.
    Send(buffer, mbufs, count, bytes);
    return;
  }
  tx_filled_ |= uint64_t{1} << index;
  Keep(buffer, mbufs, count, bytes);
}

void Worker::Keep(TxBuffer& buffer, rte_mbuf** mbufs, size_t count, uint64_t bytes) {
  // As runs: a packet at a time takes a twentieth of the worker's instructions.
  while (count != 0) {
    if (buffer.count == buffer.mbufs.size()) Flush(buffer);
    const size_t taken = std::min(count, buffer.mbufs.size() - buffer.count);
    const uint64_t taken_bytes = taken == count ? bytes : stage::FrameBytes(mbufs, taken);
    std::copy_n(mbufs, taken, buffer.mbufs.data() + buffer.count);
    buffer.count += taken;
    buffer.bytes += taken_bytes;
    mbufs += taken;
    count -= taken;
    bytes -= taken_bytes;
  }
}

void Worker::Answer(PortId port, rte_mbuf* mbuf) { Append(TxIndex(port, kAnswer), mbuf); }

void Worker::HandOver(WorkerId owner, rte_mbuf* mbuf) {
  HandoverBuffer& buffer = handovers_[owner.index()];
  if (buffer.count == buffer.mbufs.size()) Flush(buffer);
  buffer.mbufs[buffer.count++] = mbuf;
  handovers_wait_ = true;
}

void Worker::Flush(HandoverBuffer& buffer) {
  if (buffer.count == 0) return;
  const size_t taken = buffer.owner->inbox_.Put(buffer.mbufs.data(), buffer.count);
  for (size_t i = taken; i < buffer.count; ++i) Drop(buffer.mbufs[i], DropReason::kHandoverQueueFull);
  counters_.handed_over.Add(taken);
  buffer.count = 0;
  buffer.owner->Wake();
}

void Worker::DropHeld() {
  rte_mbuf* mbuf = nullptr;
  while (inbox_.Take(&mbuf, 1) != 0) Drop(mbuf, DropReason::kHandoverQueueFull);
  fragments_.Clear();
  lb::FragmentTable::Released released;
  while (fragments_.Release(released)) Drop(static_cast<rte_mbuf*>(released.packet), DropReason::kFragmentTimeout);
  counters_.fragments_held.Set(0);
}

void Worker::Append(size_t tx_index, rte_mbuf* mbuf) {
  TxBuffer& buffer = tx_[tx_index];
  if (buffer.count == buffer.mbufs.size()) Flush(buffer);
  buffer.mbufs[buffer.count++] = mbuf;
  buffer.bytes += rte_pktmbuf_pkt_len(mbuf);
  tx_filled_ |= uint64_t{1} << tx_index;
}

void Worker::Flush(TxBuffer& buffer) {
  Send(buffer, buffer.mbufs.data(), buffer.count, buffer.bytes);
  buffer.count = 0;
  buffer.bytes = 0;
}

void Worker::FlushAll() {
  for (; tx_filled_ != 0; tx_filled_ &= tx_filled_ - 1) Flush(tx_[static_cast<size_t>(std::countr_zero(tx_filled_))]);
  if (!handovers_wait_) return;
  handovers_wait_ = false;
  for (HandoverBuffer& buffer : handovers_) Flush(buffer);
}

void Worker::Send(const TxBuffer& buffer, rte_mbuf** mbufs, size_t count, uint64_t bytes) {
  // What the device took it may have freed: only the lengths of the others can be read then.
  const size_t sent = rte_eth_tx_burst(buffer.queue.device, buffer.queue.queue, mbufs, static_cast<uint16_t>(count));
  for (size_t i = sent; i < count; ++i) {
    bytes -= rte_pktmbuf_pkt_len(mbufs[i]);
    Drop(mbufs[i], DropReason::kTxQueueFull);
  }
  buffer.sent->Add(sent);
  buffer.port_counters->tx_packets.Add(sent);
  buffer.port_counters->tx_bytes.Add(bytes);
}

void Worker::Punt(PortId port, stage::PuntClass punt_class, rte_mbuf* mbuf) {
  const auto found = std::find_if(setup_.ports.begin(), setup_.ports.end(),
                                  [port](const WorkerPort& candidate) { return candidate.id == port; });
  if (found == setup_.ports.end() || found->punt == nullptr) {
    Drop(mbuf, DropReason::kPuntNoHost);
  } else if (!found->punt->Put(punt_class, mbuf)) {
    Drop(mbuf, DropReason::kPuntQueueFull);
  } else {
    has_punted_ = true;
  }
}

void Worker::Drop(rte_mbuf* mbuf, DropReason reason) {
  rte_pktmbuf_free(mbuf);
  counters_.dropped[static_cast<size_t>(reason)].Increment();
}

void Worker::Account(bool had_work, uint64_t tsc) {
  if (had_work) {
    counters_.busy_cycles.Add(tsc - round_tsc_);
  } else {
    counters_.idle_cycles.Add(tsc - round_tsc_);
  }
  round_tsc_ = tsc;
}

void Worker::Housekeep(uint64_t tsc) {
  const uint64_t since_sweep = tsc - last_sweep_tsc_;
  if (tsc >= next_second_tsc_) BeginSecond(tsc);
  last_sweep_tsc_ = tsc;
  // In microseconds, so that the product stays in range for any table and pause.
  const uint64_t elapsed_us = std::min<uint64_t>(since_sweep / (tsc_hz_ / 1'000'000 + 1), kSweepPassS * 1'000'000);
  const uint64_t due = setup_.tables->bucket_count() * elapsed_us / (kSweepPassS * 1'000'000) + 1;
  setup_.tables->Sweep(std::min(due, kMaxSweepBuckets), env_.now_s, *env_.state, counters_);
  mail_.Serve([this](const fwd::FlowQuestion& question) { return LookUp(question); });
}

void Worker::BeginSecond(uint64_t tsc) {
  env_.now_s = static_cast<uint32_t>((tsc - start_tsc_) / tsc_hz_);
  next_second_tsc_ = start_tsc_ + (uint64_t{env_.now_s} + 1) * tsc_hz_;
  fragments_.Expire(env_.now_s);
  ResumeFragments();
}

fwd::FlowFinding Worker::LookUp(const fwd::FlowQuestion& question) {
  fwd::FlowFinding finding = fwd::LookUpFlow(*env_.state, question, env_.now_s, *setup_.tables, counters_);
  finding.worker = setup_.id;
  if (!finding.backend.valid()) return finding;
  const fwd::BackendEntry& backend = (*env_.state->backends)[finding.backend.index()];
  const stage::TunnelFields fields = stage::TunnelFieldsOf(*setup_.node, backend, finding.hash);
  finding.tunnel_source = fields.source;
  finding.udp_source_port = fields.udp_source_port;
  finding.flow_label = fields.flow_label;
  return finding;
}

void Worker::Sleep(uint64_t ns) {
  const uint32_t reader = setup_.id.value();
  if (sleeper_.uses_interrupts()) {
    sleeping_.exchange(1, std::memory_order_acq_rel);
    sleeper_.Arm();
    const bool came_late = Round() != 0 || stop_.load(std::memory_order_acquire);
    if (came_late) {
      ns = 0;
      setup_.publisher->Quiescent(reader);
    }
  }
  if (has_punted_) {
    setup_.punted->Signal();
    has_punted_ = false;
  }
  if (ns != 0) {
    // Offline: a state may be replaced and freed while the worker sleeps, without waiting for it.
    env_.state = nullptr;
    setup_.publisher->Offline(reader);
    const uint64_t began = rte_rdtsc();
    sleeper_.Sleep(ns);
    setup_.publisher->Online(reader);
    counters_.sleeps.Increment();
    round_tsc_ = rte_rdtsc();
    counters_.slept_ns.Add(ToNs(round_tsc_ - began));
  }
  if (sleeper_.uses_interrupts()) {
    sleeper_.Disarm();
    sleeping_.store(0, std::memory_order_relaxed);
  }
}

uint64_t Worker::ToNs(uint64_t cycles) const {
  // Each round asks: a product rather than two divisions.
  return static_cast<uint64_t>(static_cast<unsigned __int128>(cycles) * ns_per_cycle_q32_ >> 32);
}

}  // namespace sluice::runtime
