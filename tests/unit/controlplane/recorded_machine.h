#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_RECORDED_MACHINE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_RECORDED_MACHINE_H_

#include <cstdint>
#include <string>

#include "tests/support/temporary_directory.h"

namespace sluice {

inline constexpr uint64_t kMegabyte = 1 << 20;

// Lays a recording of a machine's files (machines/NAME.txt, written as machines/record.py says) out in a directory of
// its own, which is removed at the end.
class RecordedMachine {
 public:
  explicit RecordedMachine(const std::string& name);

  // Stands before the absolute path of each file.
  const std::string& root() const { return root_; }
  // Adds a file, or replaces it.
  void Write(const std::string& path, const std::string& text) const;
  void Link(const std::string& path, const std::string& target) const;

 private:
  const TemporaryDirectory directory_;
  const std::string root_ = directory_.path().string();
};

}  // namespace sluice

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_RECORDED_MACHINE_H_
