#include "dataplane/stage/pipeline.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/group_by_kind.h"
#include "dataplane/stage/stages.h"
#include "dataplane/stage/travel_note.h"

namespace sluice::stage {
namespace {

constexpr std::array kStages = {Parse, FollowFragments, LookupVip, SelectBackends, Rewrite};

// Fetches what the parser reads of the frames first; returns how many bytes they have. `second_lines`: see
// ForwardingState::reads_second_lines.
template <bool second_lines>
uint64_t FetchFrames(rte_mbuf* const* mbufs, size_t count) {
  uint64_t bytes = 0;
  // A number that the compiler does not know: it would load it anew for each packet.
  size_t in_second_line = 65;
  asm("" : "+r"(in_second_line));
#pragma GCC unroll 4
  for (size_t i = 0; i < count; ++i) {
    // Reading the mbuf here brings it in; its first header bytes are needed next.
    const auto* const frame = rte_pktmbuf_mtod(mbufs[i], const uint8_t*);
    const size_t length = rte_pktmbuf_pkt_len(mbufs[i]);
    bytes += length;
    PrefetchLine(frame);
    // Of IPv6 what is needed goes on in the second line: TCP's flags; and of cookies, which lie in TSecr. Of a frame
    // that has none, the first once more: what is fetched for nothing costs a tenth of all (rows of 66 B). (In a chain
    // of buffers it may lie in the next one; those are the stages'.)
    if constexpr (second_lines) PrefetchLine(frame + std::min(length, in_second_line) - 1);
  }
  return bytes;
}

void CountReceived(rte_mbuf* const* mbufs, size_t count, PortId port, bool second_lines,
                   fwd::WorkerCounters& counters) {
  const uint64_t bytes = second_lines ? FetchFrames<true>(mbufs, count) : FetchFrames<false>(mbufs, count);
  counters.received.Add(count);
  fwd::PortCounters& port_counters = counters.ports[port.index()];
  port_counters.rx_packets.Add(count);
  port_counters.rx_bytes.Add(bytes);
}

// For packets that come back: they were counted, and say themselves where they came from.
void Readmit(Packet& packet, rte_mbuf* mbuf) {
  PrefetchLine(rte_pktmbuf_mtod(mbuf, const void*));
  const TravelNote note = ReadTravelNote(mbuf);
  InitPacket(packet, mbuf, note.in_port);
  packet.hops = note.hops;
  packet.asked = note.asked;
  packet.resumed = true;
}

// One that waited for the first fragment: what was decided goes on its way with it.
void Readmit(Packet& packet, const lb::FragmentTable::Released& released) {
  auto* mbuf = static_cast<rte_mbuf*>(released.packet);
  Readmit(packet, mbuf);
  if (released.verdict.kind == lb::FragmentVerdict::Kind::kDrop) {
    Drop(packet, released.verdict.reason);
    return;
  }
  TravelNote note = ReadTravelNote(mbuf);
  note.protocol = released.verdict.ports.protocol;
  note.source_port = released.verdict.ports.source;
  note.destination_port = released.verdict.ports.destination;
  WriteTravelNote(mbuf, note);
  WriteFirstEcho(mbuf, released.verdict.ports.echo);
}

// Counts VIPs and backends while the mbufs are still ours.
void CountServices(const Burst& burst, fwd::WorkerCounters& counters) {
  for (size_t i = 0; i < burst.count; ++i) {
    const Packet& packet = burst.packets[i];
    if (packet.past == Past::kAll) continue;
    if (packet.fate == Fate::kForwarded && packet.direction == Direction::kToBackend) [[likely]] {
      CountForwarded(packet, counters);
      continue;
    }
    if (!packet.vip.valid() || packet.fate == Fate::kHandedOver || packet.fate == Fate::kBuffered) continue;
    fwd::VipCounters& vip = counters.vips[packet.vip.index()];
    if (packet.direction != Direction::kToBackend) {
      vip.reply_packets.Increment();
      vip.reply_bytes.Add(packet.headers.ip_length);
      if (packet.fate == Fate::kDropped) vip.dropped.Increment();
      continue;
    }
    vip.packets.Increment();
    // The IP packet as the client sent it: the same whatever the encapsulation.
    vip.bytes.Add(packet.headers.ip_length);
    if (packet.fate == Fate::kDropped) vip.dropped.Increment();
  }
}

// Hands packets on in order, in runs of the same port.
class Transmission {
 public:
  explicit Transmission(PacketSink& sink) : sink_(sink) {}

