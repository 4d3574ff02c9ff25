#include "dataplane/fwd/ladder.h"

#include <array>
#include <cstring>

#include "dataplane/fwd/homes.h"
#include "dataplane/fwd/policies.h"
#include "dataplane/fwd/slots.h"
#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

// The first half and the second of an address; IPv4 addresses take four bytes of the first.
void LoadAddress(const uint8_t* at, net::Family family, uint64_t& high, uint64_t& low) {
  if (family == net::Family::kIpv4) {
    std::memcpy(&high, at, sizeof(uint32_t));
    return;
  }
  std::memcpy(&high, at, sizeof(high));
  std::memcpy(&low, at + sizeof(high), sizeof(low));
}

template <typename Key>
void SetPorts(const FlowView& flow, Key& key) {
  key.client_port = flow.client_port;
  key.destination_port = flow.destination_port;
  key.vip = flow.vip;
}

lb::ConnectionKeyV4 KeyV4(const FlowView& flow) {
  lb::ConnectionKeyV4 key;
  std::memcpy(&key.client, flow.client, sizeof(key.client));
  SetPorts(flow, key);
  return key;
}

lb::ConnectionKeyV6 KeyV6(const FlowView& flow) {
  lb::ConnectionKeyV6 key;
  uint64_t high = 0;
  uint64_t low = 0;
  LoadAddress(flow.client, net::Family::kIpv6, high, low);
  key.client_high = high;
  key.client_low = low;
  SetPorts(flow, key);
  return key;
}

lb::ConnectionKeyWide KeyWide(const FlowView& flow) {
  std::array<uint64_t, 4> halves{};
  LoadAddress(flow.client, flow.family, halves[0], halves[1]);
  LoadAddress(flow.destination, flow.family, halves[2], halves[3]);
  lb::ConnectionKeyWide key;
  key.client_high = halves[0];
  key.client_low = halves[1];
  key.destination_high = halves[2];
  key.destination_low = halves[3];
  SetPorts(flow, key);
  return key;
}

template <typename Table>
class Ladder {
 public:
  // `given_away`: the packet names a backend that is down and gives its flows away.
  Ladder(const ForwardingState& state, const FlowView& flow, bool given_away, uint32_t now_s,
         CountedTable<Table>& counted, TableCounters& table_counters, WorkerCounters& counters)
      : state_(state),
        flow_(flow),
        given_away_(given_away),
        now_s_(now_s),
        counted_(counted),
        table_counters_(table_counters),
        counters_(counters) {}

  Selection Select(const typename Table::Key& key, FlowTables& tables) {
    auto* entry = counted_.table.Find(key, flow_.hash);
    if (flow_.related) return Related(entry);
    if (entry != nullptr) return FromEntry(*entry, tables);
    BackendId backend = ScheduleFlow(state_, flow_);
    bool is_home = false;
    if (vip().unsafe_only) {
      const Home home = HomeOf(state_, flow_);
      if (home.safe) return Safe(home.backend);
      // What goes on and has no entry began at home.
      is_home = home.backend.valid() && (flow_.tcp_flags & net::kTcpSyn) == 0;
      if (is_home) backend = home.backend;
    }
    if (!backend.valid()) return NoBackendFor(vip());
    const bool remember = !flow_.has_timestamps || !vip().cookies || vip().slots;
    const Rung rung = remember ? Enter(key, tables, backend) : Rung::kHashOnly;
    // What is not remembered looks new with each packet; of TCP a SYN still tells a beginning.
    const bool is_new =
        flow_.protocol == net::kProtocolTcp ? (flow_.tcp_flags & net::kTcpSyn) != 0 : rung == Rung::kScheduler;
    if (given_away_) {
      counters_.rescheduled.Increment();
    } else if (is_new) {
      counters_.vips[flow_.vip.index()].new_flows.Increment();
    } else if (flow_.protocol == net::kProtocolTcp && (flow_.tcp_flags & net::kTcpRst) == 0 && !is_home) {
      NoteUnprotected(rung);
    }
    return {.backend = backend, .rung = rung};
  }

 private:
  using Entry = lb::ConnectionEntry<typename Table::Key>;

  const VipEntry& vip() const { return (*state_.vips)[flow_.vip.index()]; }

