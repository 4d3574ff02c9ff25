#ifndef SLUICE_DATAPLANE_BASE_LOG_H_
#define SLUICE_DATAPLANE_BASE_LOG_H_

#include <atomic>
#include <cstdint>
#include <sstream>
#include <string_view>

namespace sluice {

enum class LogLevel : uint8_t { kDebug, kInfo, kWarning, kError };

// Messages below this level are discarded. Any thread.
void SetLogLevel(LogLevel level);
bool LogEnabled(LogLevel level);

// Writes one line to standard error in one system call: "<UTC time> LEVEL message", or, where standard error is the
// journal of systemd, "<PRIORITY>message". Line breaks in the message are escaped, so that foreign text cannot forge a
// log line. Any thread; not on the packet path.
void WriteLogLine(LogLevel level, std::string_view message);

// Lets a message through at most once an interval and counts what it held back. Any thread.
class LogRateLimit {
 public:
  explicit LogRateLimit(uint64_t interval_ms) : interval_ms_(interval_ms) {}
  // True when a message may be written now; `suppressed` then says how many were held back since the last.
  bool Allow(uint64_t* suppressed);

 private:
  const uint64_t interval_ms_;
  std::atomic<uint64_t> next_ms_ = 0;
  std::atomic<uint64_t> suppressed_ = 0;
};

namespace internal {

class LogStream {
 public:
  explicit LogStream(LogLevel level) : level_(level) {}
  ~LogStream() { WriteLogLine(level_, stream_.str()); }
  LogStream(const LogStream&) = delete;
  LogStream& operator=(const LogStream&) = delete;
  std::ostream& stream() { return stream_; }

 private:
  LogLevel level_;
  std::ostringstream stream_;
};

}  // namespace internal
}  // namespace sluice

// SLUICE_LOG(kInfo) << "port " << name << " is up";
#define SLUICE_LOG(level)                                 \
  if (!::sluice::LogEnabled(::sluice::LogLevel::level)) { \
  } else                                                  \
    ::sluice::internal::LogStream(::sluice::LogLevel::level).stream()

#endif  // SLUICE_DATAPLANE_BASE_LOG_H_
