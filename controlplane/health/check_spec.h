#ifndef SLUICE_CONTROLPLANE_HEALTH_CHECK_SPEC_H_
#define SLUICE_CONTROLPLANE_HEALTH_CHECK_SPEC_H_

#include <cstdint>
#include <string>

#include "controlplane/model/desired_state.h"
#include "controlplane/model/text.h"
#include "dataplane/base/ids.h"
#include "dataplane/net/address.h"

namespace sluice::health {

// The backend that wants to know, in one pool.
struct Subscriber {
  BackendId backend;
  BackendGeneration generation = 0;
  friend auto operator<=>(const Subscriber&, const Subscriber&) = default;
};

// "192.0.2.11:80", "[2001:db8::11]:80"
inline std::string EndText(const net::IpAddress& address, uint16_t port) {
  return address.is_v4() ? model::Cat(address.ToString(), ":", port) : model::Cat("[", address.ToString(), "]:", port);
}

// Where a check's probes go.
struct CheckTarget {
  // What they are addressed to: the backend itself, or a VIP.
  net::IpAddress address;
  uint16_t port = 0;  // host byte order
  // Who answers them.
  net::IpAddress backend_address;
  // With probes on the data path: to whom workers send them, and as packets of which VIP.
  Subscriber via;
  VipId vip;
  bool on_data_path() const { return vip.valid(); }
  friend auto operator<=>(const CheckTarget&, const CheckTarget&) = default;
};

// One check, which several pools may share: two that are equal say the same of the same server.
struct CheckSpec {
  CheckTarget target;
  // Without what went into `target` already: port, vip and direct are as if not given.
  config::HealthCheckConfig config;
  friend auto operator<=>(const CheckSpec&, const CheckSpec&) = default;
};

// A backend that is to be checked.
struct Wish {
  CheckSpec spec;
  Subscriber subscriber;
};

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_CHECK_SPEC_H_
