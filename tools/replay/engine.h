#ifndef SLUICE_TOOLS_REPLAY_ENGINE_H_
#define SLUICE_TOOLS_REPLAY_ENGINE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/schema.h"
#include "controlplane/model/registry.h"
#include "controlplane/reconcile/reconciler.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/fate.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/stage/packet.h"
#include "tools/replay/local_dataplane.h"
#include "tools/replay/next_hops.h"
#include "tools/replay/pcap_file.h"

namespace sluice::replay {

// A frame that left because another one came: a fragment that had waited for it, a piece of it, or one made here.
struct ExtraFrame {
  Fate fate = Fate::kPending;
  std::vector<uint8_t> bytes;
};

// What became of one frame.
struct PacketResult {
  Fate fate = Fate::kPending;
  DropReason reason = DropReason::kCount;  // when dropped
  VipId vip;                               // invalid: none
  BackendId backend;                       // invalid: none
  fwd::Rung rung = fwd::Rung::kNone;
  stage::PuntClass punt_class = stage::PuntClass::kOther;  // when punted
  PortId out_port;                                         // invalid: it did not leave by a port
  // As it left, or as the host's kernel gets it; empty when it was dropped, or held (Fate::kBuffered).
  std::vector<uint8_t> bytes;
  std::vector<ExtraFrame> extra;  // in the order in which they left, behind this one
};

struct EngineOptions {
  Neighbours neighbours;
  // The ports' own MAC addresses by PortId; for those missing NextHops::DefaultPortMac.
  std::map<PortId, net::MacAddress> port_macs;
};

// One director with one worker, without devices, kernel or wall clock: the reconciler and the stages as sluiced has
// them, fed from memory. What it holds (desired state, connection table, counters) lasts from call to call. One thread.
class Engine {
 public:
  // Takes ports, tables, timeouts and the like from `node`; nothing is served before the reconciler's first Apply.
  // Initialises DPDK. Limits are those of sluiced. Errors name what was missing.
  static absl::StatusOr<std::unique_ptr<Engine>> Create(const config::NodeConfig& node, const EngineOptions& options);

  virtual ~Engine() = default;

  // Changes the desired state, as a reload of sluiced and the calls of its API would.
  virtual reconcile::Reconciler& reconciler() = 0;

  // A capture begins, whose first frame has this time stamp. If that was before the clock's present time, it is now,
  // and the capture's later stamps count from it. To be called before the capture's first Process.
  virtual void StartCapture(uint64_t first_time_ns) = 0;
  // Lets the frames arrive on `port`, in order; services must have been applied. The frames' time stamps drive the
  // clock, which never goes back; frames of the same second arrive in bursts. Results are in the order of the frames.
  virtual std::vector<PacketResult> Process(std::span<const Frame> frames, PortId port) = 0;
  // Lets time pass without packets; connections whose time is over end. Services must have been applied.
  virtual void Advance(uint32_t seconds) = 0;
  // On the clock, since the engine began.
  virtual uint64_t ElapsedNs() const = 0;

  virtual const LocalDataplane& dataplane() const = 0;
  // Packet buffers that are not free; 0 between calls, or a stage lost one.
  virtual uint32_t BuffersInUse() const = 0;
};

// "pool/backend"
std::string BackendName(const model::PoolRecord& pool, const model::BackendRecord& backend);

// VIPs by name and backends by "pool/backend", in the order of their names.
struct Named {
  uint16_t id = 0;
  std::string name;
};
std::vector<Named> VipNames(const model::Registry& registry);
std::vector<Named> BackendNames(const model::Registry& registry);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_ENGINE_H_