  Selection Related(const Entry* entry) const {
    if (entry != nullptr && BackendExists(*state_.backends, entry->value)) {
      return {.backend = entry->value.backend, .rung = Rung::kConnectionTable};
    }
    BackendId backend = vip().unsafe_only ? HomeOf(state_, flow_).backend : BackendId();
    if (!backend.valid()) backend = ScheduleFlow(state_, flow_);
    if (!backend.valid()) return {};
    return {.backend = backend, .rung = Rung::kSchedulerNoEntry};
  }

  // No change of the backends could move the flow, so nothing is remembered.
  Selection Safe(BackendId home) {
    if (given_away_) {
      counters_.rescheduled.Increment();
    } else if ((flow_.tcp_flags & net::kTcpSyn) != 0) {
      counters_.vips[flow_.vip.index()].new_flows.Increment();
    }
    return {.backend = home, .rung = Rung::kSafe};
  }

  Selection FromEntry(Entry& entry, FlowTables& tables) {
    const bool exists = BackendExists(*state_.backends, entry.value);
    // An entry whose time is over is as good as swept, unless the connection shows life: a packet that does not begin
    // anything is better kept where its connection was.
    const bool syn = (flow_.tcp_flags & net::kTcpSyn) != 0;
    const bool over = syn && (EntryIsOver(entry, state_, now_s_) || (exists && BeginsElsewhere(entry)));
    const bool leaves = exists && LeavesDown(entry);
    if (leaves && IsResetByDown((*state_.backends)[entry.value.backend.index()], flow_.protocol, flow_.tcp_flags)) {
      return Reset(entry);
    }
    if (exists && !leaves && !over && !(syn && lb::BeginsAnew(entry.state(), flow_.tcp_flags))) {
      // Most packets change nothing; the line is written once a second and at a change of state.
      if (entry.value.last_seen_s != static_cast<uint16_t>(now_s_)) {
        entry.value.last_seen_s = static_cast<uint16_t>(now_s_);
      }
      // An established connection's ordinary segments, nearly all packets there are, leave its state as it is.
      const bool ordinary = (flow_.tcp_flags & (net::kTcpSyn | net::kTcpFin | net::kTcpRst)) == 0;
      if (entry.state() != lb::FlowState::kEstablished || !ordinary) {
        const lb::FlowState next = lb::NextState(entry.state(), flow_.tcp_flags);
        if (next != entry.state()) SetState(entry, next);
      }
      return {.backend = entry.value.backend, .rung = Rung::kConnectionTable};
    }
    const BackendId backend = PlaceFlow(state_, flow_, now_s_, tables, counters_);
    if (!backend.valid()) return NoBackendFor(vip());
    counters_.backends[entry.value.backend.index()].flows_ended.Increment();
    table_counters_.replaced.Increment();
    if (exists && !leaves) {
      counters_.vips[flow_.vip.index()].new_flows.Increment();
    } else {
      counters_.rescheduled.Increment();
    }
    Assign(entry, backend);
    return {.backend = backend, .rung = Rung::kScheduler};
  }

  // A running connection that nothing but the hash could place.
  void NoteUnprotected(Rung rung) {
    UnprotectedCounters& counters = counters_.unprotected;
    const bool entered = rung == Rung::kScheduler;
    if (rung == Rung::kHashOnly) {
      counters.no_cookie.Increment();
    } else if (entered && !counted_.RefusedLately(now_s_)) {
      counters.unknown.Increment();
    } else {
      counters.no_room.Increment();
      if (entered || (flow_.tcp_flags & net::kTcpFin) != 0) counters.no_room_flows.Increment();
    }
    counters_.vips[flow_.vip.index()].unprotected.Increment();
  }

  // True for a packet whose backend is down and that does not go there. What nobody answered yet is no connection that
  // could be kept.
  bool LeavesDown(const Entry& entry) const {
    const BackendEntry& backend = (*state_.backends)[entry.value.backend.index()];
    if (backend.state != BackendState::kDown) return false;
    if (entry.state() == lb::FlowState::kNew && (flow_.tcp_flags & net::kTcpSyn) != 0) return true;
    return !StaysWith(backend, flow_);
  }

