#ifndef SLUICE_DATAPLANE_RUNTIME_DATAPLANE_H_
#define SLUICE_DATAPLANE_RUNTIME_DATAPLANE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/fwd/worker_mailbox.h"
#include "dataplane/runtime/options.h"

namespace sluice::runtime {

struct ProbePaths;

// How far a thread has come.
struct ThreadProgress {
  std::string thread;  // "worker 0 on CPU 3"
  uint64_t turns = 0;  // grows at least every 100 ms while the thread is well
};

// The whole data plane of one process: EAL, ports, exception ports, neighbours, workers. One at a time and once in a
// process, because EAL cannot be initialised again. All methods on the main thread; what `sink`, `view` and `mailbox`
// allow is said there.
class Dataplane {
 public:
  // Brings up EAL, devices, tables and exception ports; nothing is forwarded yet. Every error names the port or device,
  // the value and the remedy. After an error everything that was created is gone again.
  static absl::StatusOr<std::unique_ptr<Dataplane>> Create(const DataplaneOptions& options);
  // Stops and removes everything, also TAP interfaces.
  virtual ~Dataplane() = default;

  // Starts the workers; a state must have been published.
  virtual absl::Status Start() = 0;
  // Stops the workers between two bursts; packets still in rings are counted as dropped. Idempotent.
  virtual void Stop() = 0;

  virtual fwd::StateSink& sink() = 0;
  virtual const fwd::DataplaneView& view() const = 0;
  virtual fwd::WorkerMailbox& mailbox() = 0;
  // How packets of the host's health checks find their backends. One thread.
  virtual ProbePaths& probe_paths() = 0;
  // Of every thread that packets or new states depend on; after Start. Any thread.
  virtual std::vector<ThreadProgress> Progress() const = 0;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_DATAPLANE_H_
