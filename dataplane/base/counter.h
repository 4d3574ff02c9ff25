#ifndef SLUICE_DATAPLANE_BASE_COUNTER_H_
#define SLUICE_DATAPLANE_BASE_COUNTER_H_

#include <atomic>
#include <cstdint>

namespace sluice {

// A counter with one writing thread and any number of readers. A plain load and store suffice for one writer, so it
// costs what an ordinary increment costs (no locked instruction); readers may see it a moment late, never torn.
class Counter {
 public:
  Counter() = default;
  Counter(const Counter&) = delete;
  Counter& operator=(const Counter&) = delete;

  // Only the owning thread.
  void Add(uint64_t n) { value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed); }
  void Increment() { Add(1); }
  // Any thread.
  uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

// Packets and their bytes, side by side for CountInPlace.
struct alignas(2 * sizeof(Counter)) TrafficCounters {
  // Of one more packet. Only the owning thread.
  void Add(uint64_t packet_bytes) {
    packets.Increment();
    bytes.Add(packet_bytes);
  }

  Counter packets, bytes;
};

// A value with one writing thread that moves both ways.
class Gauge {
 public:
  Gauge() = default;
  Gauge(const Gauge&) = delete;
  Gauge& operator=(const Gauge&) = delete;

  // Only the owning thread.
  void Set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  // Any thread.
  uint64_t Value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_ = 0;
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_COUNTER_H_
