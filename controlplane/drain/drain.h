#ifndef SLUICE_CONTROLPLANE_DRAIN_DRAIN_H_
#define SLUICE_CONTROLPLANE_DRAIN_DRAIN_H_

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// A drain as an operation: what was asked for, and how it goes.
namespace sluice::drain {

using Time = std::chrono::system_clock::time_point;

enum class Scope : uint8_t { kBackend, kPool, kNode };
// What follows the end of the last connection, or the deadline.
enum class Then : uint8_t {
  kStop,    // nothing: backends stay draining, the node withdrawn
  kRemove,  // the backends are removed
  kExit,    // of the node: the process ends
};
enum class Phase : uint8_t {
  kDraining,
  kFinished,   // nothing was left
  kExpired,    // the deadline came first
  kCancelled,  // somebody wanted the backends back
  kFailed,     // what was to follow was refused; the message says why
};
constexpr size_t kPhases = 5;

constexpr std::string_view ScopeName(Scope scope) {
  return scope == Scope::kBackend ? "backend" : scope == Scope::kPool ? "pool" : "node";
}
constexpr std::string_view ThenName(Then then) {
  return then == Then::kStop ? "stop" : then == Then::kRemove ? "remove" : "exit";
}
constexpr std::string_view PhaseName(Phase phase) {
  switch (phase) {
    case Phase::kDraining:
      return "draining";
    case Phase::kFinished:
      return "finished";
    case Phase::kExpired:
      return "expired";
    case Phase::kCancelled:
      return "cancelled";
    case Phase::kFailed:
      return "failed";
  }
  return "unknown";
}

// What is asked for.
struct Order {
  Scope scope = Scope::kBackend;
  std::string pool = {};             // not of the node
  std::string backend = {};          // of a backend
  std::chrono::seconds deadline{0};  // 0: none
  Then then = Then::kStop;
  friend bool operator==(const Order&, const Order&) = default;
};

// One of the backends that are drained.
struct Member {
  std::string pool;
  std::string backend;
  // Before, and not by an earlier drain: a cancellation leaves it so.
  bool was_draining = false;
  friend bool operator==(const Member&, const Member&) = default;
};
constexpr bool SameBackend(const Member& a, const Member& b) { return a.pool == b.pool && a.backend == b.backend; }

struct Drain {
  uint64_t id = 0;
  Order order = {};
  std::string user = {};
  Phase phase = Phase::kDraining;
  Time started_at = {};
  Time ended_at = {};  // the epoch: not yet
  std::vector<Member> members = {};
  uint64_t flows_at_start = 0;
  uint64_t flows_left = 0;
  uint64_t bytes = 0;        // sent to the backends since the start
  double bytes_per_s = 0;    // of late
  std::string message = {};  // for people
  // False: some VIP does not remember its connections, so that the end is told by the silence.
  bool counts_flows = true;
  friend bool operator==(const Drain&, const Drain&) = default;

  bool on_its_way() const { return phase == Phase::kDraining; }
  // Over, with backends that may still drain because of it.
  bool left_draining() const {
    return order.scope != Scope::kNode && order.then == Then::kStop &&
           (phase == Phase::kFinished || phase == Phase::kExpired);
  }
  // Whether those who send traffic here are to stop that: a node's drain outlasts its end, but not the process's.
  bool withdraws() const {
    const bool ended = phase == Phase::kFinished || phase == Phase::kExpired;
    return order.scope == Scope::kNode && (on_its_way() || (ended && order.then == Then::kStop));
  }
  // "backend web/web-1", "pool web", "node"
  std::string object() const;
  // At the pace so far; nothing while that says nothing.
  std::optional<std::chrono::seconds> EstimatedLeft(Time now) const;
};

}  // namespace sluice::drain

#endif  // SLUICE_CONTROLPLANE_DRAIN_DRAIN_H_
