#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/find_known.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_begin.h"
#include "dataplane/stage/fast_cookies.h"
#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_sessions.h"
#include "dataplane/stage/fast_tuple.h"
#include "dataplane/stage/stages.h"

// The fast path's second pass.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using Way = fwd::FastPathVip::Way;

// All backends' marks. Read once: to the compiler, a byte written into a packet may be where they are.
struct Marks {
  const fwd::BackendMark* marks;
  uint16_t count;  // as wide as ids: the compiler sees that one below it is valid, and does not ask again

  // Whether the connection's backend is there still, and up.
  bool IsUp(const lb::ConnectionValue& value) const {
    const size_t i = value.backend.index();
    return i < count && marks[i].is_up && marks[i].generation == value.generation;
  }
  bool Keeps(BackendId backend, uint8_t generation) const {
    const size_t i = backend.index();
    return i < count && marks[i].keeps_flows && marks[i].generation == generation;
  }
};

// How many backends were chosen in which way.
struct Chosen {
  size_t by_table = 0;
  size_t by_hash = 0;
  size_t by_slot = 0;
};

template <Family family>
auto KeyOf(const Packet& packet, const uint8_t* frame) {
  const uint8_t* const client = frame + kSource<family>;
  const net::ParsedHeaders& headers = packet.headers;
  if constexpr (family == Family::kIpv4) {
    return lb::ConnectionKeyV4{.client = Load<uint32_t>(client),
                               .client_port = headers.source_port,
                               .destination_port = headers.destination_port,
                               .vip = packet.vip};
  } else {
    return lb::ConnectionKeyV6{.client_high = Load<uint64_t>(client),
                               .client_low = Load<uint64_t>(client + 8),
                               .client_port = headers.source_port,
                               .destination_port = headers.destination_port,
                               .vip = packet.vip};
  }
}

// What is remembered of the packet's connection, if it lies in this bucket, in a state that the packet does not change.
template <Family family, typename Bucket>
SLUICE_FAST_PATH inline lb::ConnectionValue* KnownIn(Bucket& bucket, const Packet& packet, const uint8_t* frame) {
  const bool tcp = packet.headers.protocol == net::kProtocolTcp;
  const lb::FlowState state = tcp ? lb::FlowState::kEstablished : lb::FlowState::kUdp;
  auto* const entry = lb::FindKnown(bucket, TupleOf<family>(packet, frame), state);
  return entry == nullptr ? nullptr : &entry->value;
}

// Of IPv6 one connection in fourteen lies in its second bucket, and two alone share one: left to the ladder, these
// would double the row's cost. Not inline, so that what it takes is not kept in registers for all others.
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) lb::ConnectionValue* KnownInSecond(const Packet& packet,
                                                                              const uint8_t* frame, StageEnv& env) {
  auto* const second = TableOf<family>(*env.tables).table.SecondEntries(KeyOf<family>(packet, frame), packet.flow_hash);
  return second == nullptr ? nullptr : KnownIn<family>(*second, packet, frame);
}

// The backend of a flow that goes on: its entry in the connection table, in a state that the packet does not change.
template <Family family>
SLUICE_FAST_PATH inline BackendId TrackedBackendOf(Packet& packet, const Marks& marks, Chosen& chosen, StageEnv& env) {
  const net::ParsedHeaders& headers = packet.headers;
  const auto* const frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
  // SYN, FIN and RST begin and end connections.
  const auto special = static_cast<uint8_t>(headers.tcp_flags & (net::kTcpSyn | net::kTcpFin | net::kTcpRst));
  if (special != 0) [[unlikely]]
    return BackendId();
  auto& bucket = TableOf<family>(*env.tables).table.FirstEntries(packet.flow_hash);
  lb::ConnectionValue* value = KnownIn<family>(bucket, packet, frame);
  if (value == nullptr) [[unlikely]] {
    value = KnownInSecond<family>(packet, frame, env);
    if (value == nullptr) return BackendId();
  }
  if (!marks.IsUp(*value)) [[unlikely]]
    return BackendId();
  // The line is written once a second.
  const auto now_s = static_cast<uint16_t>(env.now_s);
  if (value->last_seen_s != now_s) [[unlikely]]
    value->last_seen_s = now_s;
  ++chosen.by_table;
  packet.rung = fwd::Rung::kConnectionTable;
  return value->backend;
}

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
    return BackendId(vip.slots[lb::SlotOf(packet.flow_hash, vip.slot_count)]);
  }
  if (vip.way == Way::kTable) [[likely]] {
    return packet.headers.family == Family::kIpv4 ? TrackedBackendOf<Family::kIpv4>(packet, marks, chosen, env)
                                                  : TrackedBackendOf<Family::kIpv6>(packet, marks, chosen, env);
  }
  if (vip.way == Way::kSlot) return SlotBackendOf(packet, marks, chosen, env);
  return BackendId();
}

// A packet whose fate the selection decided is done with, and of which there are to be copies, that is for Rewrite.
void MarkSelected(Packet& packet) {
  if (packet.fate != Fate::kPending || packet.to_all_backends) return;
  packet.past = packet.session == lb::NatTable::kNone ? Past::kSelection : Past::kSessionSelection;
}

}  // namespace

SLUICE_FAST_PATH void SelectOnFastPath(Burst& burst, StageEnv& env) {
  const SelectionTables tables = {.vips = env.state->fast_path_vips->data(),
                                  .marks = env.state->backend_marks.data(),
                                  .backends = env.state->backends->data(),
                                  .vip_counters = env.counters->vips.get(),
                                  .backend_counters = env.counters->backends.get()};
  const Marks marks = {.marks = tables.marks, .count = static_cast<uint16_t>(env.state->backend_marks.size())};
  Chosen chosen;
  if (Translates(env)) [[unlikely]]
    PrefetchSessions(burst, env);
  Packet* const end = burst.end();
  for (Packet* at = burst.begin(); at < end; ++at) {
    Packet& packet = *at;
    if (packet.past != Past::kLookup) [[unlikely]] {
      if (packet.past == Past::kKnownLookup) {
        at = burst.begin() + SelectKnown(burst, static_cast<size_t>(at - burst.begin()), env) - 1;
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
    const BackendId backend = ChooseBackend(packet, vip, marks, chosen, env);
    if (!backend.valid()) [[unlikely]] {
      Packet* const next = vip.way == Way::kTable ? SelectBeginning(at, end, tables, env) : at;
      if (next != at) {
        at = next - 1;
        continue;
      }
      SelectBackendFor(packet, env);
      MarkSelected(packet);
      continue;
    }
    packet.backend = backend;
    packet.past = Past::kSelection;
    // What the next pass reads and writes first.
    PrefetchLine(&tables.backends[backend.index()]);
    PrefetchLine(&tables.backend_counters[backend.index()]);
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kConnectionTable)].Add(chosen.by_table);
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kHashOnly)].Add(chosen.by_hash);
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kSlot)].Add(chosen.by_slot);
}

}  // namespace sluice::stage
