// The reader and the changers of TCP options on any bytes: nothing beyond the header is read or written
// (AddressSanitizer watches a buffer of exactly its size), options lie inside it, and a checksum that was right stays
// right.

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/check.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/parser.h"
#include "dataplane/net/tcp_options.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using test::Bytes;
using test::ExactCopy;
using test::operator+;

void CheckWalk(const ExactCopy& tcp) {
  const uint8_t length = TcpHeaderLength(tcp.data(), tcp.size());
  TcpOptionWalk walk(tcp.data(), tcp.size());
  uint32_t end = sizeof(TcpHeader);
  while (const auto option = walk.Next()) {
    SLUICE_CHECK(option->length >= 2 && option->kind > 1);
    SLUICE_CHECK(option->offset >= end);
    end = uint32_t{option->offset} + option->length;
    SLUICE_CHECK(end <= length);
  }
  SLUICE_CHECK(length != 0 || walk.malformed());
}

// `value` has no meaning; it varies what is put in.
void Change(const ExactCopy& tcp, uint32_t value) {
  const auto size = size_t{tcp.size()};
  ClampMss(tcp.data(), size, static_cast<uint16_t>(value));
  if (const auto found = FindTimestamps(tcp.data(), size)) {
    SLUICE_CHECK(found->echo_offset + sizeof(Be32) <= TcpHeaderLength(tcp.data(), size));
    ReplaceTcpField(tcp.data(), found->value_offset, Be32::FromHost(value));
    ReplaceTcpField(tcp.data(), found->echo_offset, Be32::FromHost(~value));
    const auto again = FindTimestamps(tcp.data(), size);
    SLUICE_CHECK(again && again->value.Host() == value && again->echo.Host() == ~value);
  }
  ShiftSackBlocks(tcp.data(), size, value);
  CutSackBlocks(tcp.data(), size, value << 1, value);
  SLUICE_CHECK(CutSackBlocks(tcp.data(), size, value << 1, value) == 0);
  StripTcpOption(tcp.data(), size, kTcpOptionSackPermitted);
  StripFastOpen(tcp.data(), size);
  SLUICE_CHECK(StripFastOpen(tcp.data(), size) == 0);
}

// The bytes as a whole TCP segment, after a right checksum was put in.
void CheckSegment(const Bytes& segment, uint32_t value) {
  const ExactCopy tcp(segment);
  CheckWalk(tcp);
  if (tcp.size() < sizeof(TcpHeader)) {
    Change(tcp, value);
    SLUICE_CHECK(tcp.bytes() == segment);
    return;
  }
  const Bytes ip = test::Ipv4(kProtocolTcp, segment.size());
  Bytes sealed = test::Sealed(ip + segment, ip.size(), kProtocolTcp);
  sealed.erase(sealed.begin(), sealed.begin() + static_cast<ptrdiff_t>(ip.size()));
  const ExactCopy copy(sealed);
  Change(copy, value);
  const Bytes changed = ip + copy.bytes();
  const Bytes expected = test::Sealed(changed, ip.size(), kProtocolTcp);
  SLUICE_CHECK(std::equal(changed.begin() + 20, changed.end(), expected.begin() + 20));
}

}  // namespace
}  // namespace sluice::net

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using sluice::net::Bytes;
  constexpr size_t kMaxFrame = 2048;
  if (size > kMaxFrame) return 0;
  const uint32_t value = size < 10 ? 0 : sluice::net::Load<sluice::Be32>(data + 6).Host();
  sluice::net::CheckSegment(Bytes(data, data + size), value);
  // As a frame, so that those of the golden cases are good seeds; its segment may be cut by the frame's end.
  const auto whole = static_cast<uint32_t>(size);
  const auto h = sluice::net::ParseFrame(data, whole, whole);
  if (h.status != sluice::net::ParseStatus::kOk || h.protocol != sluice::net::kProtocolTcp || h.l4_offset > size)
    return 0;
  sluice::net::CheckSegment(Bytes(data + h.l4_offset, data + size), value);
  return 0;
}
