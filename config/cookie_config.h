#ifndef SLUICE_CONFIG_COOKIE_CONFIG_H_
#define SLUICE_CONFIG_COOKIE_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>

// A part of the schema: cookies in TCP timestamps (dataplane/lb/COOKIES.md).
namespace sluice::config {

// Where the cookies of a VIP's connections lie, the same as at the agents of its backends; see lb::CookieLayout.
struct CookieConfig {
  uint32_t key_bits = 1;
  uint32_t tier_bits = 0;
  uint32_t backend_bits = 8;
  uint32_t check_bits = 0;
  std::optional<uint32_t> clock_bits = std::nullopt;  // unset: the fewest that idle_s needs
  uint32_t idle_s = 7200;                             // for how long a connection may say nothing
  uint32_t key = 0;   // kNat: the number of the key that directors make new cookies with
  uint32_t tier = 2;  // 1: the pool's backends are tier-2 directors, and cookies name them by tier_bits
  uint32_t id_bits() const { return tier == 1 ? tier_bits : backend_bits; }  // that name the pool's backends
  friend bool operator==(const CookieConfig&, const CookieConfig&) = default;
};

// A secret that cookies are made with, under the number by which they name it.
struct CookieKeyConfig {
  uint32_t number = 0;
  // 32 hexadecimal digits, never shown. Empty: that of this number stays in force.
  std::string secret;
  friend bool operator==(const CookieKeyConfig&, const CookieKeyConfig&) = default;
};

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_COOKIE_CONFIG_H_
