#ifndef SLUICE_CONTROLPLANE_DRAIN_DRAIN_TEXT_H_
#define SLUICE_CONTROLPLANE_DRAIN_DRAIN_TEXT_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/drain/drain.h"

namespace sluice::drain {

// Drains as lines of "key: value", a blank line after each; to be kept over a restart.
std::string ToText(const std::vector<Drain>& drains);
// kDataLoss, naming the line. Keys of later versions are passed over.
absl::StatusOr<std::vector<Drain>> FromText(std::string_view text);

}  // namespace sluice::drain

#endif  // SLUICE_CONTROLPLANE_DRAIN_DRAIN_TEXT_H_
