#ifndef SLUICE_CONTROLPLANE_MODEL_COOKIE_IDS_H_
#define SLUICE_CONTROLPLANE_MODEL_COOKIE_IDS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "controlplane/model/changes.h"
#include "controlplane/model/registry.h"

// The ids by which cookies name backends. They are a part of the desired state, since all directors must agree on them:
// written by an operator, or allocated here and shown from then on. A connection may carry an id for as long as it
// lives, so the id of a backend that is gone rests, and is given to none but that backend.
namespace sluice::model {

// Ends the rest of ids whose time is over.
void WakeCookieIds(Registry& next, uint64_t now_unix_s);

// Lays the id of a backend that is gone, or that got another, to rest.
void RestCookieId(Registry& next, std::string_view pool, const DesiredBackend& backend, uint64_t now_unix_s);

// Takes backends' ids from rest, and gives ids to backends without one in pools that VIPs with cookies use: the one
// that rests for it, else the lowest. One line for each is added to `lines`. kFailedPrecondition: an id was stated that
// rests for another backend. kResourceExhausted: there are no more ids.
absl::Status AssignCookieIds(Registry& next, uint64_t now_unix_s, std::vector<std::string>& lines);

// Completes keys without a secret by those in force. kNotFound: there is none of that number. No keys: all in force.
absl::Status CompleteCookieKeys(const Registry& current, DesiredState* desired);
// The same of configurations of QUIC.
absl::Status CompleteQuicConfigs(const Registry& current, DesiredState* desired);

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_COOKIE_IDS_H_
