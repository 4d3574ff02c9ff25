#ifndef SLUICE_CONFIG_TEXT_H_
#define SLUICE_CONFIG_TEXT_H_

#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "absl/strings/str_cat.h"

// What Abseil's string functions and maps would do, were the installed one's absl::string_view the standard's.
namespace sluice::config {

namespace internal {

template <typename T>
decltype(auto) ForAbseil(const T& value) {
  if constexpr (std::is_same_v<T, std::string_view>) {
    return absl::string_view(value.data(), value.size());
  } else {
    return (value);
  }
}

}  // namespace internal

// absl::StrCat, also for std::string_view.
template <typename... Parts>
std::string Cat(const Parts&... parts) {
  return absl::StrCat(internal::ForAbseil(parts)...);
}

// Hexadecimal digits of the 16 bytes that a seed or a key has.
inline constexpr size_t kSecretDigits = 32;

// Whether all of it is hexadecimal digits.
inline bool IsHex(std::string_view text) {
  return text.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
}

// "a, b, c"
inline std::string JoinWithCommas(const std::vector<std::string_view>& parts) {
  std::string result;
  for (const std::string_view part : parts) result.append(result.empty() ? "" : ", ").append(part);
  return result;
}

// Hash tables that are searched by std::string_view without a copy.
struct StringHash {
  using is_transparent = void;
  size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
};
template <typename T>
using StringMap = std::unordered_map<std::string, T, StringHash, std::equal_to<>>;
using StringSet = std::unordered_set<std::string, StringHash, std::equal_to<>>;

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_TEXT_H_
