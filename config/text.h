#ifndef SLUICE_CONFIG_TEXT_H_
#define SLUICE_CONFIG_TEXT_H_

#include <concepts>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

// What Abseil's string functions and maps would do, were the installed one's absl::string_view the standard's.
namespace sluice::config {

inline void AppendPart(std::string* out, std::string_view part) { out->append(part); }
template <std::integral T>
void AppendPart(std::string* out, T number) {
  out->append(std::to_string(number));
}

// The parts (text and integers) one after the other.
template <typename... Parts>
std::string Cat(const Parts&... parts) {
  std::string result;
  (AppendPart(&result, parts), ...);
  return result;
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
