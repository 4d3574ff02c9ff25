#include "controlplane/preflight/print.h"

#include <array>
#include <cstdio>
#include <string_view>

#include "controlplane/model/text.h"
#include "controlplane/preflight/examine.h"

namespace sluice::preflight {
namespace {

using model::Cat;

std::string Quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", static_cast<unsigned>(c));
      out += escape.data();
    } else {
      out += c;
    }
  }
  return out + "\"";
}

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
    out += Cat(i == 0 ? "" : ",", "\n  {\"severity\": ", Quoted(SeverityName(finding.severity)),
               ", \"check\": ", Quoted(finding.check), ", \"subject\": ", Quoted(finding.subject),
               ", \"message\": ", Quoted(finding.message));
    if (!finding.remedy.empty()) out += Cat(", \"remedy\": ", Quoted(finding.remedy));
    out += "}";
  }
  return out + "\n]}\n";
}

}  // namespace sluice::preflight
