#include "tools/sluicectl/arguments.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/problem.h"
#include "config/text.h"
#include "tools/sluicectl/failure.h"

namespace sluice::ctl {
namespace {

using config::Cat;

const FlagSpec* FindByName(const std::vector<FlagSpec>& specs, std::string_view name) {
  const auto it = std::find_if(specs.begin(), specs.end(), [&](const FlagSpec& s) { return s.name == name; });
  return it == specs.end() ? nullptr : &*it;
}

const FlagSpec* FindByLetter(const std::vector<FlagSpec>& specs, char letter) {
  const auto it = std::find_if(specs.begin(), specs.end(), [&](const FlagSpec& s) { return s.letter == letter; });
  return it == specs.end() ? nullptr : &*it;
}

// One flag as it was written.
struct Written {
  std::string text;  // as in messages: "--output", "-o"
  const FlagSpec* spec = nullptr;
  bool has_value = false;
  std::string value;
};

Written SplitFlag(const std::string& argument, const std::vector<FlagSpec>& specs) {
  Written written;
  if (argument.starts_with("--")) {
    const size_t equals = argument.find('=');
    written.text = argument.substr(0, equals);
    written.spec = FindByName(specs, std::string_view(written.text).substr(2));
    written.has_value = equals != std::string::npos;
    if (written.has_value) written.value = argument.substr(equals + 1);
    return written;
  }
  written.text = argument.substr(0, 2);
  written.spec = FindByLetter(specs, argument[1]);
  written.has_value = argument.size() > 2;
  if (written.has_value) written.value = argument.substr(2);
  return written;
}

absl::Status UnknownFlag(const Written& written, const std::vector<FlagSpec>& specs) {
  std::vector<std::string_view> names;
  for (const FlagSpec& spec : specs) names.push_back(spec.name);
  const std::string_view name = std::string_view(written.text).substr(written.text.starts_with("--") ? 2 : 1);
  const std::string_view closest = config::ClosestWord(name, names);
  return UsageError(
      Cat("unknown option ", written.text, closest.empty() ? std::string() : Cat("; did you mean --", closest, "?")));
}

}  // namespace

std::string ParsedArguments::Get(std::string_view flag, std::string_view fallback) const {
  const auto it = flags.find(flag);
  return it == flags.end() ? std::string(fallback) : it->second;
}

absl::StatusOr<ParsedArguments> ParseArguments(const std::vector<std::string>& arguments,
                                               const std::vector<FlagSpec>& specs) {
  ParsedArguments parsed;
  bool flags_ended = false;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (flags_ended || argument.size() < 2 || argument[0] != '-') {
      parsed.words.push_back(argument);
      continue;
    }
    if (argument == "--") {
      flags_ended = true;
      continue;
    }
    Written written = SplitFlag(argument, specs);
    if (written.spec == nullptr) return UnknownFlag(written, specs);
    const bool takes_value = !written.spec->value_name.empty();
    if (!takes_value && written.has_value) {
      return UsageError(Cat(written.text, " takes no value"));
    }
    if (takes_value && !written.has_value) {
      if (i + 1 == arguments.size()) {
        return UsageError(Cat(written.text, " needs a value: ", written.spec->value_name));
      }
      written.value = arguments[++i];
    }
    parsed.flags.insert_or_assign(std::string(written.spec->name), std::move(written.value));
  }
  return parsed;
}

absl::StatusOr<uint64_t> ReadNumber(std::string_view what, const std::string& text, uint64_t min, uint64_t max) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= min && number <= max) return number;
  const std::string range = max == UINT64_MAX ? "" : Cat(" from ", min, " to ", max);
  return UsageError(Cat(what, ": \"", text, "\" is not a whole number", range));
}

absl::StatusOr<BackendName> ReadBackendName(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return UsageError(config::Cat("\"", text, "\" does not name a backend; write POOL/BACKEND"));
  }
  return BackendName{text.substr(0, slash), text.substr(slash + 1)};
}

std::string Suggestion(std::string_view word, const std::vector<std::string_view>& known) {
  const std::string_view closest = config::ClosestWord(word, known);
  return closest.empty() ? std::string() : Cat("; did you mean \"", closest, "\"?");
}

}  // namespace sluice::ctl
