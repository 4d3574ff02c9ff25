#ifndef SLUICE_DATAPLANE_FWD_STATE_BUILDER_H_
#define SLUICE_DATAPLANE_FWD_STATE_BUILDER_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/fwd/forwarding_state.h"

namespace sluice::fwd {

// The desired state in the data plane's own words; the reconciler writes it.
struct BackendSpec {
  BackendId id;
  BackendInfo info;
};

struct PoolSpec {
  PoolId id;
  uint32_t table_size = 0;  // prime
  // Members that take new flows: active and of weight above 0. Any order; the builder sorts by name.
  std::vector<PoolTable::Member> members;
  // The pool that takes the new flows of this one's VIPs while this one has no members; invalid: none. Its own backup
  // is not looked at.
  PoolId backup = {};
  SchedulingPolicy policy = SchedulingPolicy::kMaglev;
  // All backends of the pool, whether they take new flows or not, with the weights that they are to have (0: none).
  // What homes are made from (homes.h); read where a VIP of the pool tracks unsafe flows only or has a second chance.
  std::vector<PoolTable::Member> known = {};
};

struct VipSpec {
  VipId id;
  net::IpPrefix prefix;  // of full length: one address
  // Host byte order, inclusive; equal: one port; 0 to 65535: all ports.
  uint16_t first_port = 0;
  uint16_t last_port = 0;
  bool answers_echo = true;
  // Pool (the VIP's own), protocol (not 0), mode and the rest; `own_pool`, `is_prefix` and `nat_sessions` are set by
  // the builder.
  VipEntry entry;
};

struct StateSpec {
  std::array<uint8_t, 16> seed{};
  std::vector<BackendSpec> backends;
  std::vector<PoolSpec> pools;
  std::vector<VipSpec> vips;
  CookieSecrets cookie_keys = {};
  QuicConfigSpecs quic_configs = {};  // valid ones: see lb::DescribeQuicLbError
  uint32_t now_s = 0;                 // of a clock that never goes back: when the state is built
};

// Builds the state of `generation`; parts equal to those of `previous` (may be null) are shared with it. The result has
// no `backends` yet and those `client_routes` of `previous`: the publisher adds both with the next hops it knows.
// Errors: kInvalidArgument for a table size that is not prime or not larger than the pool, for ids used twice and for
// ids that refer to nothing; the message names them. Control thread.
absl::StatusOr<std::shared_ptr<const ForwardingState>> BuildState(const StateSpec& spec, uint64_t generation,
                                                                  const ForwardingState* previous);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_STATE_BUILDER_H_
