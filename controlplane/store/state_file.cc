#include "controlplane/store/state_file.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_split.h"
#include "config/dump.h"
#include "config/load.h"
#include "controlplane/model/text.h"
#include "dataplane/base/check.h"

namespace sluice::store {
namespace {

using model::Cat;

constexpr std::string_view kPlain = "sluice-state 1 ";
constexpr std::string_view kPacked = "sluice-state 2 ";
constexpr size_t kMaxHeader = 80;
constexpr std::string_view kVersion = "version: ";
constexpr std::string_view kServices = "services:\n";

constexpr std::string_view kBytes = " bytes=";
constexpr std::string_view kPlainBytes = "plain_bytes: ";
// No state is larger; a length that is damaged must not take all memory.
constexpr uint64_t kMaxPlainBytes = uint64_t{1} << 30;

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

std::string HeaderOf(std::string_view form, std::string_view payload) {
  char text[64];
  std::snprintf(text, sizeof(text), "crc32c=%08x bytes=%zu\n", Crc32c(payload), payload.size());
  return Cat(form, std::string_view(text));
}

std::string Escape(std::string_view text) { return absl::CEscape({text.data(), text.size()}); }

std::string Unescape(std::string_view text) {
  std::string out;
  return absl::CUnescape({text.data(), text.size()}, &out) ? out : std::string(text);
}

uint64_t NumberOf(std::string_view text) {
  uint64_t number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

// Takes the first line off.
std::string_view TakeLine(std::string_view* text) {
  const size_t end = text->find('\n');
  const std::string_view line = text->substr(0, end);
  text->remove_prefix(end == std::string_view::npos ? text->size() : end + 1);
  return line;
}

// Seals `payload`, whose first line is the version, with the rest compressed.
std::string Pack(std::string_view payload) {
  const std::string_view first = TakeLine(&payload);
  uLongf length = compressBound(payload.size());
  std::string packed(length, '\0');
  SLUICE_CHECK(compress2(reinterpret_cast<Bytef*>(packed.data()), &length,
                         reinterpret_cast<const Bytef*>(payload.data()), payload.size(), Z_BEST_SPEED) == Z_OK);
  packed.resize(length);
  const std::string text = Cat(first, "\n", kPlainBytes, payload.size(), "\n") + packed;
  return HeaderOf(kPacked, text) + text;
}

// The sealed text, whether it was compressed or not.
absl::StatusOr<std::string> Unpack(std::string_view text) {
  const absl::StatusOr<std::string_view> sealed = Unseal(text);
  if (!sealed.ok()) return sealed.status();
  if (text.starts_with(kPlain)) return std::string(*sealed);
  std::string_view rest = *sealed;
  std::string payload = Cat(TakeLine(&rest), "\n");
  const std::string_view line = TakeLine(&rest);
  const uint64_t plain = line.starts_with(kPlainBytes) ? NumberOf(line.substr(kPlainBytes.size())) : 0;
  const size_t head = payload.size();
  uLongf length = plain;
  if (plain > 0 && plain <= kMaxPlainBytes) payload.resize(head + plain);
  if (payload.size() != head + plain ||
      uncompress(reinterpret_cast<Bytef*>(payload.data() + head), &length, reinterpret_cast<const Bytef*>(rest.data()),
                 rest.size()) != Z_OK ||
      length != plain) {
    return absl::DataLossError("is whole, but cannot be decompressed");
  }
  return payload;
}

// Calls `use(key, value)` for each line before the services; what stands from there on is returned.
template <typename Use>
std::string_view ReadHead(std::string_view payload, const Use& use) {
  while (!payload.empty() && !payload.starts_with(kServices)) {
    const std::string_view line = TakeLine(&payload);
    const size_t colon = line.find(": ");
    if (colon != std::string_view::npos) use(line.substr(0, colon), line.substr(colon + 2));
  }
  return payload;
}

// "resting_cookie_id: web 7 192.0.2.11 0 1764345600": pool, id, address, port (0: none), until when.
std::string RestLine(const model::RestingCookieId& rest) {
  return Cat("resting_cookie_id: ", rest.pool, " ", rest.id, " ", rest.address.ToString(), " ", rest.port.value_or(0),
             " ", rest.until_unix_s, "\n");
}

// Of the value of such a line.
std::optional<model::RestingCookieId> RestOf(std::string_view value) {
  const std::vector<std::string> words = absl::StrSplit(absl::string_view(value.data(), value.size()), ' ');
  if (words.size() != 5) return std::nullopt;
  const auto address = net::IpAddress::Parse(words[2]);
  if (!address) return std::nullopt;
  model::RestingCookieId rest{.pool = words[0],
                              .id = static_cast<uint16_t>(NumberOf(words[1])),
                              .address = *address,
                              .port = std::nullopt,
                              .until_unix_s = NumberOf(words[4])};
  if (const uint64_t port = NumberOf(words[3]); port != 0) rest.port = static_cast<uint16_t>(port);
  return rest;
}

}  // namespace

uint32_t Crc32c(std::string_view bytes) {
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = (crc >> 8) ^ kTable[(crc ^ static_cast<uint8_t>(c)) & 0xff];
  return ~crc;
}

std::string Seal(std::string_view payload) { return HeaderOf(kPlain, payload) + std::string(payload); }

absl::StatusOr<std::string_view> Unseal(std::string_view text) {
  const size_t end = text.substr(0, kMaxHeader).find('\n');
  const bool ours = text.starts_with(kPlain) || text.starts_with(kPacked);
  if (!ours || end == std::string_view::npos) {
    return absl::DataLossError("does not begin like a state of this version of sluiced");
  }
  const std::string_view payload = text.substr(end + 1);
  if (text.substr(0, end + 1) != HeaderOf(text.substr(0, kPlain.size()), payload)) {
    return absl::DataLossError("is cut or altered: length or checksum differ from what its first line says");
  }
  return payload;
}

size_t SealedLength(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, kMaxHeader);
  const size_t end = head.find('\n');
  const size_t length = head.find(kBytes);
  if (!head.starts_with(kMagic) || end == std::string_view::npos || length > end) return 0;
  const uint64_t payload = NumberOf(head.substr(length + kBytes.size()));
  if (payload > bytes.size() - (end + 1)) return 0;
  const size_t total = end + 1 + payload;
  return Unseal(bytes.substr(0, total)).ok() ? total : 0;
}

uint64_t VersionIn(std::string_view bytes) {
  const std::string_view head = bytes.substr(0, kMaxHeader);
  const size_t end = head.find('\n');
  if (!head.starts_with(kMagic) || end == std::string_view::npos) return 0;
  const std::string_view line = bytes.substr(end + 1, kMaxHeader);
  return line.starts_with(kVersion) ? NumberOf(line.substr(kVersion.size())) : 0;
}

std::string Encode(const model::ChangeEntry& entry, const model::KeptState& state) {
  const auto unix_ms = std::chrono::duration_cast<std::chrono::milliseconds>(entry.at.time_since_epoch()).count();
  std::string payload = Cat("version: ", entry.version, "\nunix_ms: ", unix_ms, "\nuser: ", Escape(entry.author.user),
                            "\naction: ", Escape(entry.author.action), "\nlines: ", entry.lines_total, "\n");
  for (const std::string& line : entry.lines) payload += Cat("line: ", Escape(line), "\n");
  for (const auto& [pool, backend] : state.operator_drains) {
    payload += Cat("operator_drain: ", pool, "/", backend, "\n");
  }
  for (const model::RestingCookieId& rest : state.resting_cookie_ids) payload += RestLine(rest);
  // The configuration's words have no place for a secret.
  for (const config::CookieKeyConfig& key : state.desired.cookie_keys) {
    payload += Cat("cookie_secret: ", key.number, " ", key.secret, "\n");
  }
  for (const config::QuicConfig& quic : state.desired.quic_configs) {
    if (quic.encrypted) payload += Cat("quic_secret: ", quic.number, " ", quic.secret, "\n");
  }
  payload += config::DumpServices(state.desired);
  return Pack(payload);
}

absl::StatusOr<model::ChangeEntry> DecodeEntry(std::string_view text) {
  const absl::StatusOr<std::string> payload = Unpack(text);
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
  const absl::StatusOr<std::string> payload = Unpack(text);
  if (!payload.ok()) return payload.status();
  model::KeptState state;
  std::map<uint32_t, std::string> secrets;
  std::map<uint32_t, std::string> quic_secrets;
  const std::string_view services = ReadHead(*payload, [&](std::string_view key, std::string_view value) {
    if (const size_t slash = value.find('/'); key == "operator_drain" && slash != std::string_view::npos) {
      state.operator_drains.emplace_back(value.substr(0, slash), value.substr(slash + 1));
    }
    if (const size_t blank = value.find(' '); key == "cookie_secret" && blank != std::string_view::npos) {
      secrets[static_cast<uint32_t>(NumberOf(value))] = value.substr(blank + 1);
    }
    if (const size_t blank = value.find(' '); key == "quic_secret" && blank != std::string_view::npos) {
      quic_secrets[static_cast<uint32_t>(NumberOf(value))] = value.substr(blank + 1);
    }
    if (const auto rest = RestOf(value); key == "resting_cookie_id" && rest) state.resting_cookie_ids.push_back(*rest);
  });
  absl::StatusOr<config::ServiceConfig> desired = config::LoadServicesText(services, "state");
  if (!desired.ok()) {
    return absl::DataLossError(
        Cat("is whole, but this version of sluiced does not understand it: ", std::string(desired.status().message())));
  }
  state.desired = *std::move(desired);
  for (config::CookieKeyConfig& key : state.desired.cookie_keys) key.secret = secrets[key.number];
  for (config::QuicConfig& quic : state.desired.quic_configs) {
    if (quic.encrypted) quic.secret = quic_secrets[quic.number];
  }
  return state;
}

}  // namespace sluice::store
