#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_RECONCILER_FIXTURE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_RECONCILER_FIXTURE_H_

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/reconcile/reconciler.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::reconcile {

inline constexpr model::Limits kLimits = {.vips = 16, .pools = 16, .backends = 16};

// A reconciler with the sample services over a data plane that takes all states.
class ReconcilerTest : public ::testing::Test {
 protected:
  ReconcilerTest() { EXPECT_TRUE(reconciler_.Apply(SampleServices()).ok()); }

  model::Lifecycle LifecycleOf(std::string_view backend) {
    return (*reconciler_.Current().registry->GetBackend("web", backend))->lifecycle;
  }
  const fwd::BackendInfo& InfoOf(std::string_view backend) {
    const BackendId id = (*reconciler_.Current().registry->GetBackend("web", backend))->id;
    return (*dataplane_.newest().backend_infos)[id.index()];
  }
  model::Health HealthOf(std::string_view backend) {
    return (*reconciler_.Current().registry->GetBackend("web", backend))->health.value();
  }
  model::HealthUpdate Checked(std::string_view backend, model::Health health) {
    const model::BackendRecord& record = **reconciler_.Current().registry->GetBackend("web", backend);
    return {.backend = record.id, .generation = record.generation, .health = health};
  }
  absl::StatusOr<Outcome> Report(std::string_view backend, model::Health health, std::string reason = "",
                                 std::string_view pool = "web") {
    return reconciler_.ReportHealth(pool, backend, health, std::move(reason));
  }
  std::vector<std::string> Members() {
    std::vector<std::string> names;
    for (const auto& member : dataplane_.newest().pools[0]->members) names.push_back(member.name);
    return names;
  }

  FakeDataplane dataplane_;
  Reconciler reconciler_{kLimits, ValidateSample, dataplane_, dataplane_};
};

}  // namespace sluice::reconcile

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_RECONCILER_FIXTURE_H_
