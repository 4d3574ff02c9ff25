#include "tools/sluicectl/units.h"

#include <array>
#include <cstdio>
#include <ctime>
#include <span>
#include <string_view>

#include "config/text.h"

namespace sluice::ctl {
namespace {

using config::Cat;

// Three significant digits; moves on to the next prefix where rounding would give four before the point ("1000k").
std::string Scaled(double value, double base, std::span<const std::string_view> prefixes) {
  size_t prefix = 0;
  while (prefix + 1 < prefixes.size() && value >= base - 0.5) {
    value /= base;
    ++prefix;
  }
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.*f", decimals, value);
  return Cat(std::string_view(text.data()), prefixes[prefix]);
}

}  // namespace

std::string HumanCount(uint64_t count) {
  static constexpr std::array<std::string_view, 6> kPrefixes = {"k", "M", "G", "T", "P", "E"};
  if (count < 10000) return std::to_string(count);
  return Scaled(static_cast<double>(count) / 1000, 1000, kPrefixes);
}

std::string HumanBytes(uint64_t bytes) {
  static constexpr std::array<std::string_view, 6> kPrefixes = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (bytes < 1024) return Cat(bytes, "B");
  return Scaled(static_cast<double>(bytes) / 1024, 1024, kPrefixes);
}

std::string HumanMicroseconds(uint64_t us) {
  if (us < 1000) return Cat(us, "us");
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1fms", static_cast<double>(us) / 1000);
  return text.data();
}

std::string HumanShare(double share) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f%%", share * 100);
  return text.data();
}

std::string HumanDuration(uint64_t seconds) {
  constexpr uint64_t kMinute = 60, kHour = 60 * kMinute, kDay = 24 * kHour;
  if (seconds < kMinute) return Cat(seconds, "s");
  if (seconds < kHour) return Cat(seconds / kMinute, "m", seconds % kMinute, "s");
  if (seconds < kDay) return Cat(seconds / kHour, "h", seconds % kHour / kMinute, "m");
  return Cat(seconds / kDay, "d", seconds % kDay / kHour, "h");
}

std::string UtcTime(uint64_t unix_ms) {
  if (unix_ms == 0) return "-";
  const auto seconds = static_cast<time_t>(unix_ms / 1000);
  tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 40> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

}  // namespace sluice::ctl
