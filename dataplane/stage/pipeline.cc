#include "dataplane/stage/pipeline.h"

#include <rte_mbuf.h>

#include <array>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

constexpr std::array kStages = {Parse, LookupVip, SelectBackends, Rewrite};

void Admit(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst) {
  uint64_t bytes = 0;
  burst.count = count;
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    // Reading the mbuf here brings it in; its first header bytes are needed by the next stage.
    __builtin_prefetch(rte_pktmbuf_mtod(mbuf, const void*));
    bytes += rte_pktmbuf_pkt_len(mbuf);
    Packet& packet = burst.packets[i];
    packet.mbuf = mbuf;
    packet.flow_hash = 0;
    packet.vip = VipId();
    packet.backend = BackendId();
    packet.in_port = port;
    packet.out_port = PortId();
    packet.fate = Fate::kPending;
    packet.reason = DropReason::kCount;
    packet.rung = fwd::Rung::kNone;
    packet.related = false;
  }
  env.counters->received.Add(count);
  fwd::PortCounters& port_counters = env.counters->ports[port.index()];
  port_counters.rx_packets.Add(count);
  port_counters.rx_bytes.Add(bytes);
}

// Counts VIPs and backends while the mbufs are still ours.
void CountServices(const Burst& burst, fwd::WorkerCounters& counters) {
  for (size_t i = 0; i < burst.count; ++i) {
    const Packet& packet = burst.packets[i];
    if (!packet.vip.valid()) continue;
    fwd::VipCounters& vip = counters.vips[packet.vip.index()];
    vip.packets.Increment();
    // The IP packet as the client sent it: the same whatever the encapsulation.
    vip.bytes.Add(packet.headers.ip_length);
    if (packet.fate == Fate::kDropped) {
      vip.dropped.Increment();
    } else if (packet.fate == Fate::kForwarded) {
      fwd::BackendCounters& backend = counters.backends[packet.backend.index()];
      backend.packets.Increment();
      backend.bytes.Add(packet.headers.ip_length);
    }
  }
}

// Hands packets on in order, in runs of the same port.
class Handover {
 public:
  explicit Handover(PacketSink& sink) : sink_(sink) {}

  void Transmit(PortId port, rte_mbuf* mbuf) {
    if (port != port_) Flush();
    port_ = port;
    mbufs_[count_++] = mbuf;
  }

  void Flush() {
    if (count_ > 0) sink_.Transmit(port_, mbufs_.data(), count_);
    count_ = 0;
  }

 private:
  PacketSink& sink_;
  PortId port_;
  size_t count_ = 0;
  std::array<rte_mbuf*, kBurstSize> mbufs_;
};

void Settle(Burst& burst, StageEnv& env, PacketSink& sink) {
  CountServices(burst, *env.counters);
  Handover handover(sink);
  std::array<rte_mbuf*, kBurstSize> dropped;
  size_t dropped_count = 0;
  for (Packet& packet : burst) {
    if (packet.fate == Fate::kPunted && !env.node->ports[packet.in_port.index()].has_exception_port) {
      Drop(packet, DropReason::kPuntNoHost);
    }
    switch (packet.fate) {
      case Fate::kForwarded:
        handover.Transmit(packet.out_port, packet.mbuf);
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
      case Fate::kPending:
      case Fate::kSentForHost:
        SLUICE_CHECK(false && "a stage left a packet without a fate that the pipeline can carry out");
    }
  }
  handover.Flush();
  if (dropped_count > 0) rte_pktmbuf_free_bulk(dropped.data(), static_cast<unsigned>(dropped_count));
}

}  // namespace

void RunPipeline(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst, PacketSink& sink) {
  SLUICE_DCHECK(count <= kBurstSize);
  Admit(mbufs, count, port, env, burst);
  for (const auto stage : kStages) stage(burst, env);
  Settle(burst, env, sink);
}

}  // namespace sluice::stage
