#ifndef SLUICE_CONTROLPLANE_HEALTH_CHECKER_H_
#define SLUICE_CONTROLPLANE_HEALTH_CHECKER_H_

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <queue>
#include <set>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "controlplane/health/check_spec.h"
#include "controlplane/health/check_state.h"
#include "controlplane/health/prober.h"
#include "controlplane/model/check_status.h"
#include "controlplane/model/health.h"

namespace sluice::health {

// When each check's next probe is due, which one has taken too long, and what the results mean. It owns no clock, no
// thread and no socket: whoever does calls Advance. One thread, but for StatusOf.
class Checker final : public ProbeSink {
 public:
  // `seed` decides the jitter. `clock` is asked for the time at which a probe ended. All must live longer.
  Checker(uint64_t seed, std::function<Time()> clock, Prober& prober, model::HealthSink& sink);
  ~Checker() override;

  // What is to be checked from now on. Checks that are wished for as before go on undisturbed; those of a backend that
  // is to be checked otherwise begin anew and take over what was known of it. Backends that are not checked any more
  // are reported as unchecked. The first probes of new checks are spread, so that many do not come in a burst.
  void Configure(std::vector<Wish> wishes);

  // Starts the probes that are due and ends those whose time is over. Those that are ended much too late, because
  // nobody called, say nothing of their backends.
  void Advance();
  // When Advance has something to do; nothing: never.
  std::optional<Time> next_due() const;

  void Done(ProbeId id, ProbeResult result) override;

  // Any thread; waits for no probe.
  std::optional<model::CheckStatus> StatusOf(BackendId id) const;
  size_t check_count() const { return by_number_.size(); }
  size_t running_count() const { return running_; }

 private:
  struct Check {
    CheckSpec spec;
    uint32_t number = 0;
    std::set<Subscriber> subscribers;
    std::set<Subscriber> told;  // subscribers before the last Configure
    CheckState state;
    uint32_t round = 0;  // counts probes
    bool running = false;
    Time started;
    // The one timer that counts; others in the queue are left over.
    Time timer;
  };
  struct Timer {
    Time at;
    uint32_t check = 0;
    bool operator>(const Timer& other) const { return at > other.at; }
  };

  ProbeId IdOf(const Check& check) const { return uint64_t{check.number} << 32 | check.round; }
  void SetTimer(Check& check, Time at);
  void Begin(Check& check, Time now);
  void End(Check& check, ProbeResult result, Time now);
  Time NextStart(const Check& check, Time now) const;
  void Report(const Check& check, const Subscriber& subscriber);
  // Uniform in [0, below); the same for the same check and round on every run with the seed.
  uint64_t Random(const Check& check, uint64_t salt, uint64_t below) const;

  const uint64_t seed_;
  const std::function<Time()> clock_;
  Prober& prober_;
  model::HealthSink& sink_;
  std::map<CheckSpec, std::unique_ptr<Check>> checks_;
  absl::flat_hash_map<uint32_t, Check*> by_number_;
  // Guards what StatusOf reads: by_backend_, and the state of the checks in it, which only the one thread changes.
  // Never held while a probe begins or ends: thousands of those come at once.
  mutable std::mutex status_mutex_;
  absl::flat_hash_map<BackendId, Check*> by_backend_;
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  uint32_t next_number_ = 1;
  size_t running_ = 0;
};

}  // namespace sluice::health

#endif  // SLUICE_CONTROLPLANE_HEALTH_CHECKER_H_
