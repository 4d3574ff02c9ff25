#ifndef SLUICE_CONFIG_VALIDATE_QUIC_H_
#define SLUICE_CONFIG_VALIDATE_QUIC_H_

#include "config/rules.h"
#include "config/schema.h"

// What validation says of connection ids of QUIC.
namespace sluice::config {

// Configurations, server ids, and the VIPs that go by them. With `need_keys`, keys and configurations that are used
// must be there; otherwise they may be in force already.
void CheckQuic(const ServiceConfig& services, bool need_keys, ProblemList* problems);

// What of it a file must say by itself: an id of each length for each backend.
void CheckQuicIdsOfFile(const ServiceConfig& services, ProblemList* problems);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_VALIDATE_QUIC_H_
