#include "config/text.h"
#include "tools/backend/check.h"
#include "tools/replay/json_writer.h"

namespace sluice::backend {
namespace {

std::string_view NameOf(Severity severity) {
  switch (severity) {
    case Severity::kOk:
      return "ok";
    case Severity::kNote:
      return "note";
    case Severity::kWarning:
      return "warning";
    case Severity::kError:
      break;
  }
  return "error";
}

bool NoError(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    if (finding.severity == Severity::kError) return false;
  }
  return true;
}

}  // namespace

bool PrintText(const std::vector<Finding>& findings, std::ostream& out) {
  for (const Finding& finding : findings) {
    const std::string_view name = NameOf(finding.severity);
    out << name << std::string(9 - name.size(), ' ') << finding.what << "\n";
    if (!finding.remedy.empty()) out << "           -> " << finding.remedy << "\n";
  }
  return NoError(findings);
}

bool PrintJson(const std::vector<Finding>& findings, std::ostream& out) {
  {
    replay::ObjectWriter object(out);
    replay::WriteArray(object.Key("findings"), findings, [&out](const Finding& finding) {
      replay::ObjectWriter entry(out);
      entry.Text("severity", NameOf(finding.severity));
      entry.Text("what", finding.what);
      if (!finding.remedy.empty()) entry.Text("remedy", finding.remedy);
    });
  }
  out << "\n";
  return NoError(findings);
}

}  // namespace sluice::backend
