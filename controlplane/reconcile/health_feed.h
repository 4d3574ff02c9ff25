#ifndef SLUICE_CONTROLPLANE_RECONCILE_HEALTH_FEED_H_
#define SLUICE_CONTROLPLANE_RECONCILE_HEALTH_FEED_H_

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <map>
#include <mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "controlplane/model/health.h"
#include "controlplane/reconcile/reconciler.h"

namespace sluice::reconcile {

// From checkers to the reconciler, in batches: however many backends change, and however often, there is one state in
// `gap` at most, and only the newest word about a backend is kept. The first word after a quiet time goes at once. A
// batch that the data plane does not take comes again with what was said meanwhile.
class HealthFeed : public model::HealthSink {
 public:
  // `reconciler` must live longer.
  explicit HealthFeed(Reconciler& reconciler, std::chrono::milliseconds gap = std::chrono::milliseconds(20));
  ~HealthFeed() override;
  HealthFeed(const HealthFeed&) = delete;
  HealthFeed& operator=(const HealthFeed&) = delete;

  void Report(model::HealthUpdate update) override;

 private:
  // By backend, generation and source.
  using Key = std::tuple<uint16_t, BackendGeneration, model::HealthSource>;
  using Pending = std::map<Key, model::HealthUpdate>;

  void Run();
  // What is to come again.
  Pending Deliver(Pending batch);

  Reconciler& reconciler_;
  const std::chrono::milliseconds gap_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Pending pending_;
  bool failing_ = false;  // of the thread
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sluice::reconcile

#endif  // SLUICE_CONTROLPLANE_RECONCILE_HEALTH_FEED_H_
