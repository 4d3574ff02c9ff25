#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_EXAMINE_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_EXAMINE_H_

#include "controlplane/preflight/demand.h"
#include "controlplane/preflight/facts.h"
#include "controlplane/preflight/finding.h"

// Whether a machine can do what a configuration asks of it. Pure functions; any thread.
namespace sluice::preflight {

// All checks, the gravest findings first and otherwise in the order of the parts below.
Findings Examine(const Demand& demand, const Facts& facts);

uint32_t CountOf(const Findings& findings, Severity severity);

// The parts; each appends its findings.
void CheckCpus(const Demand& demand, const Facts& facts, Findings* out);
void CheckMemory(const Demand& demand, const Facts& facts, Findings* out);
void CheckDevices(const Demand& demand, const Facts& facts, Findings* out);
// Exception ports, routes, MTUs.
void CheckHost(const Demand& demand, const Facts& facts, Findings* out);
// Kernel, privileges, addresses to listen on, files.
void CheckProcess(const Demand& demand, const Facts& facts, Findings* out);

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_EXAMINE_H_
