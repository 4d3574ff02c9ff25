#include "controlplane/health/checker.h"

#include <algorithm>
#include <utility>

#include "controlplane/model/describe.h"
#include "controlplane/model/text.h"

namespace sluice::health {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;

// Of an interval, to both sides: checks that once fell together drift apart, on one director and between directors.
constexpr uint64_t kJitterPercent = 10;
// New checks begin at most so many a second where their interval leaves room for that.
constexpr uint64_t kStartsPerS = 1000;

// splitmix64 (Steele, Lea, Flood, OOPSLA 2014).
uint64_t Mix(uint64_t x) {
  x += 0x9e37'79b9'7f4a'7c15;
  x = (x ^ (x >> 30)) * 0xbf58'476d'1ce4'e5b9;
  x = (x ^ (x >> 27)) * 0x94d0'49bb'1331'11eb;
  return x ^ (x >> 31);
}

}  // namespace

Checker::Checker(uint64_t seed, std::function<Time()> clock, Prober& prober, model::HealthSink& sink)
    : seed_(seed), clock_(std::move(clock)), prober_(prober), sink_(sink) {}

Checker::~Checker() {
  for (auto& [number, check] : by_number_) {
    if (check->running) prober_.Cancel(IdOf(*check));
  }
}

void Checker::Configure(std::vector<Wish> wishes) {
  const Time now = clock_();
  std::map<CheckSpec, std::unique_ptr<Check>> old = std::move(checks_);
  checks_.clear();
  absl::flat_hash_map<BackendId, Check*> by_backend;
  std::vector<Check*> fresh;
  std::vector<std::pair<Check*, Subscriber>> joined;
  for (Wish& wish : wishes) {
    auto& slot = checks_[wish.spec];
    if (slot == nullptr) {
      if (const auto same = old.find(wish.spec); same != old.end()) {
        slot = std::move(same->second);
        old.erase(same);
        slot->told = std::exchange(slot->subscribers, {});
      } else {
        slot = std::make_unique<Check>();
        slot->spec = std::move(wish.spec);
        slot->number = next_number_++;
        by_number_[slot->number] = slot.get();
        fresh.push_back(slot.get());
        // Whoever was first decides; the others, if they differ, are told below.
        const auto before = by_backend_.find(wish.subscriber.backend);
        if (before != by_backend_.end() &&
            before->second->spec.target.backend_address == slot->spec.target.backend_address) {
          slot->state.Inherit(before->second->state);
        }
      }
    }
    slot->subscribers.insert(wish.subscriber);
    by_backend[wish.subscriber.backend] = slot.get();
    if (!slot->told.contains(wish.subscriber)) joined.emplace_back(slot.get(), wish.subscriber);
  }
  {
    const std::lock_guard lock(status_mutex_);
    by_backend_.swap(by_backend);
  }
  for (const auto& [check, subscriber] : joined) {
    if (check->state.health() != model::Health::kUnchecked) Report(*check, subscriber);
  }
  for (auto& [spec, check] : old) {
    if (check->running) {
      prober_.Cancel(IdOf(*check));
      --running_;
    }
    for (const Subscriber& subscriber : check->subscribers) {
      if (by_backend_.contains(subscriber.backend)) continue;
      sink_.Report({.backend = subscriber.backend,
                    .generation = subscriber.generation,
                    .source = model::HealthSource::kChecks,
                    .health = model::Health::kUnchecked,
                    .reason = "not checked any more"});
    }
    by_number_.erase(check->number);
  }
  for (Check* check : fresh) {
    const uint64_t interval_us = uint64_t{check->spec.config.interval_ms} * 1000;
    const uint64_t spread_us = std::min<uint64_t>(interval_us, fresh.size() * 1'000'000 / kStartsPerS);
    SetTimer(*check, now + microseconds(Random(*check, 0, spread_us + 1)));
  }
}

