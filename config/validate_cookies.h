#ifndef SLUICE_CONFIG_VALIDATE_COOKIES_H_
#define SLUICE_CONFIG_VALIDATE_COOKIES_H_

#include "config/rules.h"
#include "config/schema.h"

// What validation says of cookies.
namespace sluice::config {

// Layouts, keys, and ids. With `need_keys`, keys that are used must be there; otherwise they may be in force already.
void CheckCookies(const ServiceConfig& services, bool need_keys, ProblemList* problems);

// What of it a file must say by itself, because a director that reads it again after a restart must come to the same:
// the ids of backends.
void CheckCookieIdsOfFile(const ServiceConfig& services, ProblemList* problems);

// The ids of tier-2 directors, which cookies have room for, against this director's own.
void CheckTiersTogether(const NodeConfig& node, const ServiceConfig& services, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_COOKIES_H_
