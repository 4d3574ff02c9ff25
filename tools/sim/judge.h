#ifndef SLUICE_TOOLS_SIM_JUDGE_H_
#define SLUICE_TOOLS_SIM_JUDGE_H_

#include <cstdint>
#include <vector>

#include "tools/sim/simulation.h"

namespace sluice::sim {

// Sends the packets of connections through one router, remembers on which server each began, and says which break.
class Judge {
 public:
  explicit Judge(Router& router);

  void SetServers(const std::vector<bool>& up, double now);
  void Open(const Connection& connection, double now);
  void Send(const Connection& connection, double now, Cause cause);
  void Close(const Connection& connection, double now);
  // Takes a sample of how evenly connections are spread.
  void Sample();
  Router& router() { return router_; }
  Outcome Finish() const;

 private:
  struct Fate {
    ServerId server = kNoServer;
    uint8_t over = 0;  // definitions by which it is broken, or ended with its server
  };

  void End(Fate& fate, uint8_t definitions);

  Router& router_;
  const uint8_t definitions_;
  Outcome outcome_;
  std::vector<bool> up_;
  std::vector<Fate> fates_;          // by slot
  std::vector<uint64_t> on_server_;  // connections
  double imbalance_sum_ = 0;
  uint64_t samples_ = 0;
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_JUDGE_H_
