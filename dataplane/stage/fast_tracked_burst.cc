#include "dataplane/stage/fast_tracked_burst.h"

#include <immintrin.h>

#include <array>

#include "dataplane/base/check.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/net/bytes.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/fast_begin.h"
#include "dataplane/stage/fast_marks.h"
#include "dataplane/stage/fast_outer_v4.h"
#include "dataplane/stage/fast_send_run.h"
#include "dataplane/stage/fast_tracked.h"
#include "dataplane/stage/fast_tuple.h"
#include "dataplane/stage/wide.h"

namespace sluice::stage {
namespace {

using net::Family;
using net::Load;

constexpr uint32_t kOverhead = OuterIpBytes(Family::kIpv4);

// Whether all words are this one. In pieces as they were stored: wider loads would wait for the last stores.
SLUICE_FAST_PATH inline bool AllAre(const std::array<uint16_t, kBurstSize>& words, unsigned word) {
  const __m128i wanted = _mm_set1_epi16(static_cast<int16_t>(word));
  __m128i differs = _mm_setzero_si128();
  for (size_t i = 0; i < kBurstSize; i += kEight) {
    const __m128i eight = _mm_load_si128(reinterpret_cast<const __m128i*>(&words[i]));
    differs = _mm_or_si128(differs, _mm_xor_si128(eight, wanted));
  }
  return _mm_testz_si128(differs, differs) != 0;
}

// Way, mode and family of the VIPs, as they lie side by side.
uint16_t KindOf(const fwd::FastPathVip& vip) { return Load<uint16_t>(reinterpret_cast<const uint8_t*>(&vip.way)); }
uint16_t WantedKind() {
  fwd::FastPathVip vip;
  vip.way = fwd::FastPathVip::Way::kTable;
  vip.mode = fwd::ForwardingMode::kIpip;
  vip.family = Family::kIpv4;
  return KindOf(vip);
}

// The first pass of a burst of which all packets begin a connection, or all go on. Returns the first that is to no VIP
// of the kind, or begins where more than the pool's table schedules.
template <bool begins>
SLUICE_FAST_PATH __attribute__((noinline)) size_t LookUp(Parsed& parsed, WantedEntry<Family::kIpv4>* wanted,
                                                         const StageEnv& env) {
  const auto exact_vips = VipFinderOf<Family::kIpv4>(*env.state);
  const lb::AesFlowKeys keys = lb::LoadFlowKeys(*env.state->keys);
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::VipCounters* const counters = env.counters->vips.get();
  const auto connections = TableOf<Family::kIpv4>(*env.tables).table.finder();
  uint16_t kind = WantedKind();
  // Or the compiler would mask what it compares with a constant.
  asm("" : "+r"(kind));
#pragma GCC unroll 8
  for (size_t i = 0; i < kBurstSize; ++i) {
    const VipKey<Family::kIpv4> key(parsed.vip_key[i]);
    const VipId vip = exact_vips.FindIn(parsed.slot[i], key.key, key.address, key.service);
    if (!vip.valid()) [[unlikely]]
      return i;
    const VipIndex index(vip.index());
    const fwd::FastPathVip& entry = index.of(vips);
    if (KindOf(entry) != kind || (begins && entry.slots == nullptr)) [[unlikely]]
      return i;
    parsed.vip_offset[i] = index.offset();
    PrefetchLine(&index.of(counters));
    const uint8_t* const frame = parsed.frame[i];
    const Tuple<Family::kIpv4, net::kProtocolTcp> tuple(frame + kSource<Family::kIpv4>);
    const uint64_t hash = HashOf(tuple, keys);
    Want(tuple, hash, connections, vip, wanted[i]);
    if constexpr (begins) {
      wanted[i].slot = SlotOf(entry, hash);
      PrefetchLine(wanted[i].slot);
    } else {
      PrefetchLine(frame - 1);  // as PrefetchHeadroom; of those that begin it is the second pass's
    }
  }
  return kBurstSize;
}

// Not inline, as FindInSecond.
SLUICE_FAST_PATH __attribute__((noinline)) lb::ConnectionEntryV4* FindUnrecordedInSecond(
    const Parsed& parsed, size_t place, const WantedEntry<Family::kIpv4>& wanted, StageEnv& env) {
  return FindInSecond<Family::kIpv4>(wanted, HashOfUnrecorded(parsed, place, env), env);
}

// The second pass of a burst whose packets all go on. Returns the first that has no entry, or whose backend is not up.
SLUICE_FAST_PATH __attribute__((noinline)) size_t SelectRunning(Parsed& parsed,
                                                                const WantedEntry<Family::kIpv4>* wanted,
                                                                StageEnv& env) {
  const Marks marks(*env.state);
  const fwd::BackendEntry* const backends = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const auto now_s = static_cast<uint16_t>(env.now_s);
  const WantedEntry<Family::kIpv4>* look_for = wanted;
#pragma GCC unroll 8
  for (size_t i = 0; i < kBurstSize; ++i, ++look_for) {
    auto* entry = lb::FindWanted(*look_for->bucket, look_for->entry);
    if (entry == nullptr) [[unlikely]] {
      entry = FindUnrecordedInSecond(parsed, i, *look_for, env);
      if (entry == nullptr) return i;
    }
    // As it is: the compiler would take an id apart.
    const size_t backend = Load<BackendId::rep>(reinterpret_cast<const uint8_t*>(&entry->value.backend));
    if (!marks.IsUp(backend, entry->value.generation)) [[unlikely]]
      return i;
    NoteSeen(entry->value, now_s);
    ChooseUnrecorded(parsed, i, backend, backends, backend_counters);
  }
  return kBurstSize;
}

SLUICE_FAST_PATH inline size_t Select(TrackedBurst kind, Parsed& parsed, const WantedEntries& wanted, StageEnv& env) {
  if (kind == TrackedBurst::kBeginning) return SelectUnrecorded(parsed, wanted, SelectionTables(env), env);
  const size_t next = SelectRunning(parsed, wanted.v4.data(), env);
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(next);
  return next;
}

// The burst's IP packets together.
struct Bytes {
  uint64_t sum, longest;
};
SLUICE_FAST_PATH inline Bytes BytesOf(const Parsed& parsed) {
  __m256i sums = _mm256_setzero_si256(), longest = _mm256_setzero_si256();
  for (size_t i = 0; i < kBurstSize; i += kEight) {
    const __m256i eight = LoadAligned32(&parsed.ip_bytes[i]);
    sums = _mm256_add_epi32(sums, eight);
    longest = _mm256_max_epu32(longest, eight);
  }
  return {.sum = Sum(sums), .longest = Max(longest)};
}

// The third pass, of packets whose backends are all `alike` (PortAndTunnelOf), up to one that is not, or has come from
// its backend: returns that one.
template <bool device_sums>
SLUICE_FAST_PATH __attribute__((noinline)) size_t Send(rte_mbuf* const* mbufs, const Parsed& parsed, uint16_t alike,
                                                       const StageEnv& env) {
  const fwd::BackendEntry* const backends = env.state->backends->data();
  fwd::VipCounters* const vip_counters = env.counters->vips.get();
  fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const auto headroom = static_cast<uint16_t>(mbufs[0]->data_off - kOverhead);
#pragma GCC unroll 8
  for (size_t i = 0; i < kBurstSize; ++i) {
    const auto backend_index = BackendIndex::At(parsed.backend_offset[i]);
    const fwd::BackendEntry& backend = backend_index.of(backends);
    auto* const old_frame = const_cast<uint8_t*>(parsed.frame[i]);
    if (PortAndTunnelOf(backend) != alike || MayHaveComeFrom(backend, old_frame)) [[unlikely]]
      return i;
    rte_mbuf* const mbuf = mbufs[i];
    const uint64_t ip_bytes = parsed.ip_bytes[i];
    mbuf->data_off = headroom;
    SetFrameBytes(mbuf, kOverhead, ip_bytes);
    WriteHeadersV4<Family::kIpv4, device_sums>(mbuf, old_frame - kOverhead, backend,
                                               _mm_cvtsi32_si128(static_cast<int>(parsed.tos_and_length[i])));
    CountForwarded(VipIndex::At(parsed.vip_offset[i]).of(vip_counters), backend_index.of(backend_counters), ip_bytes);
  }
  return kBurstSize;
}

// The third pass of as many packets as it can. `sent`: the port, and the bytes of all if all leave.
SLUICE_FAST_PATH size_t SendAll(rte_mbuf* const* mbufs, const Parsed& parsed, Sent& sent, const StageEnv& env) {
  const fwd::BackendEntry& first = BackendIndex::At(parsed.backend_offset[0]).of(env.state->backends->data());
  if (first.tunnel != static_cast<uint8_t>(Family::kIpv4)) return 0;
  SLUICE_DCHECK(first.port.valid());
  const PortTraits& port = env.node->ports[first.port.index()];
  const Bytes bytes = BytesOf(parsed);
  if (bytes.longest > MostBytesInTunnel(port, Family::kIpv4) || mbufs[0]->data_off < kOverhead) return 0;
  sent = {.port = first.port, .bytes = bytes.sum + kBurstSize * (kL3 + kOverhead)};
  const uint16_t alike = PortAndTunnelOf(first);
  return port.tx_ipv4_checksum ? Send<true>(mbufs, parsed, alike, env) : Send<false>(mbufs, parsed, alike, env);
}

// Makes the records of a burst that is not finished. The first `ready` packets leave by `out_port`.
SLUICE_FAST_PATH __attribute__((noinline)) void MakeRecords(rte_mbuf* const* mbufs, PortId port, TrackedBurst kind,
                                                            const Parsed& parsed, const Unfinished& unfinished,
                                                            size_t ready, PortId out_port, Burst& burst,
                                                            const StageEnv& env) {
  const __m256i in_port = InPort(port);
  const bool runs = kind == TrackedBurst::kRunning;
  for (size_t i = 0; i < unfinished.looked_up; ++i) {
    Packet& packet = burst.packets[i];
    WriteRecordOfEight<Family::kIpv4, net::kProtocolTcp>(packet, mbufs[i], parsed.frame[i], parsed.ip_bytes[i],
                                                         in_port);
    packet.flow_hash = HashOfUnrecorded(parsed, i, env);
    packet.vip = VipId(static_cast<VipId::rep>(VipIndex::At(parsed.vip_offset[i]).index()));
    packet.past = runs ? kTrackedLookup<Family::kIpv4> : kBeginningLookup<Family::kIpv4>;
    if (i >= unfinished.selected) continue;
    packet.backend = BackendId(static_cast<BackendId::rep>(BackendIndex::At(parsed.backend_offset[i]).index()));
    packet.rung = runs ? fwd::Rung::kConnectionTable : fwd::Rung::kScheduler;
    packet.past = Past::kSelection;
    if (i < ready) MarkReady(packet, out_port);
  }
}

}  // namespace

SLUICE_FAST_PATH TrackedBurst TrackedBurstOf(const Parsed& parsed, const StageEnv& env) {
  constexpr auto kNone = TrackedBurst::kNone;
  if (parsed.eights.tcp_v4 != AllPlaces(kBurstSize) || !parsed.same_headroom || env.wants_records) return kNone;
  // Most bursts of others are told by their first.
  const VipKey<Family::kIpv4> key(parsed.vip_key[0]);
  const VipId first = VipFinderOf<Family::kIpv4>(*env.state).FindIn(parsed.slot[0], key.key, key.address, key.service);
  if (!first.valid()) return kNone;
  const fwd::FastPathVip& vip = (*env.state->fast_path_vips)[first.index()];
  if (KindOf(vip) != WantedKind()) return kNone;
  // A pool's backends nearly all have addresses of one family: where it is the other, the first two passes were in vain
  // (1.09 of the cycles). Asked only where there are such, because three lines are read one after the other (0.995).
  if (env.state->has_v6_backends && vip.slots != nullptr &&
      (*env.state->backends)[vip.slots[0]].family != Family::kIpv4)
    return kNone;
  // A tunnel whose source varies is made by the stages.
  if (env.node->tunnel_source_v4.enabled) return kNone;
  if (AllAre(parsed.changes, 0)) return TrackedBurst::kRunning;
  return AllAre(parsed.changes, unsigned{net::kTcpSyn} << 8) ? TrackedBurst::kBeginning : kNone;
}

SLUICE_FAST_PATH Sent SendTrackedBurst(rte_mbuf* const* mbufs, PortId port, TrackedBurst kind, Parsed& parsed,
                                       Burst& burst, WantedEntries& wanted, Unfinished& unfinished, StageEnv& env) {
  SLUICE_DCHECK(burst.count == kBurstSize && kind != TrackedBurst::kNone);
  const auto look_up = kind == TrackedBurst::kRunning ? LookUp<false> : LookUp<true>;
  unfinished = {.looked_up = look_up(parsed, wanted.v4.data(), env)};
  Sent sent;
  size_t ready = 0;
  if (unfinished.looked_up == kBurstSize) {
    unfinished.selected = Select(kind, parsed, wanted, env);
    if (unfinished.selected == kBurstSize) {
      ready = SendAll(mbufs, parsed, sent, env);
      if (ready == kBurstSize) [[likely]] {
        burst.count = 0;
        return sent;
      }
    }
  }
  MakeRecords(mbufs, port, kind, parsed, unfinished, ready, sent.port, burst, env);
  return {};
}

}  // namespace sluice::stage
