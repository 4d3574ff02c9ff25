#ifndef SLUICE_DATAPLANE_STAGE_FAST_PATH_H_
#define SLUICE_DATAPLANE_STAGE_FAST_PATH_H_

#include <immintrin.h>

#include <array>

#include "dataplane/base/count_in_place.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/base/scaled_index.h"
#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/bytes.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// The way of nearly all packets: whole, untagged TCP and UDP without IP options in one buffer, of flows that go on, to
// backends behind L2 or a tunnel, or by sessions of address translation (fast_nat.h). It does in three passes over a
// burst what the stages do in five, with fewer and wider instructions, and leaves each packet that it does not know for
// sure to the stages, at the point up to which they need not look again (Past). The stages alone are the reference: for
// every burst, bytes, records, tables and counters come out the same with and without the fast path, but for records
// that nobody asks for (tests/stage/fast_path_test.cc, fast_nat_test.cc, fast_tracked_burst_test.cc).
//
// Needs AVX2, BMI, AES-NI and PCLMULQDQ, as all x86 servers of the last ten years have; elsewhere the stages do all the
// work.
namespace sluice::stage {

// Of the functions that run there only.
#define SLUICE_FAST_PATH __attribute__((target("avx2,bmi,bmi2,aes,pclmul")))

// Where a burst goes: the port by which all packets of it leave; invalid if not all of them do, or by different ports,
// and then there is something to do for the passes and stages behind.
struct Sent {
  PortId port;
  uint64_t bytes = 0;  // of their frames, as they leave
};

// What became of a burst's packets.
struct Looked {
  size_t left = 0;      // nothing was decided: they are left to the stages
  size_t refused = 0;   // dropped with kPuntNoHost, which is not counted yet
  size_t selected = 0;  // Past::kSelection or kAll
  Sent sent;            // valid: nothing else is to be done
};

// Places of a burst's packets, a bit for each.
using Places = uint32_t;
static_assert(kBurstSize == 32);
constexpr Places AllPlaces(size_t count) { return count == 0 ? 0 : ~Places{0} >> (kBurstSize - count); }

// What the first pass has in registers and the second needs of packets to VIPs of the way kTable, and of SYNs to those
// of kCookie. Nearly all of the former are kTrackedLookup, because they neither begin nor end a connection.
template <net::Family family>
struct WantedEntry;
template <>
struct WantedEntry<net::Family::kIpv4> {
  __m128i entry;  // as lb::FindWanted has it
  lb::ConnectionTableV4::Entries* bucket;
  const uint16_t* slot;  // of the pool's table; with kBeginningLookup and kPassingLookup only
};
template <>
struct WantedEntry<net::Family::kIpv6> {
  lb::EntryBytesV6 entry;
  lb::ConnectionTableV6::Entries* bucket;
  const uint16_t* slot;
};
// By place in the burst.
struct WantedEntries {
  template <net::Family family>
  const auto& of() const {
    if constexpr (family == net::Family::kIpv4) {
      return v4;
    } else {
      return v6;
    }
  }
  template <net::Family family>
  auto& of() {
    return const_cast<std::array<WantedEntry<family>, kBurstSize>&>(std::as_const(*this).of<family>());
  }

