#ifndef SLUICE_CONTROLPLANE_MODEL_RESTING_COOKIE_ID_H_
#define SLUICE_CONTROLPLANE_MODEL_RESTING_COOKIE_ID_H_

#include <cstdint>
#include <optional>
#include <string>

#include "dataplane/net/address.h"

namespace sluice::model {

// The cookie id of a backend that is gone, or has another one now.
struct RestingCookieId {
  std::string pool;
  uint16_t id = 0;
  // Whose it was, and is again if it comes back.
  net::IpAddress address;
  std::optional<uint16_t> port;
  uint64_t until_unix_s = 0;
  friend bool operator==(const RestingCookieId&, const RestingCookieId&) = default;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_RESTING_COOKIE_ID_H_
