#include "dataplane/base/cpu_list.h"

#include <charconv>
#include <system_error>

namespace sluice {
namespace {

constexpr size_t kMostCpus = 65536;

// Takes a number from the front of `text`.
std::optional<uint32_t> TakeNumber(std::string_view& text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return value;
}

bool TakeChar(std::string_view& text, char c) {
  if (text.empty() || text.front() != c) return false;
  text.remove_prefix(1);
  return true;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::string CpuListText(const std::vector<uint32_t>& cpus) {
  std::string text;
  for (size_t i = 0; i < cpus.size();) {
    size_t last = i;
    while (last + 1 < cpus.size() && cpus[last + 1] == cpus[last] + 1) ++last;
    if (!text.empty()) text += ',';
    text += std::to_string(cpus[i]);
    if (last > i) text.append("-").append(std::to_string(cpus[last]));
    i = last + 1;
  }
  return text;
}

std::optional<std::vector<uint32_t>> ParseCpuList(std::string_view text) {
  std::vector<uint32_t> cpus;
  text = Trimmed(text);
  if (text.empty()) return cpus;
  do {
    const std::optional<uint32_t> first = TakeNumber(text);
    if (!first) return std::nullopt;
    uint32_t last = *first;
    if (TakeChar(text, '-')) {
      const std::optional<uint32_t> end = TakeNumber(text);
      if (!end || *end < *first) return std::nullopt;
      last = *end;
    }
    if (last - *first >= kMostCpus - cpus.size()) return std::nullopt;
    for (uint32_t cpu = *first; cpu <= last; ++cpu) cpus.push_back(cpu);
  } while (TakeChar(text, ','));
  if (!text.empty()) return std::nullopt;
  return cpus;
}

}  // namespace sluice
