#ifndef SLUICE_CONTROLPLANE_STORE_STATE_FILE_H_
#define SLUICE_CONTROLPLANE_STORE_STATE_FILE_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"
#include "controlplane/model/journal.h"

// A change and the state after it as text that a person can read, with a checksum over all of it.
//
//   sluice-state 1 crc32c=1a2b3c4d bytes=1234
//   version: 17
//   unix_ms: 1764345600000
//   user: local
//   action: DrainBackend
//   lines: 1
//   line: ~ backend web/web-1: active -> draining
//   operator_drain: web/web-1
//   resting_cookie_id: web 7 192.0.2.12 0 1764432000
//   cookie_secret: 0 00112233445566778899aabbccddeeff
//   services:
//     ... (the configuration's own words, config/dump.h)
//
// What is written has all after the version compressed (zlib, RFC 1950), so that most changes fit a page of the disk:
//
//   sluice-state 2 crc32c=1a2b3c4d bytes=345
//   version: 17
//   plain_bytes: 1222
//   (compressed)
namespace sluice::store {

inline constexpr std::string_view kMagic = "sluice-state ";
// How names of files begin that are not whole yet.
inline constexpr std::string_view kUnfinished = "unfinished";

// CRC-32C (Castagnoli), RFC 3720 appendix B.4: of "123456789" it is e3069283.
uint32_t Crc32c(std::string_view bytes);

// The first line with the checksum, and the text.
std::string Seal(std::string_view payload);
// The text again; kDataLoss, saying what is wrong.
absl::StatusOr<std::string_view> Unseal(std::string_view text);
// Of the whole text that `bytes` begin with; 0: they begin with none.
size_t SealedLength(std::string_view bytes);
// What the text that `bytes` begin with says of its version, whole or not; 0: nothing.
uint64_t VersionIn(std::string_view bytes);

std::string Encode(const model::ChangeEntry& entry, const model::KeptState& state);

// Both return kDataLoss, saying what is wrong with it, when the text is cut, altered or not ours.
absl::StatusOr<model::ChangeEntry> DecodeEntry(std::string_view text);
absl::StatusOr<model::KeptState> DecodeState(std::string_view text);

}  // namespace sluice::store

#endif  // SLUICE_CONTROLPLANE_STORE_STATE_FILE_H_
