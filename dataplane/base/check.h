#ifndef SLUICE_DATAPLANE_BASE_CHECK_H_
#define SLUICE_DATAPLANE_BASE_CHECK_H_

#include <cstdio>
#include <cstdlib>

namespace sluice::internal {

[[noreturn]] inline void CheckFailed(const char* file, int line, const char* what) {
  std::fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
  std::abort();
}

}  // namespace sluice::internal

// For errors of the programmer and at start-up; never for input.
#define SLUICE_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::sluice::internal::CheckFailed(__FILE__, __LINE__, #condition))

// The same in debug builds only: for hot loops.
#ifdef NDEBUG
#define SLUICE_DCHECK(condition) static_cast<void>(sizeof((condition) ? 1 : 0))
#else
#define SLUICE_DCHECK(condition) SLUICE_CHECK(condition)
#endif

#endif  // SLUICE_DATAPLANE_BASE_CHECK_H_
