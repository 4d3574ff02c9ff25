#include "controlplane/preflight/examine.h"

#include <algorithm>

namespace sluice::preflight {

Findings Examine(const Demand& demand, const Facts& facts) {
  Findings findings;
  for (const auto check : {CheckDevices, CheckCpus, CheckMemory, CheckHost, CheckProcess}) {
    check(demand, facts, &findings);
  }
  std::stable_sort(findings.begin(), findings.end(),
                   [](const Finding& a, const Finding& b) { return a.severity > b.severity; });
  return findings;
}

uint32_t CountOf(const Findings& findings, Severity severity) {
  return static_cast<uint32_t>(std::count_if(
      findings.begin(), findings.end(), [severity](const Finding& finding) { return finding.severity == severity; }));
}

}  // namespace sluice::preflight
