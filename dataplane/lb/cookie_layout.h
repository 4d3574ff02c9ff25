#ifndef SLUICE_DATAPLANE_LB_COOKIE_LAYOUT_H_
#define SLUICE_DATAPLANE_LB_COOKIE_LAYOUT_H_

#include <cstdint>
#include <optional>
#include <string>

namespace sluice::lb {

// Where a cookie lies in a 32-bit TCP timestamp value (RFC 7323), and what the client's clock then looks like.
// COOKIES.md tells the reasons. All widths are in bits:
//
//   on the wire   [ clock: 32 - k ][ key | permuted: tier, backend, check ]      k = key + tier + backend + check
//   clock         bits s .. 31 - k + s of the timestamp that the server's kernel wrote
//
// So the clock's lowest s bits and its k - s highest ones give way to the cookie's k bits. The client sees a clock that
// ticks every 2^s ms, and takes a segment for older than the last one (PAWS, RFC 7323, section 5) when the connection
// was idle for 2^(31 - k + s) ms.
struct CookieLayout {
  uint8_t key_bits = 1;      // names the key: 2^key_bits of them can be told apart
  uint8_t tier_bits = 0;     // names the tier-2 director; 0: there is one tier
  uint8_t backend_bits = 8;  // names the backend within the VIP's pool
  uint8_t check_bits = 0;    // zero in a genuine cookie
  uint8_t clock_bits = 0;    // s: low bits of the clock that give way

  // What the keyed permutation covers: all but the key's name.
  constexpr int permuted_bits() const { return tier_bits + backend_bits + check_bits; }
  // k
  constexpr int bits() const { return key_bits + permuted_bits(); }

  constexpr uint64_t idle_window_ms() const { return uint64_t{1} << (31 - bits() + clock_bits); }
  constexpr uint32_t tick_ms() const { return uint32_t{1} << clock_bits; }

  friend constexpr bool operator==(const CookieLayout&, const CookieLayout&) = default;
};

inline constexpr int kMinKeyBits = 1;  // less would leave no way to change the key
inline constexpr int kMaxKeyBits = 3;
inline constexpr int kMaxTierBits = 8;
inline constexpr int kMaxBackendBits = 16;
inline constexpr int kMaxCheckBits = 12;
inline constexpr int kMaxCookieBits = 24;
// RFC 7323, section 5.4: a tick lasts from 1 ms to 1 s. 2^10 ms is taken for a second.
inline constexpr int kMaxClockBits = 10;
inline constexpr uint64_t kDefaultIdleMs = 2 * 3600 * 1000;
// RFC 7323, section 5.5: after 24 days a receiver forgets the last timestamp, so longer windows mean nothing more.
inline constexpr uint64_t kMaxIdleMs = uint64_t{1} << 31;

// The fewest low clock bits with which connections of the layout (its clock_bits are not looked at) stay usable after
// `idle_ms` without a segment; nothing when no number of them does.
std::optional<uint8_t> ClockBitsFor(const CookieLayout& layout, uint64_t idle_ms);

// What is wrong with the layout for services that let connections idle for `idle_ms`, with the arithmetic and the
// remedy; empty when nothing is: "the cookie's 1 + 0 + 16 + 4 = 21 bits (key, tier, backend, check) with 6 low clock
// bits leave an idle window of 2^(31-21+6) ms = 65.5 s, less than the 7200 s that ..."
std::string DescribeLayoutError(const CookieLayout& layout, uint64_t idle_ms);

// ---- Timestamps on the wire

// A director that chose a connection's cookie itself tells it to the agent in the SYN's TSecr, which has no meaning
// without ACK: this byte, then the cookie. The agent gives the kernel a zero there.
inline constexpr uint32_t kSynEchoMark = 0x5c;
static_assert(kMaxCookieBits == 24, "the mark's byte is free");
constexpr uint32_t SynEcho(uint32_t cookie) { return kSynEchoMark << kMaxCookieBits | cookie; }

// Likewise what a tier-2 director puts there: its own id, which the agent makes the connection's cookie with.
inline constexpr uint32_t kSynTierMark = 0x5d;

constexpr uint32_t SynTier(uint32_t tier) { return kSynTierMark << kMaxCookieBits | tier; }

// The value that the client sees for the kernel's `timestamp`. `cookie` has no more than k bits.
constexpr uint32_t EncodeTimestamp(const CookieLayout& layout, uint32_t timestamp, uint32_t cookie) {
  return (timestamp >> layout.clock_bits) << layout.bits() | cookie;
}

// The cookie in a value that the client echoes.
constexpr uint32_t CookieOf(const CookieLayout& layout, uint32_t wire) {
  return wire & ((uint32_t{1} << layout.bits()) - 1);
}

// The tick (timestamp / 2^s) that an echoed value stands for: the latest one not after that of `latest`, a timestamp
// that the kernel wrote on this connection. Exact while the echo is younger than the time in which the clock on the
// wire goes round, 2^(32 - k + s) ms.
constexpr uint32_t TickOf(const CookieLayout& layout, uint32_t wire, uint32_t latest) {
  const uint32_t latest_tick = latest >> layout.clock_bits;
  const uint32_t behind = (latest_tick - (wire >> layout.bits())) << layout.bits() >> layout.bits();
  // Ticks are numbers of 32 - s bits.
  return (latest_tick - behind) << layout.clock_bits >> layout.clock_bits;
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_LAYOUT_H_
