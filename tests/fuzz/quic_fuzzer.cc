// The reader of QUIC headers on any bytes: it reads nothing beyond them (AddressSanitizer watches a buffer of exactly
// their size), and what it finds lies inside, in order.

#include <cstddef>
#include <cstdint>

#include "dataplane/base/check.h"
#include "dataplane/net/parser.h"
#include "dataplane/net/quic.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

void CheckPayload(const uint8_t* data, size_t size, uint8_t short_id_length) {
  const test::ExactCopy payload(test::Bytes(data, data + size));
  const auto header = ParseQuicHeader(payload.data(), payload.size(), short_id_length);
  if (!header) {
    SLUICE_CHECK(size < 7u + 255 + 255 || (size > 0 && data[0] < 0x80 && size <= short_id_length));
    return;
  }
  const size_t destination_end = size_t{header->destination_id_offset} + header->destination_id_length;
  SLUICE_CHECK(header->is_long == (data[0] >= 0x80));
  SLUICE_CHECK(destination_end <= size);
  if (!header->is_long) {
    SLUICE_CHECK(header->destination_id_offset == 1 && header->destination_id_length == short_id_length);
    return;
  }
  SLUICE_CHECK(header->destination_id_offset == 6);
  SLUICE_CHECK(header->source_id_offset == destination_end + 1);
  SLUICE_CHECK(size_t{header->source_id_offset} + header->source_id_length <= size);
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxFrame = 4096;
  if (size > kMaxFrame) return 0;
  const uint8_t short_id_length = size == 0 ? uint8_t{0} : data[size - 1];
  sluice::net::CheckPayload(data, size, short_id_length);
  // As a frame, so that those of the golden cases are seeds.
  const auto whole = static_cast<uint32_t>(size);
  const auto h = sluice::net::ParseFrame(data, whole, whole);
  if (h.status != sluice::net::ParseStatus::kOk || h.l4_status != sluice::net::L4Status::kPorts) return 0;
  const size_t payload = size_t{h.l4_offset} + 8;
  sluice::net::CheckPayload(data + payload, size - payload, short_id_length);
  return 0;
}
