#ifndef SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_
#define SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_

#include <cstdint>
#include <vector>

#include "dataplane/net/address.h"
#include "tests/bench/pipeline/scenario.h"

namespace sluice::bench {

// The service's address of VIP `index`, and of backend `index`.
net::IpAddress VipAddress(net::Family family, uint32_t index);
net::IpAddress BackendAddress(net::Family family, uint32_t index);
net::IpAddress PortAddress(net::Family family);
inline constexpr uint16_t kVipPort = 80;
net::MacAddress PortMac();

// Writes the frames of a scenario, as a NIC would put them into buffers. The same sequence with each run.
class Traffic {
 public:
  explicit Traffic(const Scenario& scenario);

  // The next frame of the load: of a random flow, or of a flow never seen before. `room` bytes at `frame`; returns the
  // frame's length.
  uint32_t Next(uint8_t* frame);
  // A packet of flow `flow` (0 to flows - 1) with these TCP flags: to open the connections.
  uint32_t Write(uint64_t flow, uint8_t tcp_flags, uint8_t* frame);

 private:
  uint64_t Random();
  uint32_t FrameBytes();

  const Scenario scenario_;
  std::vector<uint8_t> header_;  // Ethernet, IP and TCP of a packet; what varies is written over
  uint64_t random_ = 0x9e37'79b9'7f4a'7c15;
  uint64_t next_new_flow_ = 0;
};

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_
