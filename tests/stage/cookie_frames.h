#ifndef SLUICE_TESTS_STAGE_COOKIE_FRAMES_H_
#define SLUICE_TESTS_STAGE_COOKIE_FRAMES_H_

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/lb/cookie.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "tests/stage/frames.h"

// Untagged frames whose TCP segment at `l4_offset` echoes a cookie.
namespace sluice::test {

inline constexpr size_t kIpOffset = 14;

// The beginning of the options that nearly every segment has: timestamps, aligned. The header states as many words.
inline void PutOptions(size_t l4_offset, Bytes& frame) {
  frame[l4_offset + 12] = 0x80;
  const auto option = std::to_array<uint8_t>({1, 1, 8, 10});
  std::copy(option.begin(), option.end(), &frame[l4_offset + 20]);
}

// Into the timestamps' echo. `clock`: what the backend's own timestamp was.
inline void PutCookie(const lb::CookieLayout& layout, const lb::CookieKeys& keys, uint32_t number,
                      const lb::CookieFields& fields, uint32_t clock, size_t l4_offset, Bytes& frame) {
  const bool v4 = l4_offset == kIpOffset + 20;
  const size_t source = kIpOffset + (v4 ? 12 : 8);
  const lb::FlowTuple tuple = {.source = &frame[source],
                               .destination = &frame[source + (v4 ? 4 : 16)],
                               .source_port = net::Load<Be16>(&frame[l4_offset]),
                               .destination_port = net::Load<Be16>(&frame[l4_offset + 2]),
                               .protocol = net::kProtocolTcp,
                               .family = v4 ? net::Family::kIpv4 : net::Family::kIpv6};
  const uint32_t cookie = lb::EncodeCookie(layout, keys, number, tuple, fields);
  const auto echo = Be32::FromHost(lb::EncodeTimestamp(layout, clock, cookie));
  std::memcpy(&frame[l4_offset + 28], &echo, sizeof(echo));
}

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_COOKIE_FRAMES_H_
