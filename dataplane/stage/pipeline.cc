#include "dataplane/stage/pipeline.h"

#include <rte_mbuf.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/group_by_kind.h"
#include "dataplane/stage/stages.h"
#include "dataplane/stage/travel_note.h"

namespace sluice::stage {
namespace {

constexpr std::array kStages = {Parse, FollowFragments, LookupVip, SelectBackends, Rewrite};

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
    if (packet.past == Past::kAll || !packet.vip.valid()) continue;
    if (packet.fate == Fate::kHandedOver || packet.fate == Fate::kBuffered) continue;
    fwd::VipCounters& vip = counters.vips[packet.vip.index()];
    const bool to_backend = packet.direction == Direction::kToBackend;
    // The IP packet as it came: the same whatever the encapsulation.
    (to_backend ? vip.requests : vip.replies).Add(packet.headers.ip_length);
    if (packet.fate == Fate::kDropped) vip.dropped.Increment();
    if (to_backend && packet.fate == Fate::kForwarded) {
      counters.backends[packet.backend.index()].requests.Add(packet.headers.ip_length);
    }
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
  burst.count = count;
  if (count == 0) return;
  if (!env.fast_path) {
    for (size_t i = 0; i < count; ++i) PrefetchLine(FrameOf(mbufs[i]));
    CountReceived(count, FrameBytes(mbufs, count), port, *env.counters);
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
