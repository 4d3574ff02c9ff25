#ifndef SLUICE_TOOLS_BACKEND_CHECK_H_
#define SLUICE_TOOLS_BACKEND_CHECK_H_

#include <cstdint>
#include <ostream>
#include <string>
#include <vector>

#include "tools/backend/options.h"

namespace sluice::backend {

enum class Severity : uint8_t { kOk, kNote, kWarning, kError };

struct Finding {
  Severity severity = Severity::kOk;
  std::string what;
  std::string remedy;  // commands or a sentence; empty when there is nothing to do
};

// What the kernel has of what the programs need. Loads the programs, and attaches nothing.
std::vector<Finding> CheckKernel();

// Whether this host is set up for direct server return of the options' VIPs, with the commands that mend what is not.
std::vector<Finding> CheckHost(const Options& options);

// The settings of rp_filter, arp_ignore and arp_announce that hold: the kernel takes the larger one of "all" and the
// interface.
int EffectiveSysctl(int all, int interface);

// False when there is an error among them.
bool PrintText(const std::vector<Finding>& findings, std::ostream& out);
bool PrintJson(const std::vector<Finding>& findings, std::ostream& out);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_CHECK_H_
