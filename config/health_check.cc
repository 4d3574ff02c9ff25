#include "config/health_check.h"

#include <charconv>

#include "config/text.h"

namespace sluice::config {
namespace {

std::optional<uint16_t> ParseStatus(std::string_view text) {
  uint16_t status = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), status);
  if (error != std::errc() || end != text.data() + text.size() || status < 100 || status > 599) return std::nullopt;
  return status;
}

}  // namespace

std::optional<StatusRange> ParseStatusRange(std::string_view text) {
  const size_t dash = text.find('-');
  const auto first = ParseStatus(text.substr(0, dash));
  const auto last = dash == std::string_view::npos ? first : ParseStatus(text.substr(dash + 1));
  if (!first || !last || *first > *last) return std::nullopt;
  return StatusRange{*first, *last};
}

std::string StatusRangeText(const StatusRange& range) {
  return range.first == range.last ? Cat(range.first) : Cat(range.first, "-", range.last);
}

std::string StatusesText(const std::vector<StatusRange>& statuses) {
  if (statuses.empty()) return StatusRangeText(StatusRange());
  std::string text;
  for (const StatusRange& range : statuses) text += (text.empty() ? "" : ", ") + StatusRangeText(range);
  return text;
}

}  // namespace sluice::config
