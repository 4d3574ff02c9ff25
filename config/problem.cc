#include "config/problem.h"

#include <algorithm>
#include <limits>

#include "absl/strings/escaping.h"
#include "config/text.h"

namespace sluice::config {
namespace {

constexpr size_t kMaxQuotedBytes = 64;

// Edits that turn one word into the other: insertions, deletions, replacements, and swaps of neighbours (optimal string
// alignment).
size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<size_t> before_previous, previous(b.size() + 1), current(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) previous[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    current[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replace = previous[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      current[j] = std::min({previous[j] + 1, current[j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        current[j] = std::min(current[j], before_previous[j - 2] + 1);
      }
    }
    before_previous = previous;
    std::swap(previous, current);
  }
  return previous[b.size()];
}

}  // namespace

absl::Status ToStatus(const std::vector<Problem>& problems) {
  if (problems.empty()) return absl::OkStatus();
  std::string lines;
  for (const Problem& problem : problems) {
    lines += Cat(lines.empty() ? "" : "\n", problem.field, ": ", problem.message);
  }
  return absl::InvalidArgumentError(lines);
}

std::string Quote(std::string_view text) {
  const bool cut = text.size() > kMaxQuotedBytes;
  const std::string_view shown = text.substr(0, kMaxQuotedBytes);
  return Cat("\"", absl::CHexEscape(absl::string_view(shown.data(), shown.size())), cut ? "..." : "", "\"");
}

std::string OutOfRange(std::string_view what, const Range& range) {
  return Cat(what, " is out of range; give a whole number from ", range.min, " to ", range.max);
}

std::string_view ClosestWord(std::string_view word, const std::vector<std::string_view>& known) {
  constexpr size_t kLongestWord = 64;  // longer ones are no typing mistakes, and the comparison is quadratic
  if (word.size() > kLongestWord) return {};
  std::string_view best;
  size_t best_distance = std::numeric_limits<size_t>::max();
  for (const std::string_view candidate : known) {
    const size_t distance = EditDistance(word, candidate);
    if (distance < best_distance) {
      best = candidate;
      best_distance = distance;
    }
  }
  const size_t tolerated = std::max<size_t>(1, std::max(word.size(), best.size()) / 3);
  return best_distance <= tolerated ? best : std::string_view();
}

std::string KeyPath(std::string_view parent, std::string_view key) {
  return parent.empty() ? std::string(key) : Cat(parent, ".", key);
}

std::string IndexPath(std::string_view parent, size_t index) { return Cat(parent, "[", index, "]"); }

std::string VipPath(size_t vip) { return IndexPath("services.vips", vip); }

std::string PoolPath(size_t pool) { return IndexPath("services.pools", pool); }

std::string BackendPath(size_t pool, size_t backend) { return IndexPath(PoolPath(pool) + ".backends", backend); }

std::string_view ParentPath(std::string_view path) {
  const size_t cut = path.find_last_of(".[");
  return cut == std::string_view::npos ? std::string_view() : path.substr(0, cut);
}

}  // namespace sluice::config