  // Of a SYN, if the connection's backend is down and a second of the clock has begun since its last packet. A server
  // that dies resets its connections past us, so that their entries stay; when a client uses such a port again, its SYN
  // would be refused, and keep the entry alive. On a connection in use it may be forged, and that stays. (With an RST
  // in front of it, a forged one begins anew in any case.)
  bool BeginsElsewhere(const Entry& entry) const {
    const bool down = (*state_.backends)[entry.value.backend.index()].state == BackendState::kDown;
    return down && entry.IdleSeconds(now_s_) > 0 && net::IsSyn(flow_.tcp_flags);
  }

  // Ends the flow as an RST of its client would.
  Selection Reset(Entry& entry) {
    if (entry.state() != lb::FlowState::kReset) SetState(entry, lb::FlowState::kReset);
    entry.value.last_seen_s = static_cast<uint16_t>(now_s_);
    return {.backend = {}, .rung = Rung::kConnectionTable, .refusal = Refusal::kReset};
  }

  // Enters the flow into the table where it should be and fits. `backend` is the hash's choice, and is changed to the
  // policy's where there is an entry to remember it.
  Rung Enter(const typename Table::Key& key, FlowTables& tables, BackendId& backend) {
    const lb::FlowState first = lb::FirstState(flow_.protocol, flow_.tcp_flags);
    if (first == lb::FlowState::kReset) return Rung::kScheduler;
    if (lb::IsUnconfirmed(first) && counted_.unconfirmed >= counted_.unconfirmed_limit) {
      table_counters_.unconfirmed_full.Increment();
      counted_.NoteRefusal(now_s_);
      return Rung::kSchedulerNoEntry;
    }
    auto* entry = counted_.table.Insert(key, flow_.hash, now_s_, [this](const Entry& old) {
      return EndIfOver(old, state_, now_s_, counted_.unconfirmed, table_counters_, counters_);
    });
    if (entry == nullptr) {
      table_counters_.insert_full.Increment();
      counted_.NoteRefusal(now_s_);
      return Rung::kSchedulerNoEntry;
    }
    table_counters_.inserted.Increment();
    if (!vip().unsafe_only && GoesByPolicy(state_, vip())) {
      backend = PlaceFlow(state_, flow_, now_s_, tables, counters_);
    }
    Assign(*entry, backend);
    return Rung::kScheduler;
  }

  // Makes the entry one of a flow that has just begun on `backend`.
  void Assign(Entry& entry, BackendId backend) {
    entry.value.backend = backend;
    entry.value.generation = static_cast<uint8_t>((*state_.backends)[backend.index()].generation);
    entry.value.last_seen_s = static_cast<uint16_t>(now_s_);
    SetState(entry, lb::FirstState(flow_.protocol, flow_.tcp_flags));
    counters_.backends[backend.index()].flows_started.Increment();
  }

  void SetState(Entry& entry, lb::FlowState next) {
    if (lb::IsUnconfirmed(entry.state())) --counted_.unconfirmed;
    if (lb::IsUnconfirmed(next)) ++counted_.unconfirmed;
    entry.set_state(next);
  }

  const ForwardingState& state_;
  const FlowView& flow_;
  const bool given_away_;
  const uint32_t now_s_;
  CountedTable<Table>& counted_;
  TableCounters& table_counters_;
  WorkerCounters& counters_;
};

Selection SelectTracked(const ForwardingState& state, const FlowView& flow, bool given_away, uint32_t now_s,
                        FlowTables& tables, WorkerCounters& counters) {
  const auto select = [&](auto& table, TableCounters& table_counters, const auto& key) {
    return Ladder(state, flow, given_away, now_s, table, table_counters, counters).Select(key, tables);
  };
  if ((*state.vips)[flow.vip.index()].is_prefix) return select(tables.wide(), counters.table_wide, KeyWide(flow));
  if (flow.family == net::Family::kIpv4) return select(tables.v4(), counters.table_v4, KeyV4(flow));
  return select(tables.v6(), counters.table_v6, KeyV6(flow));
}

// Calls `use(entry, table)` with the flow's entry in the connection table it belongs to, if there is one.
template <typename Use>
void WithEntry(const ForwardingState& state, const FlowView& flow, FlowTables& tables, Use&& use) {
  const auto find = [&](auto& counted, const auto& key) {
    if (auto* entry = counted.table.Find(key, flow.hash)) use(*entry, counted);
  };
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  if (!vip.tracked) return;
  if (vip.is_prefix) {
    find(tables.wide(), KeyWide(flow));
  } else if (flow.family == net::Family::kIpv4) {
    find(tables.v4(), KeyV4(flow));
  } else {
    find(tables.v6(), KeyV6(flow));
  }
}

