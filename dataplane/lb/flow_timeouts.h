#ifndef SLUICE_DATAPLANE_LB_FLOW_TIMEOUTS_H_
#define SLUICE_DATAPLANE_LB_FLOW_TIMEOUTS_H_

#include <cstdint>

namespace sluice::lb {

// How long a connection entry lives without a packet, by what was seen of the connection. In DSR only the client's
// direction is seen. At most kMaxTimeoutS each: time stamps of entries are 16-bit seconds.
inline constexpr uint16_t kMaxTimeoutS = 28800;

struct FlowTimeouts {
  uint16_t tcp_syn_s = 30;
  uint16_t tcp_established_s = 7200;
  uint16_t tcp_closing_s = 30;
  uint16_t tcp_reset_s = 5;
  uint16_t udp_s = 60;
  friend bool operator==(const FlowTimeouts&, const FlowTimeouts&) = default;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FLOW_TIMEOUTS_H_
