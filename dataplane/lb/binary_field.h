#ifndef SLUICE_DATAPLANE_LB_BINARY_FIELD_H_
#define SLUICE_DATAPLANE_LB_BINARY_FIELD_H_

#include <array>
#include <cstddef>
#include <cstdint>

// Arithmetic in the fields GF(2^w) for 2 <= w <= 24. An element is a polynomial over GF(2), bit i the coefficient of
// x^i; addition is exclusive or. Each field is that of the numerically smallest irreducible polynomial of degree w, of
// which kFieldPolynomial[w] is the part below x^w.
namespace sluice::lb {

inline constexpr int kMinFieldBits = 2;
inline constexpr int kMaxFieldBits = 24;

inline constexpr std::array<uint32_t, kMaxFieldBits + 1> kFieldPolynomial = {
    0,    0,    0x03, 0x03, 0x03, 0x05, 0x03, 0x03, 0x1b, 0x03, 0x09, 0x05, 0x09,
    0x1b, 0x21, 0x03, 0x2b, 0x09, 0x09, 0x27, 0x09, 0x05, 0x03, 0x21, 0x1b};

// The product. The same steps for all elements of a field, so that time tells nothing of them.
constexpr uint32_t FieldMultiply(int bits, uint32_t a, uint32_t b) {
  const uint32_t mask = (uint32_t{1} << bits) - 1;
  const uint32_t polynomial = kFieldPolynomial[static_cast<size_t>(bits)];
  uint32_t product = 0;
  for (int i = 0; i < bits; ++i) {
    product ^= a & (0 - (b >> i & 1));
    const uint32_t carry = 0 - (a >> (bits - 1) & 1);
    a = (a << 1 & mask) ^ (polynomial & carry);
  }
  return product;
}

// The inverse, as the power 2^w - 2; of 0 it is 0.
constexpr uint32_t FieldInverse(int bits, uint32_t a) {
  uint32_t power = a;
  uint32_t inverse = 1;
  for (int i = 1; i < bits; ++i) {
    power = FieldMultiply(bits, power, power);
    inverse = FieldMultiply(bits, inverse, power);
  }
  return inverse;
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_BINARY_FIELD_H_
