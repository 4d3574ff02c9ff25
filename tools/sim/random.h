#ifndef SLUICE_TOOLS_SIM_RANDOM_H_
#define SLUICE_TOOLS_SIM_RANDOM_H_

#include <cmath>
#include <cstdint>

namespace sluice::sim {

// A mix of 64 bits in which every bit of the result depends on every bit of the argument (the finaliser of SplitMix64,
// Steele et al., 2014). One to one.
constexpr uint64_t MixBits(uint64_t v) {
  v += 0x9e37'79b9'7f4a'7c15;
  v = (v ^ v >> 30) * 0xbf58'476d'1ce4'e5b9;
  v = (v ^ v >> 27) * 0x94d0'49bb'1331'11eb;
  return v ^ v >> 31;
}

// Random numbers that are the same on every machine, which the standard library's distributions need not be.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(MixBits(seed)) {}

  uint64_t Next() { return MixBits(state_ += 0xd1b5'4a32'd192'ed03); }
  // In [0, 1).
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  uint32_t Below(uint32_t n) { return static_cast<uint32_t>((Next() >> 32) * n >> 32); }
  // The time to the next event of a Poisson process with so many events per unit of time.
  double Wait(double rate) { return -std::log1p(-Fraction()) / rate; }

 private:
  uint64_t state_;
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_RANDOM_H_