// What the packet itself says of its backend, of a VIP whose packets do.
Rung RungOfClaim(const VipEntry& vip) { return vip.slots ? Rung::kSlot : vip.quic ? Rung::kQuic : Rung::kCookie; }

// Rung::kNone: the claim does not decide: it is none, or names a backend that is down and gives its flows away.
Selection SelectByClaim(Rung rung, const ForwardingState& state, const FlowView& flow, uint32_t now_s,
                        FlowTables& tables, WorkerCounters& counters, bool& given_away) {
  SlotClaim slot;
  if (rung == Rung::kSlot) slot = ClaimSlot(state, flow, now_s, tables, counters);
  if (slot.moved) return {.backend = slot.backend, .rung = Rung::kScheduler};
  const BackendId named = rung == Rung::kSlot   ? slot.backend
                          : rung == Rung::kQuic ? QuicBackend(state, flow)
                                                : CookieBackend(state, flow);
  if (named.valid()) {
    const BackendEntry& backend = (*state.backends)[named.index()];
    if (StaysWith(backend, flow)) {
      // What ends with this packet is no load any more.
      if (rung == Rung::kCookie && (flow.tcp_flags & (net::kTcpFin | net::kTcpRst)) != 0 && !flow.related) {
        tables.policies().NoteEnd(named, now_s);
      }
      return {.backend = named, .rung = rung};
    }
    if (IsResetByDown(backend, flow.protocol, flow.tcp_flags)) {
      return {.backend = {}, .rung = rung, .refusal = Refusal::kReset};
    }
    given_away = true;
    return {};
  }
  if (!flow.related && !slot.known) counters.cookies_refused.Increment();
  return {};
}

// What a SYN of this VIP tells the backend's agent where it is to make cookies with this director's id; 0: nothing.
uint32_t TierEcho(const VipEntry& vip, const FlowView& flow) {
  const bool tells = vip.cookie_layout.tier_bits > 0 && !vip.first_tier && BeginsWithTimestamps(flow);
  return tells ? lb::SynTier(vip.tier_id) : 0;
}

// A connection that will say by its cookies where it went, so that the policy has its way although nothing is entered.
// Rung::kNone: there is no backend.
Selection BeginByPolicy(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                        WorkerCounters& counters) {
  const BackendId backend = PlaceFlow(state, flow, now_s, tables, counters);
  if (!backend.valid()) return {};
  tables.policies().NoteBegin(backend, now_s);
  counters.vips[flow.vip.index()].new_flows.Increment();
  return {.backend = backend, .rung = Rung::kPolicy, .syn_echo = TierEcho((*state.vips)[flow.vip.index()], flow)};
}

}  // namespace

Selection NoBackendFor(const VipEntry& vip) { return {.backend = {}, .refusal = vip.no_backend}; }

bool IsResetByDown(const BackendEntry& backend, uint8_t protocol, uint8_t tcp_flags) {
  return backend.state == BackendState::kDown && backend.on_down == OnDown::kReset && protocol == net::kProtocolTcp &&
         (tcp_flags & (net::kTcpSyn | net::kTcpRst)) == 0;
}

bool StaysWith(const BackendEntry& backend, const FlowView& flow) {
  return backend.keeps_flows() || flow.related ||
         (flow.protocol == net::kProtocolTcp && (flow.tcp_flags & net::kTcpRst) != 0);
}

uint64_t SchedulerHash(const lb::HashKeys& keys, HashInput input, const FlowView& flow) {
  if (input == HashInput::kTuple) return flow.hash;
  constexpr std::array<uint8_t, 16> kNoAddress{};
  const lb::FlowTuple tuple = {.source = flow.client,
                               .destination = kNoAddress.data(),
                               .source_port = input == HashInput::kClientPort ? flow.client_port : Be16(),
                               .destination_port = {},
                               .protocol = 0,
                               .family = flow.family};
  uint64_t hash = 0;
  lb::FlowHashes(keys, &tuple, 1, &hash);
  return hash;
}

