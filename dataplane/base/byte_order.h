#ifndef SLUICE_DATAPLANE_BASE_BYTE_ORDER_H_
#define SLUICE_DATAPLANE_BASE_BYTE_ORDER_H_

#include <bit>
#include <compare>
#include <cstdint>
#include <type_traits>

namespace sluice {

static_assert(std::endian::native == std::endian::little, "Sluice is written for little-endian machines");

// An integer as it lies in a packet (network byte order). Neither direction converts by itself: `FromHost` and `Host`
// are the only ways in and out, `FromRaw` and `raw` give the bytes unchanged. Equality needs no conversion; order has
// no use and is not defined. Packed, because packed headers hold it (g++ ignores `packed` around other classes).
template <typename T>
class __attribute__((packed)) BigEndian {
  static_assert(std::is_unsigned_v<T>);

 public:
  constexpr BigEndian() = default;
  static constexpr BigEndian FromHost(T host) { return BigEndian(Swap(host)); }
  static constexpr BigEndian FromRaw(T raw) { return BigEndian(raw); }
  constexpr T Host() const { return Swap(raw_); }
  constexpr T raw() const { return raw_; }
  friend constexpr bool operator==(BigEndian, BigEndian) = default;

 private:
  constexpr explicit BigEndian(T raw) : raw_(raw) {}
  static constexpr T Swap(T v) {
    if constexpr (sizeof(T) == 2) return __builtin_bswap16(v);
    if constexpr (sizeof(T) == 4) return __builtin_bswap32(v);
    if constexpr (sizeof(T) == 8) return __builtin_bswap64(v);
  }
  T raw_ = 0;
};

using Be16 = BigEndian<uint16_t>;
using Be32 = BigEndian<uint32_t>;
using Be64 = BigEndian<uint64_t>;

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_BYTE_ORDER_H_
