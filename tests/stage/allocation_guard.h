#ifndef SLUICE_TESTS_STAGE_ALLOCATION_GUARD_H_
#define SLUICE_TESTS_STAGE_ALLOCATION_GUARD_H_

namespace sluice::test {

// While one exists, every operator new of this thread aborts the process: proves that the code in between
// does not allocate.
class AllocationGuard {
 public:
  AllocationGuard();
  ~AllocationGuard();
  AllocationGuard(const AllocationGuard&) = delete;
  AllocationGuard& operator=(const AllocationGuard&) = delete;
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_ALLOCATION_GUARD_H_
