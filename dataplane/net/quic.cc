#include "dataplane/net/quic.h"

#include "dataplane/net/bytes.h"

namespace sluice::net {
namespace {

constexpr uint8_t kHeaderForm = 0x80;
constexpr size_t kVersionOffset = 1;
constexpr size_t kDestinationLengthOffset = 5;
// The types of long headers, bits 5 and 4 of the first octet (RFC 9000, section 17.2; RFC 9369, section 3.2).
constexpr uint8_t kTypeMask = 0x30;
constexpr uint32_t kVersion1 = 1;
constexpr uint8_t kHandshake1 = 0x20;
constexpr uint32_t kVersion2 = 0x6b33'43cf;
constexpr uint8_t kHandshake2 = 0x30;

}  // namespace

std::optional<QuicHeader> ParseQuicHeader(const uint8_t* payload, size_t size, uint8_t short_id_length) {
  if (size == 0) return std::nullopt;
  QuicHeader header;
  if ((payload[0] & kHeaderForm) == 0) {
    if (size < 1u + short_id_length) return std::nullopt;
    header.destination_id_offset = 1;
    header.destination_id_length = short_id_length;
    return header;
  }
  if (size <= kDestinationLengthOffset) return std::nullopt;
  header.is_long = true;
  header.version = Load<Be32>(payload + kVersionOffset);
  header.destination_id_length = payload[kDestinationLengthOffset];
  header.destination_id_offset = kDestinationLengthOffset + 1;
  const size_t source_length_offset = size_t{header.destination_id_offset} + header.destination_id_length;
  if (size <= source_length_offset) return std::nullopt;
  header.source_id_length = payload[source_length_offset];
  header.source_id_offset = static_cast<uint16_t>(source_length_offset + 1);
  if (size < size_t{header.source_id_offset} + header.source_id_length) return std::nullopt;
  return header;
}

bool CarriesServersId(const QuicHeader& header, uint8_t first_octet) {
  if (!header.is_long) return true;
  const uint8_t type = first_octet & kTypeMask;
  const uint32_t version = header.version.Host();
  return (version == kVersion1 && type == kHandshake1) || (version == kVersion2 && type == kHandshake2);
}

}  // namespace sluice::net
