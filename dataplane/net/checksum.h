#ifndef SLUICE_DATAPLANE_NET_CHECKSUM_H_
#define SLUICE_DATAPLANE_NET_CHECKSUM_H_

#include <cstddef>
#include <cstdint>

namespace sluice::net {

// The Internet checksum (RFC 1071). Sums are taken over 16-bit words as they lie in memory: a ones' complement sum
// comes out in the same byte order as its words, so nothing is swapped and results are stored as they are.

// The plain ones' complement sum of `size` bytes, not folded; an odd last byte is padded with zero.
uint32_t PartialSum(const uint8_t* data, size_t size, uint32_t sum = 0);

constexpr uint16_t FoldSum(uint32_t sum) {
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// The value for the checksum field of `size` bytes whose own field is zero.
inline uint16_t InternetChecksum(const uint8_t* data, size_t size) {
  return static_cast<uint16_t>(~FoldSum(PartialSum(data, size)));
}

// True when the bytes with their checksum sum up to all ones.
inline bool ChecksumIsValid(const uint8_t* data, size_t size) { return FoldSum(PartialSum(data, size)) == 0xffff; }

// RFC 1624, equation 3: the checksum after one 16-bit word changed, both as they lie in memory.
constexpr uint16_t UpdateChecksum(uint16_t checksum, uint16_t old_word, uint16_t new_word) {
  const uint32_t sum =
      static_cast<uint32_t>(static_cast<uint16_t>(~checksum)) + static_cast<uint16_t>(~old_word) + new_word;
  return static_cast<uint16_t>(~FoldSum(sum));
}

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_CHECKSUM_H_
