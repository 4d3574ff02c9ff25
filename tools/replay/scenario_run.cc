#include "tools/replay/scenario_run.h"

#include <utility>

#include "config/load.h"
#include "config/problem.h"
#include "config/text.h"

namespace sluice::replay {
namespace {

using config::Cat;
using config::Quote;

// Several lines in one, as a report needs it.
std::string OneLine(const absl::Status& status) {
  std::string line;
  for (const char c : status.message()) {
    if (c == '\n') {
      line += "; ";
    } else {
      line += c;
    }
  }
  return line;
}

// The desired state in force with one backend's weight changed.
absl::StatusOr<model::DesiredState> WithWeight(const model::Registry& registry, const BackendStep& step) {
  const auto backend = registry.GetBackend(step.pool(), step.backend());
  if (!backend.ok()) return backend.status();
  model::DesiredState desired;
  desired.seed = registry.seed;
  for (const auto& pool : registry.pools) {
    model::DesiredPool& copy = desired.pools.emplace_back();
    copy.name = pool->name;
    copy.table_size = pool->table_size;
    copy.policy = pool->policy;
    copy.health_check = pool->health_check;
    for (const model::BackendRecord& record : pool->backends) {
      copy.backends.push_back(record.desired);
      if (&record == *backend) copy.backends.back().weight = *step.weight;
    }
  }
  for (const model::VipRecord& vip : *registry.vips) desired.vips.push_back(vip.desired);
  return desired;
}

absl::StatusOr<reconcile::Outcome> ChangeBackend(reconcile::Reconciler& reconciler, const BackendStep& step) {
  switch (step.change) {
    case BackendStep::Change::kAdd: {
      model::DesiredBackend backend{.name = step.backend(), .address = *step.address, .drain = {}};
      if (step.weight) backend.weight = *step.weight;
      return reconciler.AddBackend(step.pool(), backend);
    }
    case BackendStep::Change::kDrain:
      return reconciler.SetDrain(step.pool(), step.backend(), true);
    case BackendStep::Change::kUndrain:
      return reconciler.SetDrain(step.pool(), step.backend(), false);
    case BackendStep::Change::kWeight: {
      const std::shared_ptr<const model::Registry> registry = reconciler.Current().registry;
      const auto desired = WithWeight(*registry, step);
      if (!desired.ok()) return desired.status();
      return reconciler.Apply(*desired);
    }
    case BackendStep::Change::kRemove:
      return reconciler.RemoveBackend(step.pool(), step.backend());
    case BackendStep::Change::kDown:
      return reconciler.ReportHealth(step.pool(), step.backend(), model::Health::kDown, "");
    case BackendStep::Change::kUp:
      return reconciler.ReportHealth(step.pool(), step.backend(), model::Health::kUp, "");
  }
  return absl::InternalError("unknown change of a backend");
}

// A change that is refused is a result of the step and not an error of the run.
void TellOutcome(const absl::StatusOr<reconcile::Outcome>& outcome, const std::optional<std::string>& refused, int line,
                 StepResult* result) {
  if (outcome.ok()) {
    result->changes = outcome->changes;
    if (refused) {
      result->failures.push_back({line, Cat("the change was made, expected to be refused with ", Quote(*refused))});
    }
    return;
  }
  result->refusal = OneLine(outcome.status());
  if (!refused) {
    result->failures.push_back({line, Cat("the change was refused: ", result->refusal)});
  } else if (result->refusal.find(*refused) == std::string::npos) {
    result->failures.push_back(
        {line, Cat("the change was refused, but not with ", Quote(*refused), ": ", result->refusal)});
  }
}

class Runner {
 public:
  Runner(const Scenario& scenario, Engine& engine, const PortByName& port_by_name, Outputs& collected, Report& report)
      : scenario_(scenario), engine_(engine), port_by_name_(port_by_name), collected_(collected), report_(report) {}

