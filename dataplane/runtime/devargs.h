#ifndef SLUICE_DATAPLANE_RUNTIME_DEVARGS_H_
#define SLUICE_DATAPLANE_RUNTIME_DEVARGS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sluice::runtime {

// Device strings of the configuration: a PCI address or the name of a virtual device ("net_af_packet0"), each with
// optional arguments (",iface=eth0").

// "0000:03:00.0" or "03:00.0", also with "pci:" before and arguments behind.
bool IsPciDevice(std::string_view device);

// What DPDK names the device: the part before the first comma, without a bus prefix; a PCI address with its domain.
std::string DeviceName(std::string_view device);

// The value of an argument of the device string, if it is there.
std::optional<std::string> DeviceArgument(std::string_view device, std::string_view key);

// True for devices of the driver ("net_af_packet" for "net_af_packet0,iface=eth0" and "net_af_packet_wan,...").
bool IsDriver(std::string_view device, std::string_view driver);

// Adds arguments that the driver needs for `queues` queues and that the user did not write:
//   net_af_packet   qpairs=<queues>; framecnt=<4 * descriptors> (frames of the rings shared with the kernel; the
//                   driver's own 512 do not outlast one time slice that another process takes from the worker)
//   net_af_xdp      queue_count=<queues>
//   net_virtio_user, net_vhost   queues=<queues>
// Queue arguments are added for more than one queue only. `descriptors`: the larger of receive and transmit.
std::string CompleteDevargs(std::string_view device, uint32_t queues, uint32_t descriptors);

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_DEVARGS_H_
