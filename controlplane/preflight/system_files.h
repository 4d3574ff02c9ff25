#ifndef SLUICE_CONTROLPLANE_PREFLIGHT_SYSTEM_FILES_H_
#define SLUICE_CONTROLPLANE_PREFLIGHT_SYSTEM_FILES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice::preflight {

// /sys, /proc and /dev, below a root directory of choice: a test's recording of another machine. What is not there
// reads as nothing: kernels differ in what they show. Any thread.
class SystemFiles {
 public:
  explicit SystemFiles(std::string root) : root_(std::move(root)) {}

  // The whole file; empty if it cannot be read.
  std::string Text(const std::string& path) const;
  // Its first line without blanks around it.
  std::string Line(const std::string& path) const;
  // Its first number: decimal, or hexadecimal after "0x".
  std::optional<uint64_t> Number(const std::string& path) const;
  std::vector<uint32_t> CpuList(const std::string& path) const;
  // Names in a directory, sorted.
  std::vector<std::string> Names(const std::string& directory) const;
  // The last component of what a symbolic link points to; empty if there is none.
  std::string LinkName(const std::string& path) const;
  bool Exists(const std::string& path) const;
  // Whether this process may open it with `mode` of access(2).
  bool Accessible(const std::string& path, int mode) const;

  std::string Full(const std::string& path) const { return root_ + path; }

 private:
  const std::string root_;  // empty: the machine's own
};

// The value of "KEY: value" in the text of a file such as /proc/meminfo, without blanks around it; empty if there is
// none.
std::string_view FieldOf(std::string_view text, std::string_view key);

std::vector<std::string> Words(std::string_view text);
std::vector<std::string> Lines(std::string_view text);

}  // namespace sluice::preflight

#endif  // SLUICE_CONTROLPLANE_PREFLIGHT_SYSTEM_FILES_H_
