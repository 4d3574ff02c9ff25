#include "dataplane/net/quic.h"

#include "dataplane/net/bytes.h"

namespace sluice::net {
namespace {

constexpr uint8_t kHeaderForm = 0x80;
constexpr size_t kVersionOffset = 1;
constexpr size_t kDestinationLengthOffset = 5;

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

}  // namespace sluice::net
