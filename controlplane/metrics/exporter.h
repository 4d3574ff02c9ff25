#ifndef SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_
#define SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"

struct mg_context;
namespace prometheus {
class Collectable;
}

namespace sluice::metrics {

// The HTTP endpoint: Prometheus scrapes /metrics, and routing daemons and scripts ask /healthz whether to send traffic
// here. Its threads run on the CPUs of the caller of Start.
class Exporter {
 public:
  // `listen`: "address:port"; an IPv6 address in brackets. `why_not_serving`: empty: this node serves, and /healthz
  // says 200; otherwise 503 with that text; from any thread. kAlreadyExists when the port is taken, kUnavailable when
  // it cannot listen for another reason; the message names both and the remedy.
  static absl::StatusOr<std::unique_ptr<Exporter>> Start(const std::string& listen,
                                                         std::shared_ptr<prometheus::Collectable> collectable,
                                                         std::function<std::string()> why_not_serving = nullptr);
  ~Exporter();
  Exporter(const Exporter&) = delete;
  Exporter& operator=(const Exporter&) = delete;

 private:
  // What the handlers of requests know.
  struct Content {
    std::shared_ptr<prometheus::Collectable> collectable;
    std::function<std::string()> why_not_serving;
  };
  struct Handlers;
  Exporter(std::string listen, std::unique_ptr<Content> content)
      : listen_(std::move(listen)), content_(std::move(content)) {}

  const std::string listen_;
  const std::unique_ptr<Content> content_;
  mg_context* server_ = nullptr;
};

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_EXPORTER_H_
