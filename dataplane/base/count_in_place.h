#ifndef SLUICE_DATAPLANE_BASE_COUNT_IN_PLACE_H_
#define SLUICE_DATAPLANE_BASE_COUNT_IN_PLACE_H_

#include <cstdint>
#include <type_traits>

#include "dataplane/base/counter.h"

namespace sluice {

// Counter::Add, of whose load and store the compiler does not make the one instruction that it would make of an
// ordinary number's: for counters that every packet moves. Not locked, as that is not; a reader sees one of the two
// values, because an aligned store of eight bytes is never torn. Only the owning thread.
inline void CountInPlace(Counter& counter, uint64_t n) {
#if defined(__x86_64__)
  static_assert(sizeof(Counter) == sizeof(uint64_t) && std::is_standard_layout_v<Counter>);
  asm("addq %1, %0" : "+m"(counter) : "er"(n));
#else
  counter.Add(n);
#endif
}

// One more thing of `n` bytes, counted by two counters that lie side by side, as the caller asserts: by one address,
// which then takes no register.
inline void CountInPlace(Counter& things, [[maybe_unused]] Counter& bytes, uint64_t n) {
#if defined(__x86_64__)
  struct Both {
    Counter things, bytes;
  };
  static_assert(sizeof(Both) == 2 * sizeof(uint64_t));
  asm("addq $1, %0\n\taddq %1, %H0" : "+o"(reinterpret_cast<Both&>(things)) : "er"(n));
#else
  things.Add(1);
  bytes.Add(n);
#endif
}

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_COUNT_IN_PLACE_H_