void Checker::Advance() {
  const Time now = clock_();
  while (!timers_.empty() && timers_.top().at <= now) {
    const Timer timer = timers_.top();
    timers_.pop();
    const auto found = by_number_.find(timer.check);
    if (found == by_number_.end() || found->second->timer != timer.at) continue;
    Check& check = *found->second;
    if (!check.running) {
      Begin(check, now);
      continue;
    }
    const std::string what = prober_.Cancel(IdOf(check));
    const uint32_t timeout_ms = check.spec.config.timeout_ms;
    const auto late = std::chrono::duration_cast<milliseconds>(now - timer.at);
    if (late > milliseconds(timeout_ms) / 2) {
      // This director stood still, or has no time: nobody knows what became of the probe, or whether it ever left.
      End(check, {ProbeResult::Kind::kNotMade, model::Cat("this director was late by ", late.count(), " ms")}, now);
      continue;
    }
    End(check, {ProbeResult::Kind::kFailed, model::Cat(what, ": nothing within ", timeout_ms, " ms")}, now);
  }
}

std::optional<Time> Checker::next_due() const {
  if (timers_.empty()) return std::nullopt;
  return timers_.top().at;
}

void Checker::Begin(Check& check, Time now) {
  ++check.round;
  check.running = true;
  check.started = now;
  ++running_;
  SetTimer(check, now + milliseconds(check.spec.config.timeout_ms));
  prober_.Start(IdOf(check), check.spec);
}

void Checker::Done(ProbeId id, ProbeResult result) {
  const auto found = by_number_.find(static_cast<uint32_t>(id >> 32));
  if (found == by_number_.end()) return;
  Check& check = *found->second;
  if (!check.running || IdOf(check) != id) return;
  End(check, std::move(result), clock_());
}

void Checker::End(Check& check, ProbeResult result, Time now) {
  check.running = false;
  --running_;
  const auto latency = std::chrono::duration_cast<microseconds>(now - check.started);
  const config::HealthCheckConfig& config = check.spec.config;
  const bool changed = [&] {
    const std::lock_guard lock(status_mutex_);
    return check.state.Observe(result, latency, config.rise, config.fall);
  }();
  if (changed) {
    for (const Subscriber& subscriber : check.subscribers) Report(check, subscriber);
  }
  SetTimer(check, NextStart(check, now));
}

Time Checker::NextStart(const Check& check, Time now) const {
  const config::HealthCheckConfig& config = check.spec.config;
  const uint64_t interval_us = uint64_t{check.state.changing() ? config.fast_ms() : config.interval_ms} * 1000;
  const uint64_t jitter_us = interval_us * kJitterPercent / 100;
  const Time next =
      check.started + microseconds(interval_us - jitter_us + Random(check, check.round, 2 * jitter_us + 1));
  return std::max(next, now);
}

void Checker::SetTimer(Check& check, Time at) {
  check.timer = at;
  timers_.push({at, check.number});
}

void Checker::Report(const Check& check, const Subscriber& subscriber) {
  sink_.Report({.backend = subscriber.backend,
                .generation = subscriber.generation,
                .source = model::HealthSource::kChecks,
                .health = check.state.health(),
                .reason = check.state.reason()});
}

uint64_t Checker::Random(const Check& check, uint64_t salt, uint64_t below) const {
  return Mix(seed_ ^ Mix(uint64_t{check.number} << 32 ^ salt)) % below;
}

std::optional<model::CheckStatus> Checker::StatusOf(BackendId id) const {
  const std::lock_guard lock(status_mutex_);
  const auto found = by_backend_.find(id);
  if (found == by_backend_.end()) return std::nullopt;
  const Check& check = *found->second;
  model::CheckStatus status;
  const CheckTarget& target = check.spec.target;
  status.check = model::Cat(target.on_data_path() ? "data path, " : "", EndText(target.address, target.port), " ",
                            model::DescribeCheck(check.spec.config));
  status.health = check.state.health();
  status.reason = check.state.reason();
  const CheckState::Counts& counts = check.state.counts();
  status.latency = counts.latency;
  status.total_latency = counts.total_latency;
  status.passed = counts.passed;
  status.failed = counts.failed;
  status.not_made = counts.not_made;
  status.transitions = counts.transitions;
  status.load = check.state.health() == model::Health::kDown ? std::nullopt : check.state.load();
  return status;
}

}  // namespace sluice::health
