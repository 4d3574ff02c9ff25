// A source of packets that come when they come, and a sink that measures how long they took: preloaded (LD_PRELOAD)
// into programs that know nothing of it, sluiced and dpdk-testpmd. tests/bench/latency_bench.py runs both.
//
// net_null0 (no-rx=1) becomes the source: a receive callback lets it bring the packets of a file, whose arrivals are a
// Poisson process of the wanted rate, into a queue of kDescriptors. Like a device's, the queue fills whatever the
// program does meanwhile, and what finds it full is missed. Arrivals are worked out at the next poll, from the clock,
// in the program's own thread: that costs about what net_pcap's copying does, and no other core takes part. net_null1
// is the sink: a transmit callback takes the time from arrival until the packet is handed to the device.
//
// One run goes through all loads. Before and after each the queue is never empty for a while, which tells what the
// program can take right now; the load is a share of that, because other guests of the machine change its speed.
//
// SLUICE_PROBE_CAPTURE: the packets, as pcap; their destination address becomes the device's.
// SLUICE_PROBE_LOADS: shares, such as 0.1,0.5. SLUICE_PROBE_SECONDS: of each. SLUICE_PROBE_OUTPUT: a file that appears
// when all is over, one JSON object a line for each load.
#include <dlfcn.h>
#include <rte_cycles.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mbuf_dyn.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <random>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr uint32_t kDescriptors = 1024;  // a power of two
constexpr size_t kFrameBytes = 64;
constexpr size_t kGaps = 2048;
// A pause between two polls that the program does not make of itself: a burst and its housekeeping take a few
// microseconds.
constexpr double kPauseS = 50e-6;
constexpr double kSaturatedS = 0.5;
constexpr double kFirstSaturatedS = 2;  // connections are opened, caches and the clock's speed settle
constexpr double kSettleS = 0.2;        // of each load, not measured
constexpr double kRateWindowS = 0.02;

[[noreturn]] void Fail(const std::string& what) {
  std::fprintf(stderr, "latency probe: %s\n", what.c_str());
  std::exit(1);
}

std::string Setting(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) Fail(std::string(name) + " is not set");
  return value;
}

uint64_t ToCycles(double seconds) { return static_cast<uint64_t>(seconds * static_cast<double>(rte_get_tsc_hz())); }

// Counts by size, each class a sixteenth of a power of two wide.
class Histogram {
 public:
  void Add(uint64_t value) { ++counts_[ClassOf(value)]; }
  // "[[ns from, count], ...]" of classes that are not empty.
  std::string ToJson() const {
    const double ns = 1e9 / static_cast<double>(rte_get_tsc_hz());
    std::ostringstream text;
    for (size_t i = 0; i < counts_.size(); ++i) {
      if (counts_[i] == 0) continue;
      text << (text.tellp() == 0 ? "[" : ",") << '[' << static_cast<uint64_t>(static_cast<double>(FromOf(i)) * ns)
           << ',' << counts_[i] << ']';
    }
    return text.tellp() == 0 ? "[]" : text.str() + "]";
  }

 private:
  static size_t ClassOf(uint64_t value) {
    if (value < 16) return value;
    const auto power = static_cast<size_t>(std::bit_width(value)) - 5;  // the value has 4 bits behind the highest
    return (power + 1) * 16 + (value >> power) % 16;
  }
  static uint64_t FromOf(size_t index) { return index < 16 ? index : (16 + uint64_t{index % 16}) << (index / 16 - 1); }
  std::array<uint64_t, 61 * 16> counts_{};
};

struct Load {
  double share = 0;
  double capacity = 0, capacity_after = 0;  // packets a second, right before and right after
  uint64_t arrived = 0, missed = 0;
  uint64_t pauses = 0, paused_cycles = 0;
  Histogram latency;
};

using Frame = std::array<uint8_t, kFrameBytes>;

std::vector<Frame> ReadCapture(const std::string& path, const rte_ether_addr& destination) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  constexpr size_t kFileHeader = 24, kRecordHeader = 16, kLengthAt = 8;
  std::vector<Frame> frames;
  for (size_t at = kFileHeader; at + kRecordHeader <= bytes.size();) {
    uint32_t length = 0;
    std::memcpy(&length, &bytes[at + kLengthAt], sizeof(length));
    at += kRecordHeader;
    if (length != 60 || at + length > bytes.size()) Fail(path + " has frames of other than 60 bytes");
    std::memcpy(frames.emplace_back().data(), &bytes[at], length);
    std::memcpy(frames.back().data(), &destination, sizeof(destination));
    at += length;
  }
  if (frames.empty()) Fail(path + " has no packets");
  return frames;
}

