#ifndef SLUICE_CONTROLPLANE_MODEL_COUNTS_H_
#define SLUICE_CONTROLPLANE_MODEL_COUNTS_H_

#include <cstdint>

namespace sluice::model {

// Counters of a VIP or a backend. The data plane counts by id and never resets; since ids are used again, the model
// keeps what the counters said when an object got its id (its baseline), and what is shown is the difference.

struct VipCounts {
  uint64_t packets = 0, bytes = 0, new_flows = 0, dropped = 0;
  uint64_t reply_packets = 0, reply_bytes = 0;  // of backends, where they come back through the director (NAT)
  uint64_t unprotected = 0;                     // packets of running connections without entry or cookie

  friend VipCounts operator-(const VipCounts& now, const VipCounts& baseline) {
    return {now.packets - baseline.packets,
            now.bytes - baseline.bytes,
            now.new_flows - baseline.new_flows,
            now.dropped - baseline.dropped,
            now.reply_packets - baseline.reply_packets,
            now.reply_bytes - baseline.reply_bytes,
            now.unprotected - baseline.unprotected};
  }
  friend bool operator==(const VipCounts&, const VipCounts&) = default;
};

struct BackendCounts {
  uint64_t packets = 0, bytes = 0, flows_started = 0;
  // A gauge, so it has no baseline: the quarantine of ids makes sure that no flow of an earlier owner is alive.
  uint64_t flows_alive = 0;

  friend BackendCounts operator-(const BackendCounts& now, const BackendCounts& baseline) {
    return {now.packets - baseline.packets, now.bytes - baseline.bytes, now.flows_started - baseline.flows_started,
            now.flows_alive};
  }
  friend bool operator==(const BackendCounts&, const BackendCounts&) = default;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_COUNTS_H_
