#ifndef SLUICE_DATAPLANE_LB_COOKIE_READER_H_
#define SLUICE_DATAPLANE_LB_COOKIE_READER_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/lb/binary_field.h"
#include "dataplane/lb/cookie_layout.h"

namespace sluice::lb {

// A cookie's layout as registers want it, to read one id out of many cookies (cookie_aes.h): the backend's, or that of
// its tier.
struct CookieReader {
  enum class Id : uint8_t { kBackend, kTier };

  CookieReader(const CookieLayout& layout, Id id)
      : permuted_mask((uint64_t{1} << layout.permuted_bits()) - 1),
        check_mask((uint64_t{1} << layout.check_bits) - 1),
        id_mask((uint64_t{1} << (id == Id::kBackend ? layout.backend_bits : layout.tier_bits)) - 1),
        permuted_bits(static_cast<uint64_t>(layout.permuted_bits())),
        id_shift(layout.check_bits + (id == Id::kTier ? uint64_t{layout.backend_bits} : 0)),
        key_mask((uint32_t{1} << layout.key_bits) - 1) {
    size_t term = 0;
    const uint32_t polynomial = kFieldPolynomial[permuted_bits];
    for (uint32_t power = 1; power < 8; ++power) {
      if ((polynomial >> power & 1) != 0) terms[term++] = power;
    }
  }

  friend bool operator==(const CookieReader&, const CookieReader&) = default;

  uint64_t permuted_mask;
  uint64_t check_mask;
  uint64_t id_mask;
  uint64_t permuted_bits;
  uint64_t id_shift;
  // The powers of x in the field's polynomial below x^w, 1 left out; what is shifted by 64 is no term.
  static constexpr size_t kTerms = 3;
  std::array<uint64_t, kTerms> terms = {64, 64, 64};
  uint32_t key_mask;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_READER_H_
