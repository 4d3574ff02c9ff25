#ifndef SLUICE_CONFIG_COOKIE_LAYOUT_H_
#define SLUICE_CONFIG_COOKIE_LAYOUT_H_

#include <cstdint>

#include "config/schema.h"
#include "dataplane/lb/cookie_layout.h"

namespace sluice::config {

// Whether a VIP with cookies sends to tier-2 directors.
inline bool IsFirstTier(const VipConfig& vip) { return vip.cookie && vip.cookie->tier == 1; }

// Where the cookies of a VIP with cookies lie, with the fewest clock bits that its idle time needs unless it says how
// many. The widths must be numbers that limits.h allows; whether the layout is possible is for lb::DescribeLayoutError.
inline lb::CookieLayout CookieLayoutOf(const VipConfig& vip) {
  const CookieConfig cookie = vip.cookie.value_or(CookieConfig());
  lb::CookieLayout layout = {.key_bits = static_cast<uint8_t>(cookie.key_bits),
                             .tier_bits = static_cast<uint8_t>(cookie.tier_bits),
                             .backend_bits = static_cast<uint8_t>(cookie.backend_bits),
                             .check_bits = static_cast<uint8_t>(cookie.check_bits)};
  if (cookie.clock_bits) {
    layout.clock_bits = static_cast<uint8_t>(*cookie.clock_bits);
  } else if (layout.bits() <= lb::kMaxCookieBits) {
    layout.clock_bits = lb::ClockBitsFor(layout, uint64_t{cookie.idle_s} * 1000).value_or(0);
  }
  return layout;
}

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_COOKIE_LAYOUT_H_
