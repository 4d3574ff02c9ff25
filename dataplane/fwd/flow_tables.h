#ifndef SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_
#define SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/nat_flows.h"
#include "dataplane/fwd/policies.h"
#include "dataplane/fwd/table_memory.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/slot_table.h"

namespace sluice::fwd {

// True when the backend that an entry names is still the one it was made for.
inline bool BackendExists(const BackendTable& backends, const lb::ConnectionValue& value) {
  if (value.backend.index() >= backends.size()) return false;
  const BackendEntry& backend = backends[value.backend.index()];
  return backend.state != BackendState::kAbsent && static_cast<uint8_t>(backend.generation) == value.generation;
}

// True when the time of an entry is over, or its backend or VIP is gone.
template <typename Entry>
bool EntryIsOver(const Entry& entry, const ForwardingState& state, uint32_t now_s) {
  const std::vector<VipEntry>& vips = *state.vips;
  const VipId vip = entry.key.vip;
  return vip.index() >= vips.size() || vips[vip.index()].protocol == 0 ||
         !BackendExists(*state.backends, entry.value) ||
         entry.IdleSeconds(now_s) >= lb::TimeoutOf(entry.state(), vips[vip.index()].timeouts);
}

// Says whether an entry is to end, and counts it as ended if so.
template <typename Entry>
bool EndIfOver(const Entry& entry, const ForwardingState& state, uint32_t now_s, size_t& unconfirmed,
               TableCounters& table_counters, WorkerCounters& counters) {
  if (!EntryIsOver(entry, state, now_s)) return false;
  table_counters.expired.Increment();
  counters.backends[entry.value.backend.index()].flows_ended.Increment();
  if (lb::IsUnconfirmed(entry.state())) --unconfirmed;
  return true;
}

// The same of a connection in a slot.
bool EndIfOver(const lb::ConnectionSlot& slot, const ForwardingState& state, uint32_t now_s, size_t& unconfirmed,
               WorkerCounters& counters);

// A connection table with what is counted about it.
template <typename Table>
struct CountedTable {
  Table table;
  // Entries of which a single packet was seen, and how many there may be: a flood of spoofed packets fills this share,
  // and leaves the rest to connections that showed life.
  size_t unconfirmed = 0;
  size_t unconfirmed_limit = 0;

  // When a flow last got no entry: connections that turn up without one for a while after that most likely began then.
  static constexpr uint32_t kLatelyS = 60;
  void NoteRefusal(uint32_t now_s) {
    refused_at_s = now_s;
    ever_refused = true;
  }
  bool RefusedLately(uint32_t now_s) const { return ever_refused && now_s - refused_at_s <= kLatelyS; }
  uint32_t refused_at_s = 0;
  bool ever_refused = false;
};

struct TableCapacities {
  size_t v4 = 0;        // flows to VIPs of one IPv4 address
  size_t v6 = 0;        // of one IPv6 address
  size_t wide = 0;      // to VIPs that are prefixes, of both families
  size_t nat = 0;       // sessions of address translation, of both families
  size_t stateful = 0;  // connections in slots, of both families
};

// The connection tables of one worker, and what its policies know, which alone may use them.
class FlowTables {
 public:
  FlowTables(const TableCapacities& capacities, const TableMemory& memory, const NatSetup& nat = {});

  CountedTable<lb::ConnectionTableV4>& v4() { return v4_; }
  CountedTable<lb::ConnectionTableV6>& v6() { return v6_; }
  CountedTable<lb::ConnectionTableWide>& wide() { return wide_; }
  NatFlows& nat() { return nat_; }
  CountedTable<lb::SlotTable>& slots() { return slots_; }
  PolicyMemory& policies() { return policies_; }

  // Looks at some buckets of the tables, about `buckets` in all, and ends the entries that are over. Called again and
  // again it passes over the tables in turns. Returns true when a pass was completed.
  bool Sweep(size_t buckets, uint32_t now_s, const ForwardingState& state, WorkerCounters& counters);
  // Buckets of all tables together, of which each NAT session that was ever in use is one, and each two slots: the
  // length of a pass.
  size_t bucket_count() const;

 private:
  CountedTable<lb::ConnectionTableV4> v4_;
  CountedTable<lb::ConnectionTableV6> v6_;
  CountedTable<lb::ConnectionTableWide> wide_;
  NatFlows nat_;
  CountedTable<lb::SlotTable> slots_;
  PolicyMemory policies_;
  size_t cursor_ = 0;
  uint64_t pass_generation_ = 0;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_
