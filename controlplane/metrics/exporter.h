#ifndef SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_
#define SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace prometheus {
class Collectable;
class Exposer;
}  // namespace prometheus

namespace sluice::metrics {

// The HTTP endpoint that Prometheus scrapes, at /metrics. Its threads run on the CPUs of the caller of Start.
class Exporter {
 public:
  // `listen`: "address:port"; an IPv6 address in brackets. kAlreadyExists when the port is taken, kUnavailable when it
  // cannot listen for another reason; the message names both and the remedy.
  static absl::StatusOr<std::unique_ptr<Exporter>> Start(const std::string& listen,
                                                         std::shared_ptr<prometheus::Collectable> collectable);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

 private:
  Exporter(std::string listen, std::unique_ptr<prometheus::Exposer> exposer,
           std::shared_ptr<prometheus::Collectable> collectable);

  const std::string listen_;
  std::shared_ptr<prometheus::Collectable> collectable_;  // the exposer holds it weakly
  std::unique_ptr<prometheus::Exposer> exposer_;
};

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_
