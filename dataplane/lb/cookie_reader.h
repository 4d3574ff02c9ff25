#ifndef SLUICE_DATAPLANE_LB_COOKIE_READER_H_
#define SLUICE_DATAPLANE_LB_COOKIE_READER_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/check.h"
#include "dataplane/lb/binary_field.h"
#include "dataplane/lb/cookie_layout.h"

namespace sluice::lb {

// A cookie's layout as instructions want it, to read one id out of many cookies (cookie_aes.h): the backend's, or that
// of its tier. Numbers of the field GF(2^w) are left-aligned in 64 bits there, so that of a product what lies above x^w
// has a word of its own.
struct alignas(64) CookieReader {
  enum class Id : uint8_t { kBackend, kTier };

  // `table_bits`: the ids that anybody has are below 2^table_bits. Others are told from these like cookies that are not
  // genuine, so that what IdIn gives needs no comparison.
  CookieReader(const CookieLayout& layout, Id id, uint32_t table_bits) {
    const auto width = static_cast<uint32_t>(layout.permuted_bits());
    SLUICE_CHECK(width < 32 && layout.key_bits <= kMaxKeyBits);
    const uint32_t unused = 64 - width;
    factors = {(uint64_t{1} << width) - 1, uint64_t{1} << (32 - width)};
    polynomial = {uint64_t{kFieldPolynomial[width]} << unused, 0};
    const bool of_tier = id == Id::kTier;
    const uint32_t check_end = unused + layout.check_bits;
    const uint32_t id_begin = check_end + (of_tier ? layout.backend_bits : 0u);
    const uint32_t wide = of_tier ? layout.tier_bits : layout.backend_bits;
    const uint32_t used = std::min(wide, table_bits);
    zeros = Ones(unused, check_end) | Ones(id_begin + used, id_begin + wide);
    id_bits = BitField(id_begin, used);
    key_bits = BitField(width, layout.key_bits);
  }

  // The bits of a cookie that are the number of its key, how many numbers they have, and what they are for one.
  uint32_t key_mask() const {
    const uint32_t begin = key_bits & 0xff;
    return static_cast<uint32_t>(Ones(begin, begin + (key_bits >> 8)));
  }
  size_t key_numbers() const { return size_t{1} << (key_bits >> 8); }
  uint32_t BitsOfKey(size_t number) const { return static_cast<uint32_t>(number) << (key_bits & 0xff); }

  friend bool operator==(const CookieReader&, const CookieReader&) = default;

  // Bits from the first of a 64-bit number to the one before the last.
  static constexpr uint64_t Ones(uint32_t begin, uint32_t end) {
    return end == begin ? 0 : ~uint64_t{0} >> (64 - (end - begin)) << begin;
  }
  // As the instruction BEXTR wants it.
  static constexpr uint32_t BitField(uint32_t begin, uint32_t count) { return begin | count << 8; }

  alignas(16) std::array<uint64_t, 2> factors;     // of T[0..3] and T[4..7]
  alignas(16) std::array<uint64_t, 2> polynomial;  // below x^w; left-aligned
  uint64_t zeros;                                  // bits that are set in none of those P which name somebody; likewise
  uint32_t id_bits;                                // of P, likewise
  uint32_t key_bits;                               // of the cookie
};
static_assert(sizeof(CookieReader) == 64);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_COOKIE_READER_H_
