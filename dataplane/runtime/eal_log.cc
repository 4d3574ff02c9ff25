#include "dataplane/runtime/eal_log.h"

#include <rte_log.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "dataplane/base/log.h"

namespace sluice::runtime {
namespace {

constexpr size_t kMaxExcerptLines = 3;

struct Sink {
  std::mutex mutex;
  std::string line;  // not ended yet
  bool excerpt = false;
  bool mute = false;
  std::vector<std::string> excerpt_lines;
};

// Never destroyed: DPDK's threads may log until the process ends.
Sink& TheSink() {
  static Sink* const sink = new Sink;
  return *sink;
}

// Called by stdio when rte_log flushes its stream, in the thread that logs.
ssize_t WriteToLog(void* /*cookie*/, const char* data, size_t size) {
  Sink& sink = TheSink();
  const int level = rte_log_cur_msg_loglevel();
  const std::lock_guard<std::mutex> lock(sink.mutex);
  for (size_t i = 0; i < size; ++i) {
    if (data[i] != '\n') {
      sink.line += data[i];
      continue;
    }
    if (!sink.line.empty()) {
      const bool error = level > 0 && level <= static_cast<int>(RTE_LOG_ERR);
      if (!sink.mute) WriteLogLine(error ? LogLevel::kError : LogLevel::kWarning, "dpdk: " + sink.line);
      if (sink.excerpt && sink.excerpt_lines.size() < kMaxExcerptLines) sink.excerpt_lines.push_back(sink.line);
    }
    sink.line.clear();
  }
  return static_cast<ssize_t>(size);
}

}  // namespace

absl::Status CaptureEalLog() {
  cookie_io_functions_t functions{};
  functions.write = WriteToLog;
  FILE* stream = fopencookie(nullptr, "w", functions);
  if (stream == nullptr) {
    return absl::InternalError(absl::StrCat("fopencookie for DPDK's log failed: ", std::strerror(errno)));
  }
  rte_openlog_stream(stream);
  rte_log_set_global_level(RTE_LOG_WARNING);
  return absl::OkStatus();
}

EalLogExcerpt::EalLogExcerpt(Mode mode) {
  Sink& sink = TheSink();
  const std::lock_guard<std::mutex> lock(sink.mutex);
  sink.excerpt = true;
  sink.mute = mode == Mode::kCollectOnly;
  sink.excerpt_lines.clear();
}

EalLogExcerpt::~EalLogExcerpt() {
  Sink& sink = TheSink();
  const std::lock_guard<std::mutex> lock(sink.mutex);
  sink.excerpt = false;
  sink.mute = false;
}

std::string EalLogExcerpt::Text() const {
  Sink& sink = TheSink();
  const std::lock_guard<std::mutex> lock(sink.mutex);
  if (sink.excerpt_lines.empty()) return "";
  return absl::StrCat(" (DPDK says: ", absl::StrJoin(sink.excerpt_lines, "; "), ")");
}

}  // namespace sluice::runtime
