#ifndef SLUICE_TOOLS_BENCH_REPORT_H_
#define SLUICE_TOOLS_BENCH_REPORT_H_

#include <ostream>
#include <string_view>

#include "tools/bench/measure.h"

namespace sluice::bench {

// A line of the table for people; `ReportHead` is its head.
void ReportHead(std::ostream& out);
void ReportLine(const Result& result, std::ostream& out);
// One JSON object in one line.
void ReportJson(const Result& result, std::ostream& out);

}  // namespace sluice::bench

#endif  // SLUICE_TOOLS_BENCH_REPORT_H_
