#ifndef SLUICE_TOOLS_BACKEND_INTERFACE_LOCK_H_
#define SLUICE_TOOLS_BACKEND_INTERFACE_LOCK_H_

#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "tools/backend/file_descriptor.h"
#include "tools/backend/host.h"

namespace sluice::backend {

// Held while a process has an interface's programs in its hands, so that no two do. A file in /run/sluice-backend,
// named by network namespace and interface, which goes with the lock; that of a killed process is taken over.
class InterfaceLock {
 public:
  // kAlreadyExists, with the remedy, when another process holds it.
  static absl::StatusOr<InterfaceLock> Take(const Interface& interface);

  InterfaceLock(InterfaceLock&&) = default;
  InterfaceLock& operator=(InterfaceLock&&) = delete;
  ~InterfaceLock();

 private:
  InterfaceLock(FileDescriptor file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  FileDescriptor file_;
  std::string path_;
};

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_INTERFACE_LOCK_H_
