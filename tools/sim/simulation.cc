#include "tools/sim/simulation.h"

#include <algorithm>
#include <cmath>

#include "dataplane/base/check.h"
#include "tools/sim/judge.h"
#include "tools/sim/timeline.h"

namespace sluice::sim {
namespace {

constexpr double kTickSeconds = 5;

class Run {
 public:
  Run(const WorkloadOptions& options, const std::vector<std::unique_ptr<Router>>& routers)
      : options_(options),
        random_(options.seed),
        servers_(options.servers, options.updates_per_min, Random(random_.Next())),
        directors_(options.directors, options.director_updates_per_min, Random(random_.Next())),
        arrivals_per_s_(options.connections / Mean(kDurations)) {
    SLUICE_CHECK(options.servers > 0 && options.servers < kNoServer && options.directors > 0);
    for (const auto& router : routers) {
      judges_.emplace_back(*router);
      router->SetDirectors(directors_.up(), 0);
      judges_.back().SetServers(servers_.up(), 0);
    }
  }

  Result Go() {
    if (!options_.plan.empty()) return Follow();
    Begin();
    double next_arrival = random_.Wait(arrivals_per_s_);
    double next_tick = 0;
    while (true) {
      const double end = endings_.next();
      const double change = std::min(servers_.next(), directors_.next());
      const double now = std::min({next_arrival, end, change, next_tick});
      if (now >= options_.seconds) break;
      if (now == next_arrival) {
        const size_t row = DrawRow(kDurations, random_.Fraction());
        endings_.Add(row, now, Open(now));
        next_arrival += random_.Wait(arrivals_per_s_);
      } else if (now == end) {
        Close(endings_.Take(), now);
      } else if (now == change) {
        Change(now);
      } else {
        Tick(now);
        next_tick += kTickSeconds;
      }
    }
    return Finish();
  }

 private:
  // Those that are there already: a moment meets long connections more often than short ones, and somewhere in their
  // lives.
  void Begin() {
    std::vector<double> ends;
    ends.reserve(options_.connections);
    for (uint32_t i = 0; i < options_.connections; ++i) ends.push_back(DrawResidual());
    std::sort(ends.begin(), ends.end());
    for (const double at : ends) endings_.AddFirst({.at = at, .slot = Open(0)});
  }

  double DrawResidual() {
    double point = random_.Fraction() * Mean(kDurations);
    double before = 0;
    for (const Quantile& row : kDurations) {
      const double part = (row.share - before) * row.seconds;
      if (point < part) return point / (row.share - before);
      point -= part;
      before = row.share;
    }
    return kDurations.back().seconds * random_.Fraction();
  }

  uint32_t Open(double now) {
    uint32_t slot = 0;
    if (free_.empty()) {
      slot = static_cast<uint32_t>(connections_.size());
      connections_.emplace_back();
      lives_.push_back(false);
    } else {
      slot = free_.back();
      free_.pop_back();
    }
    const bool timestamps = random_.Fraction() >= options_.no_timestamps;
    connections_[slot] = {.number = result_.connections++, .slot = slot, .timestamps = timestamps};
    if (!timestamps) ++result_.without_timestamps;
    lives_[slot] = true;
    for (Judge& judge : judges_) judge.Open(connections_[slot], now);
    return slot;
  }

  void Close(uint32_t slot, double now) {
    for (Judge& judge : judges_) judge.Close(connections_[slot], now);
    lives_[slot] = false;
    free_.push_back(slot);
  }

  // The plan, a step a second.
  Result Follow() {
    double now = 0;
    for (const PlannedChange& change : options_.plan) {
      now += 1;
      if (change.what == PlannedChange::What::kOpen) {
        for (uint32_t i = 0; i < options_.connections; ++i) Open(now);
        Tick(now);
        continue;
      }
      const bool of_servers = change.what == PlannedChange::What::kServer;
      if ((of_servers ? servers_ : directors_).Set(change.machine, change.up)) Changed(of_servers, now);
    }
    Tick(now);
    return Finish();
  }

  void Change(double now) {
    const bool of_servers = servers_.next() <= directors_.next();
    if (of_servers ? servers_.Change([](Random& r) { return kDownTimes[DrawRow(kDownTimes, r.Fraction())].seconds; })
                   : directors_.Change([this](Random& r) { return r.Wait(1 / options_.director_down_s); })) {
      Changed(of_servers, now);
    }
  }

  void Changed(bool of_servers, double now) {
    if (of_servers) {
      ++result_.server_changes;
      for (Judge& judge : judges_) judge.SetServers(servers_.up(), now);
    } else {
      ++result_.director_changes;
      for (Judge& judge : judges_) judge.router().SetDirectors(directors_.up(), now);
    }
    const Cause cause = of_servers ? Cause::kServers : Cause::kDirectors;
    for (Judge& judge : judges_) {
      for (const Connection& connection : connections_) {
        if (lives_[connection.slot]) judge.Send(connection, now, cause);
      }
    }
  }

  void Tick(double now) {
    servers_up_sum_ += servers_.left();
    ++ticks_;
    for (Judge& judge : judges_) {
      judge.router().Tick(now);
      judge.Sample();
    }
  }

  Result Finish() {
    if (ticks_ > 0) result_.servers_up = servers_up_sum_ / static_cast<double>(ticks_);
    for (const Judge& judge : judges_) result_.outcomes.push_back(judge.Finish());
    return std::move(result_);
  }

  const WorkloadOptions options_;
  Random random_;
  Machines servers_;
  Machines directors_;
  const double arrivals_per_s_;
  std::vector<Judge> judges_;
  Endings endings_;
  std::vector<Connection> connections_;  // by slot
  std::vector<char> lives_;
  std::vector<uint32_t> free_;
  Result result_;
  double servers_up_sum_ = 0;
  uint64_t ticks_ = 0;
};

}  // namespace

Result Simulate(const WorkloadOptions& options, const std::vector<std::unique_ptr<Router>>& routers) {
  return Run(options, routers).Go();
}

}  // namespace sluice::sim
