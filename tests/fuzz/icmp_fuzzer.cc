// The reader of ICMP messages on any frame, cut anywhere: it reads nothing beyond the bytes (AddressSanitizer watches a
// buffer of exactly their size), and what it finds in a quote lies inside the packet and behind the ICMP header.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>

#include "dataplane/base/check.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/parser.h"

namespace sluice::net {
namespace {

void CheckQuote(const QuotedFlow& quote, const uint8_t* frame, uint32_t contiguous, const ParsedHeaders& h) {
  const uint32_t address_size = h.family == Family::kIpv4 ? 4 : 16;
  const uint32_t ports_size = 4;
  SLUICE_CHECK(quote.protocol == kProtocolTcp || quote.protocol == kProtocolUdp);
  SLUICE_CHECK(quote.source_offset >= h.l4_offset + sizeof(IcmpHeader));
  SLUICE_CHECK(quote.destination_offset == quote.source_offset + address_size);
  SLUICE_CHECK(quote.destination_offset + address_size + ports_size <= contiguous);
  SLUICE_CHECK(quote.destination_offset + address_size + ports_size <= uint32_t{h.l3_offset} + h.ip_length);
  // The whole quoted flow can be read.
  uint8_t copy[40];
  std::memcpy(copy, frame + quote.source_offset, 2 * address_size);
}

void ReadAndCheck(const uint8_t* frame, uint32_t contiguous, uint32_t frame_length) {
  const ParsedHeaders h = ParseFrame(frame, contiguous, frame_length);
  if (h.status != ParseStatus::kOk || h.l4_status != L4Status::kOther) return;
  const bool error = IsIcmpError(frame, contiguous, h);
  const bool echo = IsEchoRequest(frame, contiguous, h);
  SLUICE_CHECK(!(error && echo));
  if (const auto quote = ParseQuotedFlow(frame, contiguous, h)) CheckQuote(*quote, frame, contiguous, h);
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMaxFrame = 4096;
  if (size > kMaxFrame) return 0;
  const auto whole = static_cast<uint32_t>(size);
  sluice::net::ReadAndCheck(data, whole, whole);
  // A first buffer that ends anywhere; the source MAC address says where.
  if (size < sizeof(sluice::net::EtherHeader)) return 0;
  const auto first = static_cast<uint32_t>((size_t{data[6]} << 8 | data[7]) % (size + 1));
  const std::unique_ptr<uint8_t[]> buffer(new uint8_t[first]);
  std::memcpy(buffer.get(), data, first);
  sluice::net::ReadAndCheck(buffer.get(), first, whole);
  return 0;
}
