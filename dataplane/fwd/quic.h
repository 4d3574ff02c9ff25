#ifndef SLUICE_DATAPLANE_FWD_QUIC_H_
#define SLUICE_DATAPLANE_FWD_QUIC_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/quic_lb.h"

// What of a state belongs to connection ids of QUIC (lb/quic_lb.h).
namespace sluice::fwd {

struct ForwardingState;
struct FlowView;
struct StateSpec;

// A configuration with the secret of its key, where it has one.
struct QuicConfigSpec {
  uint8_t server_id_length = 0;
  uint8_t nonce_length = 0;
  std::optional<lb::AesBlock> secret = {};
  friend bool operator==(const QuicConfigSpec&, const QuicConfigSpec&) = default;
};
using QuicConfigSpecs = std::array<std::optional<QuicConfigSpec>, lb::kQuicLbConfigs>;  // by number

// The live configurations, and what they were made of, to see whether they can be shared.
struct QuicConfigSet {
  explicit QuicConfigSet(const QuicConfigSpecs& specs);
  lb::QuicLbConfigs configs;
  QuicConfigSpecs specs;
};

// The backends of a pool by the server ids that connection ids name them by. What an id says is looked up here and
// nowhere else, so it never leads out of the pool.
struct QuicServers {
  absl::flat_hash_map<lb::QuicServerId, BackendId> backends;
  friend bool operator==(const QuicServers&, const QuicServers&) = default;
};

// Fills the state's quic_configs and quic_servers; its VIPs and backends are there. Control thread.
void BuildQuic(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state);

// What directors must have in common, as text for the digests of CookieDigest: a line for each VIP with QUIC, and the
// prints of keys. Empty where there are neither.
std::vector<std::string> QuicVipTexts(const StateSpec& spec);
std::string QuicKeyPrints(const StateSpec& spec);

// The backend that the connection id in a packet of a VIP with QUIC names: one of the VIP's pool that exists. Invalid
// otherwise. Changes nothing, allocates nothing.
BackendId QuicBackend(const ForwardingState& state, const FlowView& flow);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_QUIC_H_
