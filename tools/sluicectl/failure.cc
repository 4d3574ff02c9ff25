#include "tools/sluicectl/failure.h"

#include "absl/strings/cord.h"
#include "absl/types/optional.h"

namespace sluice::ctl {
namespace {

constexpr const char* kUsageMark = "sluicectl/usage";
constexpr const char* kDiffersMark = "sluicectl/differs";
constexpr const char* kFlowsLeftMark = "sluicectl/flows-left";
constexpr const char* kUnreachableMark = "sluicectl/unreachable";

}  // namespace

absl::Status Failure(ExitCode code, absl::StatusCode status_code, const std::string& message) {
  absl::Status status(status_code, message);
  if (code == kExitUsage) status.SetPayload(kUsageMark, absl::Cord());
  if (code == kExitUnreachable) status.SetPayload(kUnreachableMark, absl::Cord());
  if (code == kExitDiffers) status.SetPayload(kDiffersMark, absl::Cord());
  if (code == kExitFlowsLeft) status.SetPayload(kFlowsLeftMark, absl::Cord());
  return status;
}

absl::Status UsageError(const std::string& message) {
  return Failure(kExitUsage, absl::StatusCode::kInvalidArgument, message);
}

ExitCode ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return kExitOk;
  if (status.GetPayload(kUsageMark).has_value()) return kExitUsage;
  if (status.GetPayload(kUnreachableMark).has_value()) return kExitUnreachable;
  if (status.GetPayload(kDiffersMark).has_value()) return kExitDiffers;
  if (status.GetPayload(kFlowsLeftMark).has_value()) return kExitFlowsLeft;
  return kExitRefused;
}

}  // namespace sluice::ctl
