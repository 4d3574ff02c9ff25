#ifndef SLUICE_TOOLS_SLUICECTL_ARGUMENTS_H_
#define SLUICE_TOOLS_SLUICECTL_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace sluice::ctl {

// An option as users know it.
struct FlagSpec {
  std::string_view name;        // without dashes
  char letter = 0;              // 0: none
  std::string_view value_name;  // in help; empty: takes no value
  std::string_view help;
  bool global = false;  // belongs to every command
};

// The words of a command line, sorted into flags and the rest, which may be mixed: "get vips -o json" and
// "-o json get vips" are the same.
struct ParsedArguments {
  std::map<std::string, std::string, std::less<>> flags;  // by name; "" for those without a value
  std::vector<std::string> words;

  bool Has(std::string_view flag) const { return flags.contains(flag); }
  // `fallback` when it was not given.
  std::string Get(std::string_view flag, std::string_view fallback) const;
};

// Forms: --name VALUE, --name=VALUE, -n VALUE, -nVALUE; "--" ends the flags; "-" is a word. The last of several wins.
// kInvalidArgument, for kExitUsage, with a suggestion for unknown flags.
absl::StatusOr<ParsedArguments> ParseArguments(const std::vector<std::string>& arguments,
                                               const std::vector<FlagSpec>& specs);

// A whole number. `what` begins the message: "--limit". kInvalidArgument, for kExitUsage.
absl::StatusOr<uint64_t> ReadNumber(std::string_view what, const std::string& text, uint64_t min = 0,
                                    uint64_t max = UINT64_MAX);

struct BackendName {
  std::string pool;
  std::string backend;
};
// "POOL/BACKEND". kInvalidArgument, for kExitUsage.
absl::StatusOr<BackendName> ReadBackendName(const std::string& text);

// "; did you mean \"vips\"?" when one of `known` is close to `word`, else "".
std::string Suggestion(std::string_view word, const std::vector<std::string_view>& known);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_ARGUMENTS_H_
