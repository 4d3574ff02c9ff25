#include <arpa/inet.h>
#include <benchmark/benchmark.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/health/checker.h"
#include "controlplane/probe/runner.h"

// What health checks cost: the scheduling alone, and whole probes of servers on the loopback interface, whose kernel
// does the work of both ends.
namespace sluice {
namespace {

using health::ProbeResult;

class NullSink final : public model::HealthSink {
 public:
  void Report(model::HealthUpdate) override {}
};

class InstantProber final : public health::Prober {
 public:
  void Start(health::ProbeId id, const health::CheckSpec&) override {
    ++probes;
    sink->Done(id, {ProbeResult::Kind::kPassed, "accepted"});
  }
  std::string Cancel(health::ProbeId) override { return ""; }
  health::ProbeSink* sink = nullptr;
  int64_t probes = 0;
};

std::vector<health::Wish> Wishes(size_t count, uint16_t port, config::CheckType type, uint32_t interval_ms) {
  std::vector<health::Wish> wishes(count);
  for (size_t i = 0; i < count; ++i) {
    health::Wish& wish = wishes[i];
    wish.subscriber.backend = BackendId(static_cast<uint16_t>(i));
    // 127.0.0.0/8 is one host.
    wish.spec.target.address = net::IpAddress::V4(Be32::FromHost(0x7f00'0001 + static_cast<uint32_t>(i)));
    wish.spec.target.backend_address = wish.spec.target.address;
    wish.spec.target.port = port;
    wish.spec.config.type = type;
    wish.spec.config.interval_ms = interval_ms;
  }
  return wishes;
}

// Time of one check, with 10 000 of them.
void BM_ScheduleCheck(benchmark::State& state) {
  health::Time now{};
  InstantProber prober;
  NullSink sink;
  health::Checker checker(
      1, [&] { return now; }, prober, sink);
  prober.sink = &checker;
  checker.Configure(Wishes(10'000, 80, config::CheckType::kTcp, 2000));
  for (auto _ : state) {
    now = *checker.next_due();
    checker.Advance();
  }
  state.SetItemsProcessed(prober.probes);
}
BENCHMARK(BM_ScheduleCheck);

class AnyWay final : public probe::Ways {
 public:
  absl::StatusOr<probe::Way> Open(const health::CheckTarget&) override { return probe::Way(); }
  void Close(const probe::Way&) override {}
  void Keep(const std::set<net::IpAddress>&) override {}
};

// Answers connections until it is destroyed.
class Server {
 public:
  explicit Server(bool http) : http_(http) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address));
    listen(fd_, 4096);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    shutdown(fd_, SHUT_RDWR);
    thread_.join();
    close(fd_);
  }
  uint16_t port() const { return port_; }

 private:
  void Serve() {
    const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    while (true) {
      const int client = accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      if (http_) {
        char request[4096];
        [[maybe_unused]] ssize_t bytes = read(client, request, sizeof(request));
        bytes = send(client, answer.data(), answer.size(), MSG_NOSIGNAL);
      }
      close(client);
    }
  }

  const bool http_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// 10 000 checks every 2 s, for 6 s: how many a second there are, and what share of a CPU the process, which is both
// ends, takes for them.
void BM_ProbesPerSecond(benchmark::State& state) {
  const bool http = state.range(0) != 0;
  const Server server(http);
  AnyWay ways;
  NullSink sink;
  constexpr size_t kChecks = 10'000;
  for (auto _ : state) {
    auto runner = probe::Runner::Start(1, "/", ways, sink);
    (*runner)->Configure(
        Wishes(kChecks, server.port(), http ? config::CheckType::kHttp : config::CheckType::kTcp, 2000));
    std::this_thread::sleep_for(std::chrono::seconds(2));
    const auto count = [&](bool failed) {
      uint64_t sum = 0;
      for (size_t i = 0; i < kChecks; ++i) {
        const auto status = (*runner)->StatusOf(BackendId(static_cast<uint16_t>(i)));
        if (status) sum += failed ? status->failed + status->not_made : status->passed;
      }
      return static_cast<double>(sum);
    };
    const double before = count(false);
    const double cpu_before = CpuSeconds();
    const auto start = std::chrono::steady_clock::now();
    std::this_thread::sleep_for(std::chrono::seconds(4));
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    const double cpu = CpuSeconds() - cpu_before;
    const double probes = count(false) - before;
    state.counters["checks_per_s"] = probes / seconds;
    state.counters["cpu_share"] = cpu / seconds;
    state.counters["cpu_us_per_check"] = 1e6 * cpu / probes;
    state.counters["not_passed"] = count(true);
    (*runner)->Stop();
  }
}
BENCHMARK(BM_ProbesPerSecond)
    ->ArgName("http")
    ->Arg(0)
    ->Arg(1)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice
