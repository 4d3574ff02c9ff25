#include "tools/sim/judge.h"

#include <algorithm>

namespace sluice::sim {

Judge::Judge(Router& router) : router_(router), definitions_(router.definitions()) {
  outcome_.router = router.name();
  outcome_.definitions = definitions_;
}

void Judge::SetServers(const std::vector<bool>& up, double now) {
  up_ = up;
  on_server_.resize(up.size());
  router_.SetServers(up, now);
}

void Judge::Open(const Connection& connection, double now) {
  if (connection.slot >= fates_.size()) fates_.resize(connection.slot + 1);
  ++outcome_.packets;
  Fate& fate = fates_[connection.slot];
  fate = {.server = router_.Open(connection, now).first, .over = 0};
  ++on_server_[fate.server];
}

void Judge::Send(const Connection& connection, double now, Cause cause) {
  Fate& fate = fates_[connection.slot];
  if (fate.over == definitions_) return;
  const bool up = up_[fate.server];
  if (!up) End(fate, kUp & definitions_);
  if (fate.over == definitions_) return;
  ++outcome_.packets;
  if (router_.Send(connection, now).Reaches(fate.server)) return;
  const auto kind = static_cast<size_t>(connection.timestamps);
  if ((definitions_ & ~fate.over & kUp) != 0) ++outcome_.up.by_cause[kind][static_cast<size_t>(cause)];
  if ((definitions_ & ~fate.over & kDrain) != 0) ++outcome_.drain.by_cause[kind][static_cast<size_t>(cause)];
  End(fate, definitions_);
}

void Judge::Close(const Connection& connection, double now) {
  Fate& fate = fates_[connection.slot];
  if (fate.over != definitions_) {
    ++outcome_.packets;
    router_.Close(connection, now);
  }
  End(fate, definitions_);
}

void Judge::End(Fate& fate, uint8_t definitions) {
  if (fate.over == definitions_) return;
  fate.over |= definitions;
  if (fate.over == definitions_) --on_server_[fate.server];
}

void Judge::Sample() {
  uint64_t largest = 0;
  uint64_t sum = 0;
  uint64_t servers = 0;
  for (size_t server = 0; server < up_.size(); ++server) {
    if (!up_[server]) continue;
    largest = std::max(largest, on_server_[server]);
    sum += on_server_[server];
    ++servers;
  }
  if (sum == 0) return;
  imbalance_sum_ += static_cast<double>(largest) * static_cast<double>(servers) / static_cast<double>(sum) - 1;
  ++samples_;
}

Outcome Judge::Finish() const {
  Outcome outcome = outcome_;
  outcome.tracked = router_.tracked();
  outcome.table_full = router_.table_full();
  if (samples_ > 0) outcome.imbalance = imbalance_sum_ / static_cast<double>(samples_);
  return outcome;
}

}  // namespace sluice::sim
