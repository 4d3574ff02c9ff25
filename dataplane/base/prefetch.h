#ifndef SLUICE_DATAPLANE_BASE_PREFETCH_H_
#define SLUICE_DATAPLANE_BASE_PREFETCH_H_

namespace sluice {

// Asks for the cache line at `at`, so that it is there when it is read or written a few hundred cycles later. `at` need
// not be valid: an address without memory is of no consequence.
//
// Not __builtin_prefetch, where the compiler leaves the choice: g++ takes a function that does nothing but prefetch for
// one without effects, and a call of it that it has not inlined yet is then left out. Without it each packet
// of the stateful tier waits for memory (row stateful, 1 M flows).
__attribute__((always_inline)) inline void PrefetchLine(const void* at) {
#if defined(__x86_64__) && !defined(__clang__)
  asm volatile("prefetcht0 %a0" : : "p"(at));
#else
  __builtin_prefetch(at);
#endif
}

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_PREFETCH_H_
