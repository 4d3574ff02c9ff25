#include "dataplane/net/checksum.h"

#include <cstring>

namespace sluice::net {

uint32_t PartialSum(const uint8_t* data, size_t size, uint32_t sum) {
  uint64_t wide = sum;
  for (; size >= 4; size -= 4, data += 4) {
    uint32_t word = 0;
    std::memcpy(&word, data, sizeof(word));
    wide += word;
  }
  if (size >= 2) {
    uint16_t word = 0;
    std::memcpy(&word, data, sizeof(word));
    wide += word;
    data += 2;
    size -= 2;
  }
  if (size == 1) wide += *data;
  // 2^16 = 1 modulo 2^16 - 1, so folding halves onto each other keeps the sum.
  wide = (wide & 0xffff'ffff) + (wide >> 32);
  wide = (wide & 0xffff) + ((wide >> 16) & 0xffff) + (wide >> 32);
  return static_cast<uint32_t>(wide);
}

}  // namespace sluice::net
