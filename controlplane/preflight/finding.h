#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_FINDING_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_FINDING_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::preflight {

enum class Severity : uint8_t {
  kOk,
  kWarning,  // it works, but not as well or as safely as it could
  kError,    // sluiced cannot work: it refuses to start
};

constexpr std::string_view SeverityName(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      return "error";
  }
  return "unknown";
}

// What one check found out about one thing.
struct Finding {
  Severity severity = Severity::kOk;
  std::string check;    // "cpu.isolation"; stable, for programs
  std::string subject;  // "port wan: 0000:03:00.0", "worker 1 on CPU 3"
  std::string message;
  std::string remedy;  // what mends it, a command where there is one; empty when nothing is to be mended
};

using Findings = std::vector<Finding>;

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_FINDING_H_