class Probe {
 public:
  Probe(rte_mempool* pool, uint16_t port) : pool_(pool), port_(port), output_(Setting("SLUICE_PROBE_OUTPUT")) {
    if (rte_mbuf_dyn_rx_timestamp_register(&stamp_offset_, nullptr) != 0) Fail("no room for a time stamp in packets");
    rte_ether_addr mac;
    rte_eth_macaddr_get(port, &mac);
    frames_ = ReadCapture(Setting("SLUICE_PROBE_CAPTURE"), mac);
    load_cycles_ = ToCycles(std::stod(Setting("SLUICE_PROBE_SECONDS")));
    std::istringstream shares(Setting("SLUICE_PROBE_LOADS"));
    for (std::string share; std::getline(shares, share, ',');) loads_.emplace_back().share = std::stod(share);
    Saturate(rte_rdtsc(), ToCycles(kFirstSaturatedS));
  }

  uint16_t Receive(rte_mbuf** mbufs, uint16_t room) {
    const uint64_t now = rte_rdtsc();
    if (now >= phase_end_) NextPhase(now);
    NotePause(now);
    Arrive(now);
    const auto count = static_cast<uint16_t>(std::min<uint64_t>(room, tail_ - head_));
    if (count == 0 || rte_pktmbuf_alloc_bulk(pool_, mbufs, count) != 0) return 0;
    for (uint16_t i = 0; i < count; ++i) {
      std::memcpy(rte_pktmbuf_mtod(mbufs[i], void*), frames_[next_frame_].data(), kFrameBytes);
      if (++next_frame_ == frames_.size()) next_frame_ = 0;
      mbufs[i]->data_len = 60;
      mbufs[i]->pkt_len = 60;
      mbufs[i]->port = port_;
      *Stamp(mbufs[i]) = arrivals_[head_++ % kDescriptors];
    }
    if (saturated_) CountRate(now, count);
    return count;
  }

  void Transmit(rte_mbuf** mbufs, uint16_t count) {
    const uint64_t now = rte_rdtsc();
    for (uint16_t i = 0; i < count; ++i) {
      const uint64_t arrival = *Stamp(mbufs[i]);
      if (arrival >= measured_from_ && arrival < phase_end_) current_->latency.Add(now - arrival);
    }
  }

 private:
  rte_mbuf_timestamp_t* Stamp(rte_mbuf* mbuf) const {
    return RTE_MBUF_DYNFIELD(mbuf, stamp_offset_, rte_mbuf_timestamp_t*);
  }

  void Arrive(uint64_t now) {
    uint64_t arrived = 0, missed = 0;
    for (; next_arrival_ <= now; next_arrival_ += gaps_[next_gap_++ % kGaps]) {
      ++arrived;
      if (tail_ - head_ != kDescriptors) {
        arrivals_[tail_++ % kDescriptors] = next_arrival_;
      } else if (saturated_) {
        break;
      } else {
        ++missed;
      }
    }
    current_->arrived += arrived;
    current_->missed += missed;
  }

  void NotePause(uint64_t now) {
    if (now - last_poll_ > pause_cycles_) {
      ++current_->pauses;
      current_->paused_cycles += now - last_poll_;
    }
    last_poll_ = now;
  }

  void CountRate(uint64_t now, uint16_t count) {
    window_packets_ += count;
    if (now - window_begin_ < rate_window_cycles_) return;
    rates_.push_back(static_cast<double>(window_packets_) * static_cast<double>(rte_get_tsc_hz()) /
                     static_cast<double>(now - window_begin_));
    window_begin_ = now;
    window_packets_ = 0;
  }

  void Saturate(uint64_t now, uint64_t cycles) {
    saturated_ = true;
    measuring_ = false;
    current_ = &unmeasured_;
    measured_from_ = 0;
    gaps_.fill(0);
    Begin(now, cycles);
    window_begin_ = now;
    window_packets_ = 0;
    rates_.clear();
  }

  void Begin(uint64_t now, uint64_t cycles) {
    head_ = tail_ = 0;
    next_arrival_ = now;
    phase_end_ = now + cycles;
  }

  void NextPhase(uint64_t now) {
    if (measuring_) {
      ++load_;
      Saturate(now, ToCycles(kSaturatedS));
    } else if (!saturated_) {
      measuring_ = true;
      current_ = &loads_[load_];
      measured_from_ = now;
      phase_end_ = now + load_cycles_;
    } else {
      EndSaturation(now);
    }
  }

  void EndSaturation(uint64_t now) {
    std::sort(rates_.begin(), rates_.end());
    const double capacity = rates_.empty() ? 0 : rates_[rates_.size() / 2];
    if (load_ > 0) loads_[load_ - 1].capacity_after = capacity;
    if (load_ == loads_.size()) {
      Finish();
      phase_end_ = UINT64_MAX;  // it runs on until it is ended
      return;
    }
    loads_[load_].capacity = capacity;
    saturated_ = false;
    SetRate(loads_[load_].share * capacity);
    Begin(now, ToCycles(kSettleS));
  }

