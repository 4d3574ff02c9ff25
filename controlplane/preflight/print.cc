#include "controlplane/preflight/print.h"

#include <string_view>

#include "controlplane/model/text.h"
#include "controlplane/preflight/examine.h"

namespace sluice::preflight {
namespace {

using model::Cat;

}  // namespace

std::string ToText(const Findings& findings) {
  constexpr size_t kSeverityWidth = 9;
  std::string out;
  for (const Finding& finding : findings) {
    std::string severity(SeverityName(finding.severity));
    severity.resize(kSeverityWidth, ' ');
    out += Cat(severity, finding.check, ": ", finding.subject, ": ", finding.message, "\n");
    if (!finding.remedy.empty()) out += Cat(std::string(kSeverityWidth, ' '), "remedy: ", finding.remedy, "\n");
  }
  return out + Cat(CountOf(findings, Severity::kError), " errors, ", CountOf(findings, Severity::kWarning),
                   " warnings, ", CountOf(findings, Severity::kOk), " ok\n");
}

std::string ToJson(const Findings& findings) {
  std::string out = Cat("{\"errors\": ", CountOf(findings, Severity::kError),
                        ", \"warnings\": ", CountOf(findings, Severity::kWarning), ", \"findings\": [");
  for (size_t i = 0; i < findings.size(); ++i) {
    const Finding& finding = findings[i];
    out += Cat(i == 0 ? "" : ",", "\n  {\"severity\": ", model::JsonString(SeverityName(finding.severity)),
               ", \"check\": ", model::JsonString(finding.check), ", \"subject\": ", model::JsonString(finding.subject),
               ", \"message\": ", model::JsonString(finding.message));
    if (!finding.remedy.empty()) out += Cat(", \"remedy\": ", model::JsonString(finding.remedy));
    out += "}";
  }
  return out + "\n]}\n";
}

}  // namespace sluice::preflight
