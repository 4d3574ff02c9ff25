#include "dataplane/stage/fast_tracked.h"

#include <bit>

#include "dataplane/base/prefetch.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_marks.h"

namespace sluice::stage {

SLUICE_FAST_PATH size_t LookUpTrackedRun(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed,
                                         Burst& burst, WantedEntries& wanted, const StageEnv& env) {
  constexpr auto kFamily = net::Family::kIpv4;
  constexpr uint8_t kProtocol = net::kProtocolTcp;
  const auto vips_v4 = env.state->vip_table->exact_v4().finder();
  const lb::AesFlowKeys keys = lb::LoadFlowKeys(*env.state->keys);
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::VipCounters* const counters = env.counters->vips.get();
  const auto connections = env.tables->v4().table.finder();
  const __m256i in_port = InPort(port);
  const size_t end = first + static_cast<size_t>(std::countr_one(parsed.eights >> first));
  size_t i = first;
  for (; i < end; ++i) {
    const VipKey<kFamily> key(parsed.vip_key[i]);
    const VipId vip = vips_v4.FindIn(parsed.slot[i], key.key, key.address, key.service);
    if (!vip.valid()) [[unlikely]]
      break;
    const fwd::FastPathVip& entry = vips[vip.index()];
    if (entry.way != fwd::FastPathVip::Way::kTable) [[unlikely]]
      break;
    const uint8_t* const frame = parsed.frame[i];
    Packet& packet = burst.packets[i];
    WriteRecordOfEight(packet, mbufs[i], parsed, i, in_port);
    PrefetchHeadroom(frame, entry);
    PrefetchLine(&counters[vip.index()]);
    const Tuple<kFamily, kProtocol> tuple(frame + kSource<kFamily>);
    const uint64_t hash = HashOf(tuple, keys);
    packet.flow_hash = hash;
    packet.vip = vip;
    Track<kProtocol>(tuple.block, hash, entry, connections, packet, wanted[i]);
  }
  return i;
}

SLUICE_FAST_PATH size_t SelectTrackedRun(size_t first, Burst& burst, const WantedEntries& wanted, StageEnv& env) {
  const Marks marks(*env.state);
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const auto now_s = static_cast<uint16_t>(env.now_s);
  const WantedEntry* look_for = &wanted[first];
  Packet* const end = burst.end();
  Packet* at = &burst.packets[first];
  for (; at != end; ++at, ++look_for) {
    Packet& packet = *at;
    if (packet.past != Past::kTrackedLookup) [[unlikely]]
      break;
    lb::ConnectionEntryV4* const entry = lb::FindWanted(*look_for->bucket, look_for->entry);
    if (entry == nullptr || !marks.IsUp(entry->value)) [[unlikely]] {
      packet.past = Past::kLookup;
      break;
    }
    NoteSeen(entry->value, now_s);
    packet.rung = fwd::Rung::kConnectionTable;
    MarkChosen(packet, entry->value.backend, backends, backend_counters);
  }
  const auto next = static_cast<size_t>(at - burst.begin());
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(next - first);
  return next;
}

}  // namespace sluice::stage