  // Gaps of a Poisson process, drawn once; their sum is what the rate says.
  void SetRate(double packets_per_s) {
    std::vector<double> drawn(kGaps);
    double sum = 0;
    for (double& gap : drawn) sum += gap = exponential_(random_);
    const double cycles = static_cast<double>(rte_get_tsc_hz()) / std::max(packets_per_s, 1.0) * kGaps / sum;
    double at = 0;
    for (size_t i = 0; i < kGaps; ++i) {
      const double next = at + drawn[i] * cycles;
      gaps_[i] = static_cast<uint32_t>(std::llround(next) - std::llround(at));
      at = next;
    }
  }

  void Finish() const {
    const std::string unfinished = output_ + ".new";
    {
      std::ofstream file(unfinished);
      const double seconds = static_cast<double>(load_cycles_) / static_cast<double>(rte_get_tsc_hz());
      for (const Load& load : loads_) {
        file << "{\"load\": " << load.share << ", \"capacity_pps\": " << static_cast<uint64_t>(load.capacity)
             << ", \"capacity_after_pps\": " << static_cast<uint64_t>(load.capacity_after)
             << ", \"seconds\": " << seconds << ", \"arrived\": " << load.arrived << ", \"missed\": " << load.missed
             << ", \"pauses\": " << load.pauses
             << ", \"paused_share\": " << static_cast<double>(load.paused_cycles) / static_cast<double>(load_cycles_)
             << ", \"latency_ns\": " << load.latency.ToJson() << "}\n";
      }
    }
    std::rename(unfinished.c_str(), output_.c_str());
  }

  rte_mempool* const pool_;
  const uint16_t port_;
  const std::string output_;
  const uint64_t pause_cycles_ = ToCycles(kPauseS);
  const uint64_t rate_window_cycles_ = ToCycles(kRateWindowS);
  int stamp_offset_ = -1;
  std::vector<Frame> frames_;
  size_t next_frame_ = 0;

  std::array<uint64_t, kDescriptors> arrivals_{};  // of packets that wait
  uint64_t head_ = 0, tail_ = 0;
  uint64_t next_arrival_ = 0;
  std::array<uint32_t, kGaps> gaps_{};
  size_t next_gap_ = 0;
  std::mt19937_64 random_;
  std::exponential_distribution<double> exponential_;

  std::vector<Load> loads_;
  // Takes what is not measured, so that all phases cost the same.
  Load unmeasured_;
  Load* current_ = &unmeasured_;
  size_t load_ = 0;
  uint64_t load_cycles_ = 0;
  bool saturated_ = true, measuring_ = false;
  uint64_t phase_end_ = 0, measured_from_ = 0, last_poll_ = 0;
  std::vector<double> rates_;
  uint64_t window_begin_ = 0, window_packets_ = 0;
};

std::unique_ptr<Probe>& TheProbe() {
  static std::unique_ptr<Probe> probe;
  return probe;
}

bool IsDevice(uint16_t port, std::string_view wanted) {
  std::array<char, RTE_ETH_NAME_MAX_LEN> name{};
  return rte_eth_dev_get_name_by_port(port, name.data()) == 0 && name.data() == wanted;
}

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int rte_eth_rx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned int socket,
                                      const rte_eth_rxconf* conf, rte_mempool* pool) {
  static auto* const next = Next<decltype(rte_eth_rx_queue_setup)>("rte_eth_rx_queue_setup");
  const int result = next(port, queue, descriptors, socket, conf, pool);
  if (result != 0 || queue != 0 || !IsDevice(port, "net_null0") || TheProbe() != nullptr) return result;
  TheProbe() = std::make_unique<Probe>(pool, port);
  const auto receive = [](uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t, uint16_t room, void* probe) {
    return static_cast<Probe*>(probe)->Receive(mbufs, room);
  };
  if (rte_eth_add_rx_callback(port, queue, receive, TheProbe().get()) == nullptr) Fail("DPDK takes no callbacks");
  return result;
}

extern "C" int rte_eth_tx_queue_setup(uint16_t port, uint16_t queue, uint16_t descriptors, unsigned int socket,
                                      const rte_eth_txconf* conf) {
  static auto* const next = Next<decltype(rte_eth_tx_queue_setup)>("rte_eth_tx_queue_setup");
  const int result = next(port, queue, descriptors, socket, conf);
  if (result != 0 || queue != 0 || !IsDevice(port, "net_null1")) return result;
  const auto transmit = [](uint16_t, uint16_t, rte_mbuf** mbufs, uint16_t count, void*) {
    if (TheProbe() != nullptr) TheProbe()->Transmit(mbufs, count);
    return count;
  };
  if (rte_eth_add_tx_callback(port, queue, transmit, nullptr) == nullptr) Fail("DPDK takes no callbacks");
  return result;
}