  absl::StatusOr<Verdict> Run() {
    Verdict verdict;
    for (size_t i = 0; i < scenario_.steps.size(); ++i) {
      const Step& step = scenario_.steps[i];
      StepResult result;
      report_.BeginStep(i + 1, step);
      const absl::Status status =
          std::visit([&](const auto& action) { return Take(action, step.line, &result); }, step.action);
      if (!status.ok()) result.failures.push_back({step.line, std::string(status.message())});
      report_.EndStep(result);
      if (!status.ok()) return absl::Status(status.code(), Place(i, result.failures.front()));
      if (verdict.failures == 0 && !result.failures.empty()) verdict.first = Place(i, result.failures.front());
      verdict.failures += result.failures.size();
    }
    return verdict;
  }

 private:
  std::string Place(size_t step, const Failure& failure) const {
    return Cat(scenario_.file, ":", failure.line, ": step ", step + 1, ": ", failure.text);
  }

  absl::Status Take(const std::monostate&, int, StepResult*) { return absl::InternalError("a step without an action"); }

  absl::Status Take(const ReplayStep& step, int, StepResult*) {
    const auto port = port_by_name_(step.port);
    if (!port.ok()) return port.status();
    auto reader = PcapReader::Open(step.capture);
    if (!reader.ok()) return reader.status();
    Outputs own;
    if (absl::Status status = own.Open(step.out, step.host); !status.ok()) return status;
    const Destinations destinations = {.out = own.has_out() ? &own : &collected_,
                                       .host = own.has_host() ? &own : &collected_};
    absl::Status status = ReplayCapture(engine_, *reader, *port, destinations, report_);
    status.Update(own.Close());
    return status;
  }

  absl::Status Take(const ApplyStep& step, int line, StepResult* result) {
    const auto services = config::LoadServicesFile(step.file);
    // Only what is wrong with its content makes a file one that sluiced refuses.
    if (!services.ok() && !absl::IsInvalidArgument(services.status())) return services.status();
    TellOutcome(
        services.ok() ? engine_.reconciler().Apply(*services) : absl::StatusOr<reconcile::Outcome>(services.status()),
        step.refused, line, result);
    return absl::OkStatus();
  }

  absl::Status Take(const BackendStep& step, int line, StepResult* result) {
    TellOutcome(ChangeBackend(engine_.reconciler(), step), step.refused, line, result);
    return absl::OkStatus();
  }

  absl::Status Take(const AdvanceStep& step, int, StepResult*) {
    engine_.Advance(step.seconds);
    return absl::OkStatus();
  }

  absl::Status Take(const ExpectStep& step, int, StepResult* result) {
    const CounterSnapshot counters = ReadCounters(engine_);
    for (const Expectation& expectation : step.expectations) {
      const Check check{.expectation = &expectation, .actual = FindCounter(counters, expectation.counter)};
      result->checks.push_back(check);
      if (check.holds()) continue;
      const std::string actual = check.actual ? Cat(*check.actual) : Absent(expectation, counters);
      result->failures.push_back(
          {expectation.line, Cat(expectation.path, " is ", actual, ", expected ", expectation.Expected())});
    }
    return absl::OkStatus();
  }

  static std::string Absent(const Expectation& expectation, const CounterSnapshot& counters) {
    const bool is_vip = expectation.counter.section == "vips";
    std::vector<std::string_view> names;
    for (const auto& object : is_vip ? counters.vips : counters.backends) names.push_back(object.first);
    return Cat("absent (there is no ", is_vip ? "VIP" : "backend",
               " of this name, only: ", config::JoinWithCommas(names), ")");
  }

  const Scenario& scenario_;
  Engine& engine_;
  const PortByName& port_by_name_;
  Outputs& collected_;
  Report& report_;
};

}  // namespace

absl::StatusOr<Verdict> RunScenario(const Scenario& scenario, Engine& engine, const PortByName& port_by_name,
                                    Outputs& collected, Report& report) {
  return Runner(scenario, engine, port_by_name, collected, report).Run();
}

}  // namespace sluice::replay
