#ifndef SLUICE_CONTROLPLANE_APP_SLUICED_H_
#define SLUICE_CONTROLPLANE_APP_SLUICED_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "config/schema.h"
#include "dataplane/runtime/dataplane.h"

namespace sluice::app {

// The composition root: makes everything, connects it, and takes it down again. Main thread only.
class Sluiced {
 public:
  // Starts all of it; afterwards packets flow. After an error nothing is left running.
  static absl::StatusOr<std::unique_ptr<Sluiced>> Start(const config::Config& config);
  // Stops first if Stop was not called.
  virtual ~Sluiced() = default;

  // Reads `config_file` and applies its services, all or nothing. What is wrong, and which fields of the node part need
  // a restart, is logged; the running configuration then stays.
  virtual void Reload(const std::string& config_file) = 0;
  // Of the threads that packets depend on. Any thread, until Stop.
  virtual std::vector<runtime::ThreadProgress> Progress() const = 0;
  // Stops the API, the metrics and the workers in this order, and logs the final packet sum.
  virtual void Stop() = 0;
};

}  // namespace sluice::app

#endif  // SLUICE_CONTROLPLANE_APP_SLUICED_H_
