#include "controlplane/store/state_file.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <optional>

#include "absl/strings/escaping.h"
#include "config/dump.h"
#include "config/load.h"
#include "controlplane/model/text.h"

namespace sluice::store {
namespace {

using model::Cat;

constexpr std::string_view kMagic = "sluice-state 1 ";
constexpr std::string_view kServices = "services:\n";

constexpr std::array<uint32_t, 256> MakeTable() {
  std::array<uint32_t, 256> table{};
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? 0x82f63b78u : 0u);
    table[i] = crc;
  }
  return table;
}
constexpr std::array<uint32_t, 256> kTable = MakeTable();

std::string HeaderOf(std::string_view payload) {
  char text[64];
  std::snprintf(text, sizeof(text), "crc32c=%08x bytes=%zu\n", Crc32c(payload), payload.size());
  return Cat(kMagic, std::string_view(text));
}

std::string Escape(std::string_view text) { return absl::CEscape({text.data(), text.size()}); }

std::string Unescape(std::string_view text) {
  std::string out;
  return absl::CUnescape({text.data(), text.size()}, &out) ? out : std::string(text);
}

absl::StatusOr<std::string_view> PayloadOf(std::string_view text) {
  const size_t end = text.find('\n');
  if (!text.starts_with(kMagic) || end == std::string_view::npos) {
    return absl::DataLossError("does not begin like a state of this version of sluiced");
  }
  const std::string_view payload = text.substr(end + 1);
  if (text.substr(0, end + 1) != HeaderOf(payload)) {
    return absl::DataLossError("is cut or altered: length or checksum differ from what its first line says");
  }
  return payload;
}

uint64_t NumberOf(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Calls `use(key, value)` for each line before the services; what stands from there on is returned.
template <typename Use>
std::string_view ReadHead(std::string_view payload, const Use& use) {
  while (!payload.empty() && !payload.starts_with(kServices)) {
    const size_t end = payload.find('\n');
    const std::string_view line = payload.substr(0, end);
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) use(line.substr(0, colon), line.substr(colon + 2));
    payload.remove_prefix(end == std::string_view::npos ? payload.size() : end + 1);
  }
  return payload;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

std::string Encode(const model::ChangeEntry& entry, const model::KeptState& state) {
  const auto unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(entry.at.time_since_epoch()).count();
  std::string payload = Cat("version: ", entry.version, "\nunix_ms: ", unix_ms, "\nuser: ", Escape(entry.author.user),
                            "\naction: ", Escape(entry.author.action), "\nlines: ", entry.lines_total, "\n");
  for (const std::string& line : entry.lines) payload += Cat("line: ", Escape(line), "\n");
  for (const auto& [pool, backend] : state.operator_drains)
    payload += Cat("operator_drain: ", pool, "/", backend, "\n");
  payload += config::DumpServices(state.desired);
  return HeaderOf(payload) + payload;
}

absl::StatusOr<model::ChangeEntry> DecodeEntry(std::string_view text) {
  const absl::StatusOr<std::string_view> payload = PayloadOf(text);
  if (!payload.ok()) return payload.status();
  model::ChangeEntry entry;
  ReadHead(*payload, [&](std::string_view key, std::string_view value) {
    if (key == "version") entry.version = NumberOf(value);
    if (key == "unix_ms") entry.at = std::chrono::system_clock::time_point(std::chrono::milliseconds(NumberOf(value)));
    if (key == "user") entry.author.user = Unescape(value);
    if (key == "action") entry.author.action = Unescape(value);
    if (key == "lines") entry.lines_total = NumberOf(value);
    if (key == "line") entry.lines.push_back(Unescape(value));
  });
  if (entry.version == 0) return absl::DataLossError("has no version");
  return entry;
}

absl::StatusOr<model::KeptState> DecodeState(std::string_view text) {
  const absl::StatusOr<std::string_view> payload = PayloadOf(text);
  if (!payload.ok()) return payload.status();
  model::KeptState state;
  const std::string_view services = ReadHead(*payload, [&](std::string_view key, std::string_view value) {
    const size_t slash = value.find('/');
    if (key != "operator_drain" || slash == std::string_view::npos) return;
    state.operator_drains.emplace_back(value.substr(0, slash), value.substr(slash + 1));
  });
  absl::StatusOr<config::ServiceConfig> desired = config::LoadServicesText(services, "state");
  if (!desired.ok()) {
    return absl::DataLossError(
        Cat("is whole, but this version of sluiced does not understand it: ", std::string(desired.status().message())));
  }
  state.desired = *std::move(desired);
  return state;
}

}  // namespace sluice::store
