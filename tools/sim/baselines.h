#ifndef SLUICE_TOOLS_SIM_BASELINES_H_
#define SLUICE_TOOLS_SIM_BASELINES_H_

#include <memory>

#include "tools/sim/router.h"

// What others do, as a check of the simulator itself: published rows exist for them. Nothing here is Sluice's own code;
// in particular nothing comes from dataplane/lb.
namespace sluice::sim {

// Server number hash mod N of those that are up.
std::unique_ptr<Router> MakeModN();
// Maglev's table of 65537 rows (Eisenbud et al., NSDI 2016), without a connection table. With `second_chance`, packets
// name a row's previous owner too.
std::unique_ptr<Router> MakePlainMaglev(bool second_chance);
// The server that is up and has the highest hash with the row, for each of 65537 rows.
std::unique_ptr<Router> MakeRendezvous(bool second_chance);

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_BASELINES_H_
