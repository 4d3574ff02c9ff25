#ifndef SLUICE_CONTROLPLANE_APP_REPORT_H_
#define SLUICE_CONTROLPLANE_APP_REPORT_H_

#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "config/schema.h"
#include "controlplane/model/snapshot.h"
#include "dataplane/fwd/interfaces.h"

// What sluiced tells whoever reads its log or runs --check.
namespace sluice::app {

// What came up, beyond what the data plane says itself.
void ReportDataplane(const fwd::DataplaneView& view);
void ReportState(const model::Snapshot& snapshot);
// The last word: all packets and whether their sum is right (at rest it must be exact).
void ReportTotals(const fwd::PacketTotals& totals);

// An error of several lines as several lines of the log, each after `what`.
void LogProblems(std::string_view what, const absl::Status& status);

// For people: what a valid configuration configures.
std::string Summary(const config::Config& config);

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_REPORT_H_
