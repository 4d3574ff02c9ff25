#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tools/sim/arguments.h"
#include "tools/sim/modes.h"
#include "tools/sim/report.h"
#include "tools/sim/simulation.h"

int main(int argc, char** argv) {
  namespace sim = sluice::sim;
  const auto arguments = sim::ParseArguments(std::vector<std::string>(argv + 1, argv + argc));
  if (!arguments.ok()) {
    std::cerr << "sluice-sim: " << arguments.status().message() << '\n';
    return 2;
  }
  if (arguments->help) {
    std::cout << sim::kUsage;
    return 0;
  }
  std::vector<std::unique_ptr<sim::Router>> routers;
  for (const std::string& mode : arguments->modes) {
    for (auto& router : sim::MakeRouters(mode, arguments->workload)) routers.push_back(std::move(router));
  }
  const sim::Result result = sim::Simulate(arguments->workload, routers);
  if (arguments->json) {
    sim::PrintJson(arguments->workload, result, std::cout);
  } else {
    sim::PrintTable(arguments->workload, result, std::cout);
  }
  return 0;
}