ScheduledSlot ScheduleSlot(const ForwardingState& state, const FlowView& flow) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  const std::vector<uint16_t>& slots = state.pools[vip.pool.index()]->slots;
  if (slots.empty()) return {};
  const uint64_t hash = SchedulerHash(*state.keys, vip.hash_input, flow);
  const auto count = static_cast<uint32_t>(slots.size());
  const uint32_t slot = lb::SlotOf(hash, count);
  return {.backend = BackendId(slots[slot]), .slot = slot, .slots = count};
}

BackendId ScheduleFlow(const ForwardingState& state, const FlowView& flow) { return ScheduleSlot(state, flow).backend; }

TrackedFlow FindTracked(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables) {
  TrackedFlow tracked = SearchSlot(state, flow, now_s, tables);
  if (tracked.exists) return tracked;
  WithEntry(state, flow, tables, [&](auto& entry, auto&) {
    tracked = {.exists = true,
               .backend_exists = BackendExists(*state.backends, entry.value),
               .over = EntryIsOver(entry, state, now_s),
               .backend = entry.value.backend,
               .state = entry.state(),
               .idle_s = entry.IdleSeconds(now_s)};
  });
  return tracked;
}

BackendId TrackedBackend(const ForwardingState& state, const FlowView& flow, FlowTables& tables) {
  BackendId backend = PeekSlot(state, flow, tables);
  if (backend.valid()) return backend;
  WithEntry(state, flow, tables, [&](auto& entry, auto&) {
    if (BackendExists(*state.backends, entry.value)) backend = entry.value.backend;
  });
  return backend;
}

void NoteReply(const ForwardingState& state, const FlowView& flow, const uint8_t* sender, uint32_t now_s,
               FlowTables& tables) {
  const size_t address_bytes = flow.family == net::Family::kIpv4 ? 4 : 16;
  WithEntry(state, flow, tables, [&](auto& entry, auto& counted) {
    if (!BackendExists(*state.backends, entry.value)) return;
    const BackendEntry& backend = (*state.backends)[entry.value.backend.index()];
    if (backend.family != flow.family || std::memcmp(backend.address(), sender, address_bytes) != 0) return;
    if (entry.value.last_seen_s != static_cast<uint16_t>(now_s)) entry.value.last_seen_s = static_cast<uint16_t>(now_s);
    const lb::FlowState old = entry.state();
    const lb::FlowState next = lb::StateAfterReply(old, flow.tcp_flags);
    if (next == old) return;
    if (lb::IsUnconfirmed(old)) --counted.unconfirmed;
    entry.set_state(next);
  });
}

Selection SelectBackend(const ForwardingState& state, const FlowView& flow, uint32_t now_s, FlowTables& tables,
                        WorkerCounters& counters) {
  const VipEntry& vip = (*state.vips)[flow.vip.index()];
  Selection selection;
  bool given_away = false;
  if (vip.cookies && flow.has_echo) {
    selection = SelectByClaim(RungOfClaim(vip), state, flow, now_s, tables, counters, given_away);
    if (selection.rung != Rung::kNone) {
      counters.rungs[static_cast<size_t>(selection.rung)].Increment();
      return selection;
    }
  } else if (vip.slots && TakesSlot(flow)) {
    selection = BeginInSlot(state, flow, now_s, tables, counters);
    if (selection.backend.valid()) {
      counters.rungs[static_cast<size_t>(selection.rung)].Increment();
      return selection;
    }
  } else if (vip.cookies && !vip.quic && TakesSlot(flow) && GoesByPolicy(state, vip)) {
    selection = BeginByPolicy(state, flow, now_s, tables, counters);
    if (selection.backend.valid()) {
      counters.rungs[static_cast<size_t>(selection.rung)].Increment();
      return selection;
    }
  }
  if (vip.tracked) {
    selection = SelectTracked(state, flow, given_away, now_s, tables, counters);
  } else {
    selection.backend = ScheduleFlow(state, flow);
    if (selection.backend.valid()) {
      selection.rung = Rung::kHashOnly;
      if (given_away) counters.rescheduled.Increment();
    } else {
      selection = NoBackendFor(vip);
    }
  }
  selection.syn_echo = TierEcho(vip, flow);
  counters.rungs[static_cast<size_t>(selection.rung)].Increment();
  return selection;
}

}  // namespace sluice::fwd
