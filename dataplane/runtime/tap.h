#ifndef SLUICE_DATAPLANE_RUNTIME_TAP_H_
#define SLUICE_DATAPLANE_RUNTIME_TAP_H_

#include <rte_mbuf.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace sluice::runtime {

// A TAP interface: our way to the host's kernel. It exists as long as this object (or its process) lives.
class Tap {
 public:
  // kAlreadyExists, kPermissionDenied and others, with the remedy. `name`: at most 15 characters.
  static absl::StatusOr<std::unique_ptr<Tap>> Create(const std::string& port_name, const std::string& name);
  // Takes over `fd`: non-blocking, and a read or write is one frame.
  Tap(std::string name, int fd, unsigned index) : name_(std::move(name)), fd_(fd), index_(index) {}
  ~Tap();
  Tap(const Tap&) = delete;
  Tap& operator=(const Tap&) = delete;

  const std::string& name() const { return name_; }
  unsigned index() const { return index_; }
  int fd() const { return fd_; }

  // The exception thread. Neither blocks.
  // False: the kernel did not take the frame. The packet stays the caller's.
  bool Write(const rte_mbuf* mbuf);
  // Bytes read into `buffer`; 0: nothing waits. A frame longer than `size` would be cut.
  size_t Read(uint8_t* buffer, size_t size);

 private:
  const std::string name_;
  const int fd_;
  const unsigned index_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_TAP_H_