  std::array<WantedEntry<net::Family::kIpv4>, kBurstSize> v4;
  std::array<WantedEntry<net::Family::kIpv6>, kBurstSize> v6;
};

template <net::Family family>
inline constexpr Past kTrackedLookup = family == net::Family::kIpv4 ? Past::kTrackedLookupV4 : Past::kTrackedLookupV6;
template <net::Family family>
inline constexpr Past kBeginningLookup =
    family == net::Family::kIpv4 ? Past::kBeginningLookupV4 : Past::kBeginningLookupV6;
template <net::Family family>
inline constexpr Past kPassingLookup = family == net::Family::kIpv4 ? Past::kPassingLookupV4 : Past::kPassingLookupV6;
inline bool IsTracked(Past past) {
  return past == kTrackedLookup<net::Family::kIpv4> || past == kTrackedLookup<net::Family::kIpv6>;
}
inline bool IsBeginning(Past past) {
  return past == kBeginningLookup<net::Family::kIpv4> || past == kBeginningLookup<net::Family::kIpv6> ||
         past == kPassingLookup<net::Family::kIpv4> || past == kPassingLookup<net::Family::kIpv6>;
}

// What CountReceived, InitPacket, Parse, FollowFragments and LookupVip do, of a burst that came by `port` just now and
// is not empty; makes its records. And what SelectBackends does where a cookie names the backend, and all stages do of
// bursts of known sessions, and of those that need no records.
Looked LookUpOnFastPath(rte_mbuf** mbufs, PortId port, Burst& burst, WantedEntries& wanted, StageEnv& env);

// What SelectBackends does of the others, in the burst's order, because packets of one flow may be in it.
void SelectOnFastPath(Burst& burst, const WantedEntries& wanted, StageEnv& env);

// What Rewrite does of most packets.
Sent SendOnFastPath(Burst& burst, StageEnv& env);

// The slot of the pool's table that a packet goes by, or a connection that begins. `vip` has slots, and is not of the
// way kCookie, whose slots are other ones.
inline const uint16_t* SlotOf(const fwd::FastPathVip& vip, uint64_t hash) {
  return &vip.slots[lb::SlotOf(hash, vip.slot_count)];
}
inline void PrefetchSlot(const fwd::FastPathVip& vip, uint64_t hash) { PrefetchLine(SlotOf(vip, hash)); }

// Into what the fast path reads and counts of VIPs and of backends.
using VipIndex = ScaledIndex<sizeof(fwd::FastPathVip)>;
using BackendIndex = ScaledIndex<sizeof(fwd::BackendCounters)>;

// Fetches what the third pass reads and writes first of a backend: its line and its counters.
inline void PrefetchBackend(const BackendIndex& index, const fwd::BackendEntry* backends,
                            const fwd::BackendCounters* counters) {
  PrefetchLine(&index.of(backends));
  PrefetchLine(&index.of(counters));
}

// The backend is chosen, and counted by the caller as chosen in its way.
inline void MarkChosen(Packet& packet, BackendId backend, const fwd::BackendEntry* backends,
                       const fwd::BackendCounters* counters) {
  packet.backend = backend;
  packet.past = Past::kSelection;
  PrefetchBackend(BackendIndex(backend.index()), backends, counters);
}

// The packet is ready to leave by `port`, and nothing is left to do for the stages: in one store.
inline void MarkReady(Packet& packet, PortId port) {
  constexpr size_t kAt = offsetof(Packet, reason);
  static_assert(offsetof(Packet, out_port) == kAt + 1 && offsetof(Packet, fate) == kAt + 2 &&
                offsetof(Packet, past) == kAt + 3);
  const uint32_t ready = uint32_t{static_cast<uint8_t>(DropReason::kCount)} | uint32_t{port.value()} << 8 |
                         uint32_t{static_cast<uint8_t>(Fate::kForwarded)} << 16 |
                         uint32_t{static_cast<uint8_t>(Past::kAll)} << 24;
  net::Store(reinterpret_cast<uint8_t*>(&packet) + kAt, ready);
}

// A loop over packets reads the counters' addresses once: to the compiler, a byte written into a packet may be one of
// them. `bytes`: of the IP packet as the client sent it.
SLUICE_FAST_PATH inline void CountForwarded(fwd::VipCounters& vip, fwd::BackendCounters& backend, uint64_t bytes) {
  CountInPlace(vip.requests, bytes);
  CountInPlace(backend.requests, bytes);
}
SLUICE_FAST_PATH inline void CountForwarded(const Packet& packet, fwd::WorkerCounters& counters) {
  CountForwarded(counters.vips[packet.vip.index()], counters.backends[packet.backend.index()],
                 packet.headers.ip_length);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_PATH_H_
