#ifndef SLUICE_DATAPLANE_RUNTIME_PORT_H_
#define SLUICE_DATAPLANE_RUNTIME_PORT_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/runtime/device.h"
#include "dataplane/runtime/mbuf_pool.h"
#include "dataplane/runtime/options.h"
#include "dataplane/runtime/reply_steering.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::runtime {

// A queue pair of a DPDK device.
struct PortQueue {
  uint16_t device = 0;
  uint16_t queue = 0;
  bool can_receive = false;  // false: the device has fewer receive queues than there are workers
};

// A logical port: one device with a queue for each worker, or one device for each worker.
class Port {
 public:
  // Probes the devices. kInvalidArgument for a number of devices other than 1 or the number of workers.
  static absl::StatusOr<std::unique_ptr<Port>> Probe(PortId id, const PortOptions& options, uint32_t workers,
                                                     bool rx_interrupts, bool single_pool);

  // Configures and starts the devices; `pools` by NUMA node has a pool for each of sockets(). Packets that arrive from
  // now on wait in the devices.
  absl::Status Start(const std::map<int, MbufPool>& pools);
  void Stop();

  PortId id() const { return id_; }
  const PortOptions& options() const { return options_; }
  std::vector<int> sockets() const;
  net::MacAddress mac() const { return devices_.front()->mac(); }
  bool rx_interrupts() const;
  // Worker `worker` alone may use it.
  PortQueue QueueOf(uint32_t worker) const;
  stage::PortTraits Traits() const;
  // How its one device spreads packets over the workers' queues, once started; nothing where it does not tell.
  std::optional<RssSetup> Rss() const;
  // What devices count, and their link; all but the workers' own counters. Any thread.
  fwd::PortStats Stats() const;

 private:
  Port(PortId id, const PortOptions& options) : id_(id), options_(options) {}
  void WarnOfSharedInterfaces() const;

  const PortId id_;
  const PortOptions options_;
  std::vector<std::unique_ptr<Device>> devices_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_PORT_H_
