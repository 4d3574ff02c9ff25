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

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_COUNT_IN_PLACE_H_
