#ifndef SLUICE_TOOLS_REPLAY_OWN_MAC_H_
#define SLUICE_TOOLS_REPLAY_OWN_MAC_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "config/schema.h"
#include "dataplane/net/address.h"

namespace sluice::replay {

// The director's MAC address as a capture shows it: where the first unicast frame to a VIP's address was sent. Nothing
// when there is no such frame.
absl::StatusOr<std::optional<net::MacAddress>> FindOwnMac(const std::string& capture,
                                                          const config::ServiceConfig& services);

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_OWN_MAC_H_
