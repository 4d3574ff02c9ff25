#ifndef SLUICE_CONTROLPLANE_MODEL_CALL_STATS_H_
#define SLUICE_CONTROLPLANE_MODEL_CALL_STATS_H_

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

#include "controlplane/model/latency.h"

namespace sluice::model {

// How the calls of the API went. Any thread.
class CallStats {
 public:
  struct Method {
    LatencyHistogram latency;
    std::map<std::string, uint64_t, std::less<>> by_code;  // "OK", "NOT_FOUND"
  };
  using Methods = std::map<std::string, Method, std::less<>>;

  // `method` and `code` come from closed lists, never from what a client sent.
  void Record(std::string_view method, std::string_view code, std::chrono::nanoseconds time) {
    const std::lock_guard lock(mutex_);
    Method& entry = methods_.try_emplace(std::string(method)).first->second;
    entry.latency.Observe(time);
    ++entry.by_code.try_emplace(std::string(code), 0).first->second;
  }
  Methods All() const {
    const std::lock_guard lock(mutex_);
    return methods_;
  }

 private:
  mutable std::mutex mutex_;
  Methods methods_;
};

}  // namespace sluice::model

#endif  // SLUICE_CONTROLPLANE_MODEL_CALL_STATS_H_
