#ifndef SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_
#define SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <functional>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/flow_timeouts.h"

namespace sluice::fwd {

// Gives memory aligned to 64 bytes and zeroed, that lives as long as the tables; called at start only.
using TableMemory = std::function<void*(size_t bytes)>;

// True when the backend that an entry names is still the one it was made for.
bool BackendExists(const BackendTable& backends, const lb::ConnectionValue& value);

// The connection tables of one worker, which alone may use them.
class FlowTables {
 public:
  // Capacities in connections by family; timeouts in seconds.
  FlowTables(size_t connections_v4, size_t connections_v6, const lb::FlowTimeouts& timeouts, const TableMemory& memory);

  lb::ConnectionTableV4& v4() { return v4_; }
  lb::ConnectionTableV6& v6() { return v6_; }
  const lb::FlowTimeouts& timeouts() const { return timeouts_; }

  // Looks at some buckets of both tables, about `buckets` in all, and ends the entries whose time is over or whose
  // backend is gone. Called again and again it passes over the tables in turns. Returns true when a pass was completed.
  bool Sweep(size_t buckets, uint32_t now_s, const ForwardingState& state, WorkerCounters& counters);
  // Buckets of both tables together: the length of a pass.
  size_t bucket_count() const;

 private:
  lb::FlowTimeouts timeouts_;
  lb::ConnectionTableV4 v4_;
  lb::ConnectionTableV6 v6_;
  size_t cursor_ = 0;
  uint64_t pass_generation_ = 0;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_FLOW_TABLES_H_
