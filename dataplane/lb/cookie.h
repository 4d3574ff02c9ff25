#ifndef SLUICE_DATAPLANE_LB_COOKIE_H_
#define SLUICE_DATAPLANE_LB_COOKIE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/lb/aes128.h"
#include "dataplane/lb/cookie_layout.h"
#include "dataplane/lb/flow_hash.h"

namespace sluice::lb {

// What a cookie says of a connection: a claim until it is looked up.
struct CookieFields {
  uint32_t tier = 0;     // below 2^tier_bits
  uint32_t backend = 0;  // below 2^backend_bits
  friend bool operator==(const CookieFields&, const CookieFields&) = default;
};

// The secret of 16 bytes, with the two AES keys that derive from it, one for each address family:
//   K4 = AES-128(secret, "sluice cookie v4"), K6 = AES-128(secret, "sluice cookie v6")
class CookieKey {
 public:
  explicit CookieKey(const AesBlock& secret);
  const Aes128Key& key(net::Family family) const { return family == net::Family::kIpv4 ? v4_ : v6_; }

 private:
  Aes128Key v4_;
  Aes128Key v6_;
};

// The keys that are live, by the number that a cookie's key bits name. A new one is given to directors before backends
// use it, and an old one stays until its connections have ended; normally there are one or two.
class CookieKeys {
 public:
  static constexpr size_t kSlots = size_t{1} << kMaxKeyBits;

  // `number` below 2^key_bits of all layouts that it is used with.
  void Set(uint32_t number, const AesBlock& secret) { slots_[number % kSlots].emplace(secret); }
  void Remove(uint32_t number) { slots_[number % kSlots].reset(); }
  // Null when there is none.
  const CookieKey* Find(size_t number) const {
    const std::optional<CookieKey>& slot = slots_[number % kSlots];
    return slot ? &*slot : nullptr;
  }

 private:
  std::array<std::optional<CookieKey>, kSlots> slots_;
};

// The keyed permutation. The tuple is that of the client's packets: source the client, destination the VIP.
//
//   T = AES(K4, client 4, VIP 4, client port 2, VIP port 2, protocol 1, 0 3)                       for IPv4
//   T = AES(K6, AES(K6, AES(K6, client 16) ^ VIP 16) ^ (client port 2, VIP port 2, protocol 1, 0 11))  for IPv6
//   w = permuted bits
//   a = 1 + (T[0..3] * (2^w - 1) >> 32), T[0..3] as a little-endian number: every element but 0
//   b = the lowest w bits of T[4..7], likewise
//   P = tier << (backend + check bits) | backend << check bits       (the check bits are zero)
//   C = P / a + b in GF(2^w) (binary_field.h);  P = a * (C + b)
//   cookie = key number << w | C
//
// For every tuple it is another permutation, secret to all who have not the key. Given one genuine cookie, every other
// value of the same tuple decodes to a uniformly distributed P, so it passes the check bits with a chance of 2^-check.

// The cookie of a connection. SLUICE_CHECKs that the key is there and the fields fit. Not for every packet: the
// division takes some hundred cycles, so whoever encodes keeps the cookie with the flow.
uint32_t EncodeCookie(const CookieLayout& layout, const CookieKeys& keys, uint32_t key_number, const FlowTuple& tuple,
                      const CookieFields& fields);

// What the cookie says; nothing when its key is not there or its check bits are not zero. Both variants below give
// equal values.
std::optional<CookieFields> DecodeCookiePortable(const CookieLayout& layout, const CookieKeys& keys,
                                                 const FlowTuple& tuple, uint32_t cookie);
// With the CPU's instructions for AES and for carry-less products where it has them, in constant time.
std::optional<CookieFields> DecodeCookie(const CookieLayout& layout, const CookieKeys& keys, const FlowTuple& tuple,
                                         uint32_t cookie);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_H_
