#include "dataplane/lb/cookie_layout.h"

#include <algorithm>
#include <array>
#include <cstdio>

namespace sluice::lb {
namespace {

// "65.5 s"; whole seconds without a fraction.
std::string Seconds(uint64_t ms) {
  std::array<char, 32> text{};
  if (ms % 1000 == 0) {
    std::snprintf(text.data(), text.size(), "%llu s", static_cast<unsigned long long>(ms / 1000));
  } else {
    std::snprintf(text.data(), text.size(), "%.1f s", static_cast<double>(ms) / 1000);
  }
  return text.data();
}

std::string OutOfRange(const char* name, int value, int min, int max) {
  return std::string(name) + ": " + std::to_string(value) + " is out of range; give a whole number from " +
         std::to_string(min) + " to " + std::to_string(max);
}

std::string DescribeWidths(const CookieLayout& layout) {
  struct Width {
    const char* name;
    int value, min, max;
  };
  for (const Width& width : {Width{"key_bits", layout.key_bits, kMinKeyBits, kMaxKeyBits},
                             Width{"tier_bits", layout.tier_bits, 0, kMaxTierBits},
                             Width{"backend_bits", layout.backend_bits, 1, kMaxBackendBits},
                             Width{"check_bits", layout.check_bits, 0, kMaxCheckBits}}) {
    if (width.value < width.min || width.value > width.max) {
      return OutOfRange(width.name, width.value, width.min, width.max);
    }
  }
  return {};
}

// "1 + 0 + 16 + 4 = 21 bits (key, tier, backend, check)"
std::string Sum(const CookieLayout& layout) {
  return std::to_string(layout.key_bits) + " + " + std::to_string(layout.tier_bits) + " + " +
         std::to_string(layout.backend_bits) + " + " + std::to_string(layout.check_bits) + " = " +
         std::to_string(layout.bits()) + " bits (key, tier, backend, check)";
}

}  // namespace

std::optional<uint8_t> ClockBitsFor(const CookieLayout& layout, uint64_t idle_ms) {
  CookieLayout tried = layout;
  const int most = std::min(kMaxClockBits, layout.bits());
  for (int bits = 0; bits <= most; ++bits) {
    tried.clock_bits = static_cast<uint8_t>(bits);
    if (tried.idle_window_ms() >= idle_ms) return tried.clock_bits;
  }
  return std::nullopt;
}

std::string DescribeLayoutError(const CookieLayout& layout, uint64_t idle_ms) {
  if (std::string wrong = DescribeWidths(layout); !wrong.empty()) return wrong;
  if (layout.permuted_bits() < 2 || layout.bits() > kMaxCookieBits) {
    return "the cookie has " + Sum(layout) + "; tier, backend and check are to have 2 at least, and all together " +
           std::to_string(kMaxCookieBits) + " at most";
  }
  const int most = std::min(kMaxClockBits, layout.bits());
  if (layout.clock_bits > most) return OutOfRange("clock_bits", layout.clock_bits, 0, most);
  if (idle_ms > kMaxIdleMs) {
    return "an idle time of " + Seconds(idle_ms) + " is more than the " + Seconds(kMaxIdleMs) +
           " after which clients forget timestamps anyway; give no more";
  }
  if (layout.idle_window_ms() >= idle_ms) return {};
  const int exponent = 31 - layout.bits() + layout.clock_bits;
  std::string text = "the cookie's " + Sum(layout) + " with " + std::to_string(layout.clock_bits) +
                     " low clock bits leave an idle window of 2^(31-" + std::to_string(layout.bits()) + "+" +
                     std::to_string(layout.clock_bits) + ") = 2^" + std::to_string(exponent) +
                     " ms = " + Seconds(layout.idle_window_ms()) + ", less than the " + Seconds(idle_ms) +
                     " for which connections may idle; ";
  if (const auto enough = ClockBitsFor(layout, idle_ms)) return text + "give clock_bits " + std::to_string(*enough);
  CookieLayout widest = layout;
  widest.clock_bits = static_cast<uint8_t>(most);
  int too_many = 0;
  while (widest.idle_window_ms() << too_many < idle_ms) ++too_many;
  return text + "even clock_bits " + std::to_string(most) + " leave " + Seconds(widest.idle_window_ms()) + ": take " +
         std::to_string(too_many) + " bits off backend_bits, tier_bits or check_bits, or allow less idle time";
}

}  // namespace sluice::lb