  void Add(PortId port, rte_mbuf* mbuf) {
    if (port != port_ || count_ == mbufs_.size()) Flush();
    port_ = port;
    mbufs_[count_++] = mbuf;
    bytes_ += rte_pktmbuf_pkt_len(mbuf);
  }

  void Flush() {
    if (count_ > 0) sink_.Transmit(port_, mbufs_.data(), count_, bytes_);
    count_ = 0;
    bytes_ = 0;
  }

 private:
  PacketSink& sink_;
  PortId port_;
  size_t count_ = 0;
  uint64_t bytes_ = 0;
  std::array<rte_mbuf*, kBurstSize> mbufs_;
};

// Two workers may disagree about who owns a packet for a moment, while they use different states. To its owner, once
// round all workers in search of its flow, and to the owner once more: beyond that it wanders.
size_t MaxHops(const StageEnv& env) { return std::min<size_t>(env.worker_count + size_t{2}, UINT8_MAX); }

// The last word on packets that a stage wanted to leave in a way that is not open to them.
void CheckWayOut(Packet& packet, const StageEnv& env) {
  if (packet.fate == Fate::kPunted && !env.node->ports[packet.in_port.index()].has_exception_port) {
    Drop(packet, DropReason::kPuntNoHost);
  } else if (packet.fate == Fate::kHandedOver && packet.hops >= MaxHops(env)) {
    Drop(packet, DropReason::kHandoverLimit);
  }
}

void HandOverPacket(const Packet& packet, const StageEnv& env, PacketSink& sink) {
  SLUICE_DCHECK(packet.owner.index() < env.worker_count && packet.owner != env.worker);
  TravelNote note = {.in_port = packet.in_port, .hops = static_cast<uint8_t>(packet.hops + 1), .asked = packet.asked};
  if (packet.part != FragmentPart::kWhole) {
    note.protocol = packet.headers.protocol;
    note.source_port = packet.headers.source_port;
    note.destination_port = packet.headers.destination_port;
  }
  WriteTravelNote(packet.mbuf, note);
  sink.HandOver(packet.owner, packet.mbuf);
}

void Settle(Burst& burst, StageEnv& env, PacketSink& sink) {
  CountServices(burst, *env.counters);
  Transmission transmission(sink);
  std::array<rte_mbuf*, kBurstSize> dropped;
  size_t dropped_count = 0;
  for (Packet& packet : burst) {
    if (packet.fate == Fate::kForwarded && env.extras.empty()) [[likely]] {
      transmission.Add(packet.out_port, packet.mbuf);
      continue;
    }
    CheckWayOut(packet, env);
    switch (packet.fate) {
      case Fate::kForwarded:
        transmission.Add(packet.out_port, packet.mbuf);
        break;
      case Fate::kAnswered:
        sink.Answer(packet.out_port, packet.mbuf);
        break;
      case Fate::kPunted:
        packet.punt_class = ClassifyPunt(packet, *env.node);
        sink.Punt(packet.in_port, packet.punt_class, packet.mbuf);
        break;
      case Fate::kDropped:
        env.counters->dropped[static_cast<size_t>(packet.reason)].Increment();
        dropped[dropped_count++] = packet.mbuf;
        break;
      case Fate::kHandedOver:
        HandOverPacket(packet, env, sink);
        break;
      case Fate::kBuffered:  // the fragment table has it
        break;
      case Fate::kPending:
      case Fate::kSentForHost:
        SLUICE_CHECK(false && "a stage left a packet without a fate that the pipeline can carry out");
    }
    // Copies leave also when the packet itself cannot.
    env.extras.Take(&packet, [&](PortId port, rte_mbuf* mbuf) {
      env.counters->originated.Increment();
      transmission.Add(port, mbuf);
    });
  }
  transmission.Flush();
  if (dropped_count > 0) rte_pktmbuf_free_bulk(dropped.data(), static_cast<unsigned>(dropped_count));
}

// Frees a burst of packets that were dropped unread, which nearly always came from one pool and go back to it as one:
// what rte_pktmbuf_free_bulk does to tell the rest costs as much as looking at them did (row no-vip).
void FreeRefused(rte_mbuf** mbufs, size_t count) {
  if (count == 0) return;
  rte_mempool* const pool = mbufs[0]->pool;
  std::array<void*, kBurstSize> freed;
  unsigned freed_count = 0;
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* const mbuf = mbufs[i];
    if (mbuf->pool != pool) [[unlikely]] {
      rte_pktmbuf_free(mbuf);
    } else if (rte_mbuf* const last = rte_pktmbuf_prefree_seg(mbuf); last != nullptr) {
      freed[freed_count++] = last;
    }
  }
  rte_mempool_put_bulk(pool, freed.data(), freed_count);
}

}  // namespace

