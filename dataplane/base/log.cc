#include "dataplane/base/log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <string>

namespace sluice {
namespace {

std::atomic<LogLevel> g_level = LogLevel::kInfo;

constexpr std::array<std::string_view, 4> kLevelNames = {"DEBUG", "INFO", "WARNING", "ERROR"};

std::string UtcNow() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  tm utc{};
  gmtime_r(&now.tv_sec, &utc);
  std::array<char, 40> seconds{};
  std::strftime(seconds.data(), seconds.size(), "%Y-%m-%dT%H:%M:%S", &utc);
  std::array<char, 8> fraction{};
  std::snprintf(fraction.data(), fraction.size(), ".%03dZ", static_cast<int>(now.tv_nsec / 1'000'000 % 1000));
  return std::string(seconds.data()) + fraction.data();
}

// Whether standard error is the journal, which JOURNAL_STREAM names by device and inode (systemd.exec(5)). It may name
// one that was redirected since.
bool WritesToJournal() {
  const char* const stream = std::getenv("JOURNAL_STREAM");
  struct stat info {};
  if (stream == nullptr || fstat(STDERR_FILENO, &info) != 0) return false;
  return std::to_string(info.st_dev) + ":" + std::to_string(info.st_ino) == stream;
}

// The journal has a time of its own, and takes a line's priority from its first characters (sd-daemon(3)).
std::string Beginning(LogLevel level) {
  constexpr std::array<std::string_view, 4> kPriorities = {"<7>", "<6>", "<4>", "<3>"};
  if (WritesToJournal()) return std::string(kPriorities[static_cast<size_t>(level)]);
  return UtcNow().append(" ").append(kLevelNames[static_cast<size_t>(level)]).append(" ");
}

}  // namespace

void SetLogLevel(LogLevel level) { g_level.store(level, std::memory_order_relaxed); }

bool LogEnabled(LogLevel level) { return level >= g_level.load(std::memory_order_relaxed); }

void WriteLogLine(LogLevel level, std::string_view message) {
  std::string line = Beginning(level);
  for (const char c : message) {
    if (c == '\n') {
      line += "\\n";
    } else if (static_cast<unsigned char>(c) < 0x20 && c != '\t') {
      line += '?';
    } else {
      line += c;
    }
  }
  line += '\n';
  // A log that cannot be written has no one to tell.
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, line.data(), line.size());
}

bool LogRateLimit::Allow(uint64_t* suppressed) {
  const uint64_t now_ms = static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now().time_since_epoch())
          .count());
  uint64_t next_ms = next_ms_.load(std::memory_order_relaxed);
  if (now_ms < next_ms ||
      !next_ms_.compare_exchange_strong(next_ms, now_ms + interval_ms_, std::memory_order_relaxed)) {
    suppressed_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  *suppressed = suppressed_.exchange(0, std::memory_order_relaxed);
  return true;
}

}  // namespace sluice
