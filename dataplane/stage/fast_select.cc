#include <rte_mbuf.h>

#include "dataplane/net/headers.h"
#include "dataplane/stage/fast_begin.h"
#include "dataplane/stage/fast_cookies.h"
#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_sessions.h"
#include "dataplane/stage/fast_tracked.h"
#include "dataplane/stage/fast_tuple.h"
#include "dataplane/stage/stages.h"

// The fast path's second pass.
namespace sluice::stage {
namespace {

using net::Family;
using Way = fwd::FastPathVip::Way;

// How many backends were chosen in which way.
struct Chosen {
  size_t by_hash = 0;
  size_t by_slot = 0;
};

// The backend of the slot that the packet's cookie names, where that is its connection's, in a state that the packet
// does not change. Invalid: the ladder has to look, and nothing was changed.
inline BackendId SlotBackendOf(Packet& packet, const Marks& marks, Chosen& chosen, StageEnv& env) {
  const uint8_t* const tcp = FrameOf(packet) + packet.headers.l4_offset;
  if (!MayClaim(tcp)) return BackendId();
  lb::ConnectionSlot* const slot =
      env.tables->slots().table.Find(packet.flow_hash, packet.vip, SlotOfClaim(packet, tcp));
  if (slot == nullptr || slot->state != lb::FlowState::kEstablished) return BackendId();
  const BackendId backend = slot->backend;
  if (!marks.Keeps(backend, slot->generation)) [[unlikely]]
    return BackendId();
  slot->last_seen_s = static_cast<uint16_t>(env.now_s);
  ++slot->packets;
  slot->bytes += packet.headers.ip_length;
  packet.rung = fwd::Rung::kSlot;
  ++chosen.by_slot;
  return backend;
}

// Always inline: g++ would hand over the VIP's parts by value, and load those that nobody asks for.
SLUICE_FAST_PATH __attribute__((always_inline)) inline BackendId ChooseBackend(Packet& packet,
                                                                               const fwd::FastPathVip& vip,
                                                                               const Marks& marks, Chosen& chosen,
                                                                               StageEnv& env) {
  if (vip.way == Way::kHash) {
    ++chosen.by_hash;
    packet.rung = fwd::Rung::kHashOnly;
    return BackendId(*SlotOf(vip, packet.flow_hash));
  }
  if (vip.way == Way::kSlot) return SlotBackendOf(packet, marks, chosen, env);
  return BackendId();
}

// Whether the packet begins a connection that may be entered into a slot.
inline bool MayTakeSlot(const Packet& packet, const SelectionTables& tables) {
  return packet.past == Past::kLookup && tables.vips[packet.vip.index()].way == Way::kSlot &&
         ChangeBy(packet) == net::kTcpSyn;
}

// Fetches the slots that connections will take which begin with packets from `at` on, all at once: one by one each
// would be waited for twice (half of row new, stateful).
void PrefetchRooms(const Packet* at, const Packet* end, const SelectionTables& tables, const StageEnv& env) {
  const auto& slots = env.tables->slots();
  if (slots.unconfirmed >= slots.unconfirmed_limit) return;  // in a flood: there is room for none
  for (; at != end; ++at) {
    if (MayTakeSlot(*at, tables)) slots.table.PrefetchRoom(at->flow_hash);
  }
}

// A packet whose fate the selection decided is done with, and of which there are to be copies, that is for Rewrite.
void MarkSelected(Packet& packet) {
  if (packet.fate != Fate::kPending || packet.to_all_backends) return;
  packet.past = packet.session == lb::NatTable::kNone ? Past::kSelection : Past::kSessionSelection;
}

// The run of packets of the first's kind, which begins a connection.
template <Family family>
SLUICE_FAST_PATH inline size_t SelectBeginning(size_t first, Burst& burst, const WantedEntries& wanted,
                                               SelectionTables tables, size_t& fetched_end, StageEnv& env) {
  return burst.packets[first].past == kPassingLookup<family>
             ? SelectPassing<family>(first, burst, wanted, tables, env)
             : SelectNoted<family>(first, burst, wanted, tables, fetched_end, env);
}

// Ends a run that came as far as `next`, and gives its last packet. Where it is empty, the ladder looks for its first.
Packet* EndRun(Packet* first, size_t next, Burst& burst, StageEnv& env) {
  if (&burst.packets[next] != first) return &burst.packets[next - 1];
  SelectBackendFor(*first, env);
  MarkSelected(*first);
  return first;
}

}  // namespace

SLUICE_FAST_PATH void SelectOnFastPath(Burst& burst, const WantedEntries& wanted, StageEnv& env) {
  // A burst of nothing else needs none of the tables below.
  size_t first = 0;
  if (IsTracked(burst.packets[0].past)) {
    first = SelectTrackedRun(0, burst, wanted, env);
    if (first == burst.count) return;
  }
  const SelectionTables tables(env);
  Chosen chosen;
  bool rooms_are_fetched = false;
  size_t fetched_end = 0;
  if (Translates(env)) [[unlikely]]
    PrefetchSessions(burst, env);
  Packet* const end = burst.end();
  for (Packet* at = burst.begin() + first; at < end; ++at) {
    Packet& packet = *at;
    if (packet.past != Past::kLookup) [[unlikely]] {
      const auto place = static_cast<size_t>(at - burst.begin());
      if (IsTracked(packet.past)) {
        at = burst.begin() + SelectTrackedRun(place, burst, wanted, env) - 1;
        continue;
      }
      if (IsBeginning(packet.past)) {
        const auto select =
            packet.headers.family == Family::kIpv4 ? SelectBeginning<Family::kIpv4> : SelectBeginning<Family::kIpv6>;
        at = EndRun(at, select(place, burst, wanted, tables, fetched_end, env), burst, env);
        continue;
      }
      if (packet.past == Past::kKnownLookup) {
        at = burst.begin() + SelectKnown(burst, place, env) - 1;
        continue;
      }
      if (packet.past == Past::kSessionLookup) {
        if (!SelectSession(packet, env)) SelectBackendFor(packet, env);
        MarkSelected(packet);
      } else if (packet.fate == Fate::kPending && packet.past != Past::kSelection) {
        SelectBackendFor(packet, env);
      }
      continue;
    }
    const fwd::FastPathVip& vip = tables.vips[packet.vip.index()];
    const BackendId backend = ChooseBackend(packet, vip, tables.marks, chosen, env);
    if (!backend.valid()) [[unlikely]] {
      if (!rooms_are_fetched && MayTakeSlot(packet, tables)) {
        PrefetchRooms(at, end, tables, env);
        rooms_are_fetched = true;
      }
      size_t next = static_cast<size_t>(at - burst.begin());
      if (vip.way == Way::kTable && packet.headers.protocol == net::kProtocolUdp) {
        const auto select =
            packet.headers.family == Family::kIpv4 ? SelectDatagrams<Family::kIpv4> : SelectDatagrams<Family::kIpv6>;
        next = select(next, burst, wanted, tables, fetched_end, env);
      }
      at = EndRun(at, next, burst, env);
      continue;
    }
    MarkChosen(packet, backend, tables.backends, tables.backend_counters);
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Add(chosen.by_hash);
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kSlot)].Add(chosen.by_slot);
}

}  // namespace sluice::stage
