#ifndef SLUICE_TESTS_UNIT_FWD_COOKIE_SAMPLE_H_
#define SLUICE_TESTS_UNIT_FWD_COOKIE_SAMPLE_H_

#include "dataplane/lb/aes_round.h"
#include "dataplane/lb/cookie_layout.h"

namespace sluice::fwd {

inline constexpr lb::CookieLayout kLayout = {.key_bits = 1, .backend_bits = 8, .check_bits = 4, .clock_bits = 5};
inline constexpr lb::AesBlock kSecret = {1, 2, 3};

}  // namespace sluice::fwd

#endif  // SLUICE_TESTS_UNIT_FWD_COOKIE_SAMPLE_H_
