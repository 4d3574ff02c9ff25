#ifndef SLUICE_DATAPLANE_FWD_INTERFACES_H_
#define SLUICE_DATAPLANE_FWD_INTERFACES_H_

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/worker_counters.h"

// All that the control plane knows of the data plane.
namespace sluice::fwd {

// Takes new states.
class StateSink {
 public:
  virtual ~StateSink() = default;
  // Makes `state` the one that workers use from their next burst on. Returns before they do. kResourceExhausted: too
  // many older states are still in use because a worker does not make progress; nothing was changed, try again.
  // One control thread at a time.
  virtual absl::Status Publish(std::shared_ptr<const ForwardingState> state) = 0;
};

// Where packets went, summed over all threads; the terms of invariant 2. Read while packets flow, the sum may be off by
// those in flight; at rest it is exact.
struct PacketTotals {
  uint64_t received = 0, from_host = 0, originated = 0;
  uint64_t forwarded = 0, answered = 0, punted = 0, sent_for_host = 0;
  std::array<uint64_t, kDropReasonCount> dropped{};
  uint64_t held = 0;  // in rings between threads

  uint64_t entered() const { return received + from_host + originated; }
  uint64_t dropped_total() const {
    uint64_t sum = 0;
    for (const uint64_t d : dropped) sum += d;
    return sum;
  }
  uint64_t left() const { return forwarded + answered + punted + sent_for_host + dropped_total() + held; }
};

struct VipStats {
  uint64_t packets = 0, bytes = 0, new_flows = 0, dropped = 0;
  uint64_t reply_packets = 0, reply_bytes = 0;
  uint64_t unprotected = 0;
};

struct BackendStats {
  uint64_t packets = 0, bytes = 0, flows_started = 0, flows_ended = 0;
  uint64_t flows_alive() const { return flows_started > flows_ended ? flows_started - flows_ended : 0; }
};

struct TableStats {
  uint64_t entries = 0, capacity = 0, inserted = 0, expired = 0, replaced = 0, insert_full = 0, unconfirmed_full = 0,
           sweeps = 0;
};

struct NatStats {
  uint64_t stateless_replies = 0, replies = 0, proxy_headers = 0, unsteered = 0;
};

// See UnprotectedCounters.
struct UnprotectedStats {
  uint64_t unknown = 0, no_room = 0, no_room_flows = 0, no_cookie = 0, no_session = 0;
};

// See CopyCounters.
struct CopyStats {
  uint64_t packets = 0, copies = 0, limited = 0, no_buffer = 0;
};

struct WorkerStats {
  WorkerId id;
  uint32_t cpu = 0;
  uint64_t received = 0, forwarded = 0, dropped = 0;
  std::array<uint64_t, kRungCount> rungs{};
  uint64_t rescheduled = 0;
  uint64_t cookies_refused = 0;
  uint64_t second_chances = 0;
  UnprotectedStats unprotected;
  CopyStats copies;
  TableStats table_v4, table_v6, table_wide, table_nat, table_stateful;
  NatStats nat;
  std::array<uint64_t, kAnswerKindCount> answers{};
  uint64_t related = 0;  // ICMP errors that were sent after the flow they quote
  uint64_t probes = 0;   // packets of health checks that were sent to the one backend they are meant for
  // Packets given to the workers that own them, and got from those where they arrived.
  uint64_t handed_over = 0, taken_over = 0;
  uint64_t fragments_held = 0;  // that wait for the first one of their packet
  uint64_t polls = 0, empty_polls = 0, busy_cycles = 0, idle_cycles = 0, sleeps = 0, slept_ns = 0;
  uint64_t state_generation = 0;
  bool stalled = false;  // made no progress for longer than the alarm's limit
};

struct PortStats {
  PortId id;
  std::string name;
  std::vector<std::string> devices;
  net::MacAddress mac;
  bool link_up = false;
  uint32_t link_speed_mbps = 0;  // 0: unknown
  uint32_t mtu_bytes = 0;
  uint32_t rx_queues = 0;
  std::string exception_interface;  // empty: none
  uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0;
  // From the device: packets lost before a worker saw them.
  uint64_t rx_missed = 0, rx_errors = 0, rx_no_buffer = 0;
};

// Reads counters and gauges. Any thread; takes no lock that a worker could wait for.
class DataplaneView {
 public:
  virtual ~DataplaneView() = default;
  virtual PacketTotals Totals() const = 0;
  virtual std::vector<WorkerStats> Workers() const = 0;
  // The thread between the workers and the host's kernel has made no progress for longer than the alarm's limit.
  virtual bool ExceptionThreadStalled() const { return false; }
  virtual std::vector<PortStats> Ports() const = 0;
  virtual VipStats Vip(VipId id) const = 0;
  virtual BackendStats Backend(BackendId id) const = 0;
  // The next hop as it stands in the newest state.
  virtual NextHop NextHopOf(BackendId id) const = 0;
  // Newest generation that every worker has taken up; older states are not in use any more.
  virtual uint64_t GenerationInUse() const = 0;
  // True when no worker can hold a connection entry of a backend that was absent in `generation` and is since: all
  // workers have swept their tables completely under a state at least that new.
  virtual bool SweptSince(uint64_t generation) const = 0;
};

// Whether packets are served at all.
inline bool AllMakeProgress(const DataplaneView& view) {
  const std::vector<WorkerStats> workers = view.Workers();
  return !view.ExceptionThreadStalled() &&
         std::none_of(workers.begin(), workers.end(), [](const WorkerStats& worker) { return worker.stalled; });
}

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_INTERFACES_H_
