#ifndef SLUICE_DATAPLANE_RUNTIME_XDP_QUEUES_H_
#define SLUICE_DATAPLANE_RUNTIME_XDP_QUEUES_H_

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace sluice::runtime {

// An AF_XDP socket takes the packets of one receive queue of its interface; what comes in by others goes to the host's
// kernel and never to a worker.

// The queues that a port's net_af_xdp devices take, by interface. `queues_per_device`: of devices that do not say
// queue_count themselves.
std::map<std::string, std::set<uint32_t>> XdpQueues(const std::vector<std::string>& devices,
                                                    uint32_t queues_per_device);

// Receive queues that the interface uses now; nothing where the driver does not tell.
std::optional<uint32_t> InterfaceRxQueues(const std::string& interface);

// Warns, with the remedy, of interfaces that have more queues than the port's devices take.
void WarnOfUncoveredQueues(const std::string& port, const std::vector<std::string>& devices,
                           uint32_t queues_per_device);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_XDP_QUEUES_H_
