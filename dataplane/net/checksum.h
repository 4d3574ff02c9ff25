#ifndef SLUICE_DATAPLANE_NET_CHECKSUM_H_
#define SLUICE_DATAPLANE_NET_CHECKSUM_H_

#include <bit>
#include <cstddef>
#include <cstdint>

#include "dataplane/net/address.h"

namespace sluice::net {

// The Internet checksum (RFC 1071). Sums are taken over 16-bit words as they lie in memory: a ones' complement sum
// comes out in the same byte order as its words, so nothing is swapped and results are stored as they are.

// The plain ones' complement sum of `size` bytes, not folded; an odd last byte is padded with zero.
uint32_t PartialSum(const uint8_t* data, size_t size, uint32_t sum = 0);

// Both halves are added in the upper one, which takes the lower one's carry: the end-around carry of ones' complement.
constexpr uint16_t FoldSum(uint32_t sum) { return static_cast<uint16_t>((sum + std::rotl(sum, 16)) >> 16); }

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

// What replaced bytes change in a ones' complement sum: collected first, then applied to every checksum over them. All
// words as they lie in memory. A checksum that was right stays right, a wrong one stays wrong.
class ChecksumDelta {
 public:
  constexpr void Replace(uint16_t old_word, uint16_t new_word) {
    Include(uint32_t{static_cast<uint16_t>(~old_word)} + new_word);
  }
  // 2^16 = 1 modulo 2^16 - 1, so two words count as the sum of both, and so do four.
  constexpr void Replace(uint32_t old_words, uint32_t new_words) { Include(uint64_t{~old_words} + new_words); }
  constexpr void Replace(uint64_t old_words, uint64_t new_words) {
    Include(~old_words);
    Include(new_words);
  }
  // `size` is a multiple of 4 and at most 64 KiB.
  void Replace(const uint8_t* old_bytes, const uint8_t* new_bytes, size_t size);
  // Bytes that were added or taken away as a whole, whose PartialSum is given; or any other sum of their words of 16 or
  // 32 bits.
  constexpr void Add(uint64_t sum) { Include(sum); }
  constexpr void Add(const ChecksumDelta& other) { Include(other.sum_); }
  constexpr void Remove(uint32_t sum) { Include(static_cast<uint16_t>(~FoldSum(sum))); }

  // The same for bytes that begin at an odd offset of what is summed: there they lie in the other halves of the words.
  constexpr ChecksumDelta AtOddOffset() const {
    ChecksumDelta swapped;
    swapped.sum_ = __builtin_bswap16(Fold(sum_));
    return swapped;
  }

  // `sum`: of words that were added besides.
  constexpr uint16_t Apply(uint16_t checksum, uint32_t sum = 0) const {
    ChecksumDelta all;
    all.sum_ = uint64_t{static_cast<uint16_t>(~checksum)} + sum;
    all.Include(sum_);
    return static_cast<uint16_t>(~Fold(all.sum_));
  }

  // The same of UDP, where zero says that there is none (RFC 768) and stays, and a computed zero is written as 0xffff.
  constexpr uint16_t ApplyToUdp(uint16_t checksum) const {
    if (checksum == 0) return 0;
    const uint16_t applied = Apply(checksum);
    return applied == 0 ? uint16_t{0xffff} : applied;
  }

  // Applied to the checksum field at `field`, of IPv4, TCP, ICMP or ICMPv6.
  void ApplyTo(uint8_t* field) const;
  // Applied to the checksum of the TCP or UDP header at `l4`, whose bytes up to L4ChecksumEnd are there.
  void ApplyToL4(uint8_t protocol, uint8_t* l4) const;

 private:
  static constexpr uint16_t Fold(uint64_t sum) {
    return FoldSum(static_cast<uint32_t>((sum + std::rotl(sum, 32)) >> 32));
  }

  // With the end-around carry of 64 bits.
  constexpr void Include(uint64_t words) {
    sum_ += words;
    sum_ += sum_ < words ? 1 : 0;
  }

  uint64_t sum_ = 0;
};

// Bytes from the start of a TCP or UDP header to the end of its checksum: 18 or 8; of other protocols 0.
uint32_t L4ChecksumEnd(uint8_t protocol);

// The sum of the pseudo header that TCP, UDP and ICMPv6 checksums cover (RFC 768, RFC 9293; RFC 8200, section 8.1), to
// go on with. Addresses of 4 or 16 bytes; `l4_length` in bytes.
uint32_t PseudoHeaderSum(Family family, const uint8_t* source, const uint8_t* destination, uint8_t protocol,
                         uint16_t l4_length);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_CHECKSUM_H_
