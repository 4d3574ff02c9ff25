#include "dataplane/net/checksum.h"

#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"

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

void ChecksumDelta::Replace(const uint8_t* old_bytes, const uint8_t* new_bytes, size_t size) {
  for (size_t i = 0; i < size; i += sizeof(uint32_t)) {
    Replace(Load<uint32_t>(old_bytes + i), Load<uint32_t>(new_bytes + i));
  }
}

void ChecksumDelta::ApplyTo(uint8_t* field) const { Store(field, Apply(Load<uint16_t>(field))); }

void ChecksumDelta::ApplyToL4(uint8_t protocol, uint8_t* l4) const {
  if (protocol == kProtocolTcp) {
    ApplyTo(l4 + offsetof(TcpHeader, checksum));
    return;
  }
  uint8_t* const field = l4 + offsetof(UdpHeader, checksum);
  Store(field, ApplyToUdp(Load<uint16_t>(field)));
}

uint32_t L4ChecksumEnd(uint8_t protocol) {
  if (protocol == kProtocolTcp) return offsetof(TcpHeader, checksum) + sizeof(TcpHeader::checksum);
  if (protocol == kProtocolUdp) return sizeof(UdpHeader);
  return 0;
}

uint32_t PseudoHeaderSum(Family family, const uint8_t* source, const uint8_t* destination, uint8_t protocol,
                         uint16_t l4_length) {
  const size_t address_size = family == Family::kIpv4 ? 4 : 16;
  uint32_t sum = PartialSum(source, address_size);
  sum = PartialSum(destination, address_size, sum);
  return sum + Be16::FromHost(l4_length).raw() + Be16::FromHost(protocol).raw();
}

}  // namespace sluice::net
