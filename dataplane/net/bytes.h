#ifndef SLUICE_DATAPLANE_NET_BYTES_H_
#define SLUICE_DATAPLANE_NET_BYTES_H_

#include <cstdint>
#include <cstring>
#include <type_traits>

// Values in and out of packets at any alignment. The caller has checked that the bytes are there.
namespace sluice::net {

template <typename T>
T Load(const uint8_t* at) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

template <typename T>
void Store(uint8_t* at, const T& value) {
  static_assert(std::is_trivially_copyable_v<T>);
  std::memcpy(at, &value, sizeof(value));
}

// Two bytes as the 16-bit word that they form in memory, as checksums take them.
constexpr uint16_t Word(uint8_t first, uint8_t second) { return static_cast<uint16_t>(first | second << 8); }

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_BYTES_H_
