#ifndef SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_
#define SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "dataplane/net/address.h"
#include "tests/bench/pipeline/scenario.h"

namespace sluice::bench {

// The service's address of VIP `index`, and of backend `index`.
net::IpAddress VipAddress(net::Family family, uint32_t index);
net::IpAddress BackendAddress(net::Family family, uint32_t index);
net::IpAddress PortAddress(net::Family family);
net::IpAddress LocalAddress(net::Family family);  // of full NAT
// By what cookies name backend `index`, and the secret that they are made with (hexadecimal).
uint16_t CookieIdOf(uint32_t index);
inline constexpr std::string_view kCookieSecret = "000102030405060708090a0b0c0d0e0f";
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
  // The backend's, of a flow that was learned.
  uint32_t WriteReply(uint64_t flow, uint8_t tcp_flags, uint8_t* frame);
  // Takes from a flow's forwarded SYN what later packets of the flow need: who answers, and to whom, or what the client
  // will echo.
  void Learn(uint64_t flow, const uint8_t* forwarded);

 private:
  // What NAT made of a flow, as it lies in packets.
  struct Flow {
    std::array<uint8_t, 16> backend{};
    std::array<uint8_t, 16> local{};  // whom the backend answers
    uint16_t local_port = 0;
  };

  uint32_t VipOf(uint64_t flow) const;
  // Cookies are in them, so rows with cookies have them.
  bool HasTimestamps(const VipKind& kind) const;
  void MakeHeaders(net::Family family, uint8_t protocol);
  std::vector<uint8_t>& HeadersOf(const VipKind& kind);
  void MakeCookies();
  uint64_t Random();
  uint32_t FrameBytes();

  const Scenario scenario_;
  // Ethernet, IP and L4 header of a packet of each family and protocol; what varies is written over.
  std::array<std::vector<uint8_t>, 4> headers_;
  uint64_t random_ = 0x9e37'79b9'7f4a'7c15;
  uint64_t next_new_flow_ = 0;
  std::vector<Flow> learned_;     // by flow, with NAT
  std::vector<uint32_t> echoes_;  // by flow, with timestamps: the TSecr of its packets, in network byte order
};

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_TRAFFIC_H_
