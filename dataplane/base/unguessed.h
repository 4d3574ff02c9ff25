#ifndef SLUICE_DATAPLANE_BASE_UNGUESSED_H_
#define SLUICE_DATAPLANE_BASE_UNGUESSED_H_

#include <cstdint>

namespace sluice {

// `value`, of which the compiler knows nothing from here on: it makes no branch of what is computed with it. For what
// differs from packet to packet at random, of which a CPU guesses half wrong, at some 20 cycles each. Conditional
// operators do not do: g++ 12 makes branches of nearly all.
inline uint64_t Unguessed(uint64_t value) {
#if defined(__x86_64__)
  asm("" : "+r"(value));
#endif
  return value;
}

// One question whose answer chooses from several pairs, without a branch.
class Choice {
 public:
  // The pair's element of that index, which is 0 or 1.
  static Choice ByIndex(uint64_t index) {
    Choice choice;
    choice.mask_ = Unguessed(index) - 1;
    return choice;
  }

  uint64_t operator()(uint64_t first, uint64_t second) const { return second ^ ((first ^ second) & mask_); }
  template <typename T>
  T* operator()(T* first, T* second) const {
    return reinterpret_cast<T*>((*this)(reinterpret_cast<uint64_t>(first), reinterpret_cast<uint64_t>(second)));
  }

 private:
  Choice() = default;

  uint64_t mask_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_UNGUESSED_H_