void RunPipeline(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst, PacketSink& sink) {
  SLUICE_DCHECK(count <= kBurstSize);
  CountReceived(mbufs, count, port, env.state->reads_second_lines, *env.counters);
  burst.count = count;
  if (!env.fast_path) {
    if (count >= kLeastGrouped) GroupByKind(mbufs, 0, count);
    for (size_t i = 0; i < count; ++i) InitPacket(burst.packets[i], mbufs[i], port);
    for (const auto stage : kStages) stage(burst, env);
    Settle(burst, env, sink);
    return;
  }
  WantedEntries wanted;
  const Looked looked = LookUpOnFastPath(mbufs, port, burst, wanted, env);
  if (looked.sent.port.valid()) {
    sink.Transmit(looked.sent.port, mbufs, count, looked.sent.bytes);
    return;
  }
  if (looked.refused == count) {
    // A flood of what is no VIP's: there is nobody to count and nothing to rewrite.
    env.counters->dropped[static_cast<size_t>(DropReason::kPuntNoHost)].Add(count);
    FreeRefused(mbufs, count);
    return;
  }
  if (looked.left != 0) {
    Parse(burst, env);
    FollowFragments(burst, env);
    LookupVip(burst, env);
  }
  if (looked.selected != count) SelectOnFastPath(burst, wanted, env);
  if (const Sent sent = SendOnFastPath(burst, env); sent.port.valid()) [[likely]] {
    sink.Transmit(sent.port, mbufs, count, sent.bytes);
    return;
  }
  Rewrite(burst, env);
  Settle(burst, env, sink);
}

void ResumePipeline(rte_mbuf** mbufs, size_t count, StageEnv& env, Burst& burst, PacketSink& sink) {
  SLUICE_DCHECK(count <= kBurstSize);
  burst.count = count;
  for (size_t i = 0; i < count; ++i) Readmit(burst.packets[i], mbufs[i]);
  for (const auto stage : kStages) stage(burst, env);
  Settle(burst, env, sink);
}

size_t ResumeFragments(StageEnv& env, Burst& burst, PacketSink& sink) {
  burst.count = 0;
  lb::FragmentTable::Released released;
  while (burst.count < kBurstSize && env.fragments->Release(released)) {
    Readmit(burst.packets[burst.count++], released);
  }
  if (burst.count == 0) return 0;
  env.counters->fragments_held.Set(env.fragments->held());
  for (const auto stage : kStages) stage(burst, env);
  Settle(burst, env, sink);
  return burst.count;
}

}  // namespace sluice::stage
