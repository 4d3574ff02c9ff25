#ifndef SLUICE_CONFIG_PROBLEM_H_
#define SLUICE_CONFIG_PROBLEM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "config/limits.h"

namespace sluice::config {

// One thing that is wrong with a configuration.
struct Problem {
  // Where, as a path from the root: "services.pools[0].backends[1].weight".
  std::string field;
  // What is wrong, with the value, and the remedy after a semicolon. One line of printable text.
  std::string message;
};

// OK when there are none, else kInvalidArgument with one line "field: message" for each.
absl::Status ToStatus(const std::vector<Problem>& problems);

// Foreign text for a message: in double quotes, unprintable bytes escaped, and cut when it is long.
std::string Quote(std::string_view text);

// "`what` is out of range; give a whole number from 1 to 64"
std::string OutOfRange(std::string_view what, const Range& range);

// The one of `known` that a misspelt `word` most likely stands for; empty when none is close.
std::string_view ClosestWord(std::string_view word, const std::vector<std::string_view>& known);

// Paths: "parent.key", "parent[3]", and back. A parent of a top-level field is empty.
std::string KeyPath(std::string_view parent, std::string_view key);
std::string IndexPath(std::string_view parent, size_t index);

// "services.vips[3]", "services.pools[3]", "services.pools[3].backends[2]"
std::string VipPath(size_t vip);
std::string PoolPath(size_t pool);
std::string BackendPath(size_t pool, size_t backend);
std::string_view ParentPath(std::string_view path);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_PROBLEM_H_
