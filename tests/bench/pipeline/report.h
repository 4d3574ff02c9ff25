#ifndef SLUICE_TESTS_BENCH_PIPELINE_REPORT_H_
#define SLUICE_TESTS_BENCH_PIPELINE_REPORT_H_

#include <ostream>
#include <string_view>

#include "tests/bench/pipeline/measure.h"

namespace sluice::bench {

// A line of the table for people; `ReportHead` is its head.
void ReportHead(std::ostream& out);
void ReportLine(const Result& result, std::ostream& out);
// One JSON object in one line.
void ReportJson(const Result& result, std::ostream& out);

}  // namespace sluice::bench

#endif  // SLUICE_TESTS_BENCH_PIPELINE_REPORT_H_
