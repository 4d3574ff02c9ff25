#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/validate.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/server.h"
#include "controlplane/store/file_journal.h"
#include "dataplane/base/check.h"
#include "dataplane/runtime/state_publisher.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tests/bench/no_traffic.h"

// From a call of the API to its use by all workers: gRPC over the Unix socket, the model, the journal, the state, and
// the publisher that workers read from. What is missing of sluiced is packets and the kernel's routes. The journal is
// on the disk of the temporary directory, or, where `disk` is 0, in memory (/dev/shm). Beside it stands what the disk
// alone takes for a page that is synced, measured in turn with the changes (disk_p50_ms, disk_p99_ms).
namespace sluice {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr uint32_t kWorkers = 2;
// A worker that has packets passes its loop faster; two of them would leave this machine's CPUs nothing else to do.
constexpr std::chrono::microseconds kNap(50);

class Gateway final : public runtime::NextHopSource {
 public:
  void Watch(const std::vector<net::IpAddress>&) override {}
  fwd::NextHop Lookup(const net::IpAddress&) override {
    fwd::NextHop hop;
    hop.port = PortId(0);
    hop.resolved = true;
    return hop;
  }
};

// Readers as workers are, that note when they saw a generation first.
class Workers {
 public:
  explicit Workers(runtime::StatePublisher& publisher) : publisher_(publisher) {
    for (uint32_t i = 0; i < kWorkers; ++i) threads_.emplace_back([this, i] { Run(i); });
  }
  ~Workers() {
    stop_ = true;
    for (std::thread& thread : threads_) thread.join();
  }
  // When the last of them saw it.
  Clock::time_point WaitFor(uint64_t generation) const {
    Clock::time_point last{};
    for (const Seen& seen : seen_) {
      while (seen.generation.load(std::memory_order_acquire) < generation) std::this_thread::sleep_for(kNap);
      last = std::max(last, Clock::time_point(Clock::duration(seen.at.load())));
    }
    return last;
  }

 private:
  struct alignas(64) Seen {
    std::atomic<Clock::rep> at = 0;
    std::atomic<uint64_t> generation = 0;
  };
  void Run(uint32_t reader) {
    publisher_.Online(reader);
    while (!stop_) {
      const fwd::ForwardingState* state = publisher_.Read();
      if (state != nullptr && state->generation != seen_[reader].generation) {
        seen_[reader].at = Clock::now().time_since_epoch().count();
        seen_[reader].generation.store(state->generation, std::memory_order_release);
      }
      publisher_.Quiescent(reader);
      std::this_thread::sleep_for(kNap);
    }
    publisher_.Offline(reader);
  }

  runtime::StatePublisher& publisher_;
  std::atomic<bool> stop_ = false;
  std::array<Seen, kWorkers> seen_;
  std::vector<std::thread> threads_;
};

config::ServiceConfig Services(int pools, int backends_per_pool, int vips) {
  config::ServiceConfig services;
  services.seed = "000102030405060708090a0b0c0d0e0f";
  for (int p = 0; p < pools; ++p) {
    config::PoolConfig& pool = services.pools.emplace_back();
    pool.name = "pool-" + std::to_string(p);
    for (int b = 0; b < backends_per_pool; ++b) {
      config::BackendConfig& backend = pool.backends.emplace_back();
      backend.name = "backend-" + std::to_string(b);
      backend.address = net::IpAddress::V4(Be32::FromHost(0x0a00'0001 + static_cast<uint32_t>(p * 1000 + b)));
    }
  }
  for (int v = 0; v < vips; ++v) {
    config::VipConfig& vip = services.vips.emplace_back();
    vip.name = "vip-" + std::to_string(v);
    vip.prefix = {net::IpAddress::V4(Be32::FromHost(0xc612'0000 + static_cast<uint32_t>(v))), 32};
    vip.ports = config::PortRange::Single(443);
    vip.pool = "pool-" + std::to_string(v % pools);
    vip.mode = config::ForwardingMode::kGue;
  }
  return services;
}

std::vector<model::Complaint> Validate(const model::DesiredState& desired) {
  std::vector<model::Complaint> complaints;
  for (const config::Problem& problem : config::ValidateServices(desired)) {
    complaints.push_back({problem.field, problem.message});
  }
  return complaints;
}

// A page that is written and synced in room that the file has already: the least that keeps anything.
class Page {
 public:
  explicit Page(const fs::path& path) : fd_(open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
    const std::string room(kPages * page_.size(), '\0');
    SLUICE_CHECK(fd_ >= 0 && pwrite(fd_, room.data(), room.size(), 0) == static_cast<ssize_t>(room.size()) &&
                 fsync(fd_) == 0);
  }
  ~Page() { close(fd_); }
  Page(const Page&) = delete;
  Page& operator=(const Page&) = delete;

  Clock::duration Sync() {
    const Clock::time_point start = Clock::now();
    const auto offset = static_cast<off_t>(next_++ % kPages * page_.size());
    SLUICE_CHECK(pwrite(fd_, page_.data(), page_.size(), offset) == static_cast<ssize_t>(page_.size()) &&
                 fdatasync(fd_) == 0);
    return Clock::now() - start;
  }

 private:
  static constexpr size_t kPages = 256;
  const std::string page_ = std::string(4096, 'x');
  const int fd_;
  size_t next_ = 0;
};

// A control plane with workers and one client.
class Instance {
 public:
  explicit Instance(bool disk = true) {
    std::string pattern = ((disk ? fs::temp_directory_path() : fs::path("/dev/shm")) / "sluice-bench-XXXXXX").string();
    directory_ = mkdtemp(pattern.data());
    journal_ = store::FileJournal::Open((directory_ / "state").string()).value();
    reconciler_.Attach(journal_.get(), &events_, nullptr);
    SLUICE_CHECK(reconciler_.Apply(Services(1, 1, 1)).ok());
    const std::string address = "unix:" + (directory_ / "api.sock").string();
    rpc::ServerOptions options;
    options.journal = journal_.get();
    options.events = &events_;
    server_ = rpc::Server::Start(address, {"edge-1", "1.2.3", Clock::now()}, reconciler_, view_, options).value();
    stub_ = v1::Manager::NewStub(grpc::CreateChannel(address, grpc::InsecureChannelCredentials()));
  }
  ~Instance() {
    server_.reset();
    fs::remove_all(directory_);
  }

  void Apply(const config::ServiceConfig& services) {
    v1::ApplyRequest request;
    rpc::ToProto(services, request.mutable_desired());
    v1::ApplyResponse response;
    grpc::ClientContext context;
    const grpc::Status status = stub_->Apply(&context, request, &response);
    SLUICE_CHECK(status.ok());
    workers_.WaitFor(response.state_generation());
  }
  // Gives a backend a weight; until all workers have it.
  Clock::duration Reweight(uint32_t weight) {
    v1::UpdateBackendRequest request;
    request.set_pool("pool-0");
    request.mutable_backend()->set_name("backend-0");
    request.mutable_backend()->set_address("10.0.0.1");
    request.mutable_backend()->set_weight(weight);
    v1::ChangeResponse response;
    grpc::ClientContext context;
    const Clock::time_point start = Clock::now();
    const grpc::Status status = stub_->UpdateBackend(&context, request, &response);
    SLUICE_CHECK(status.ok());
    return workers_.WaitFor(response.state_generation()) - start;
  }
  Clock::duration Drain(bool drain, uint64_t number = 0) {
    const std::string backend = "backend-" + std::to_string(number);
    const Clock::time_point start = Clock::now();
    grpc::ClientContext context;
    if (drain) {
      v1::DrainBackendRequest request;
      request.set_pool("pool-0");
      request.set_backend(backend);
      v1::DrainBackendResponse response;
      SLUICE_CHECK(stub_->DrainBackend(&context, request, &response).ok());
    } else {
      v1::UndrainBackendRequest request;
      request.set_pool("pool-0");
      request.set_backend(backend);
      v1::UndrainBackendResponse response;
      SLUICE_CHECK(stub_->UndrainBackend(&context, request, &response).ok());
    }
    return workers_.WaitFor(generation()) - start;
  }
  const fs::path& directory() const { return directory_; }
  uint64_t generation() const { return reconciler_.Current().generation; }

 private:
  fs::path directory_;
  Gateway gateway_;
  bench::NoTraffic view_{/*swept=*/true};
  model::EventBus events_;
  runtime::StatePublisher publisher_{kWorkers, &gateway_};
  Workers workers_{publisher_};
  std::unique_ptr<store::FileJournal> journal_;
  reconcile::Reconciler reconciler_{{.vips = 10'001, .pools = 1'024, .backends = 10'001}, Validate, publisher_, view_};
  std::unique_ptr<rpc::Server> server_;
  std::unique_ptr<v1::Manager::Stub> stub_;
};

double Milliseconds(Clock::duration duration) { return std::chrono::duration<double, std::milli>(duration).count(); }

// Of times in milliseconds.
double Percentile(std::vector<double> times, size_t percent) {
  std::sort(times.begin(), times.end());
  return times[std::min(times.size() - 1, times.size() * percent / 100)];
}

void OneBackendLive(benchmark::State& state) {
  Instance instance(state.range(4) != 0);
  Page page(instance.directory() / "page");
  instance.Apply(
      Services(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)), static_cast<int>(state.range(2))));
  std::vector<double> times;
  std::vector<double> syncs;
  bool odd = false;
  for (auto _ : state) {
    odd = !odd;
    const Clock::duration took = state.range(3) != 0 ? instance.Reweight(odd ? 50 : 100) : instance.Drain(odd);
    times.push_back(Milliseconds(took));
    state.SetIterationTime(times.back() / 1e3);
    syncs.push_back(Milliseconds(page.Sync()));
  }
  state.counters["p50_ms"] = Percentile(times, 50);
  state.counters["p99_ms"] = Percentile(times, 99);
  state.counters["max_ms"] = Percentile(times, 100);
  state.counters["disk_p50_ms"] = Percentile(syncs, 50);
  state.counters["disk_p99_ms"] = Percentile(syncs, 99);
}
BENCHMARK(OneBackendLive)
    ->ArgNames({"pools", "backends_per_pool", "vips", "reweight", "disk"})
    ->Args({1, 100, 1, 0, 1})
    ->Args({1, 100, 1, 1, 1})
    ->Args({1, 100, 1, 0, 0})
    ->Args({1, 100, 1, 1, 0})
    ->Args({1, 1000, 1, 0, 1})
    ->Args({1, 1000, 1, 1, 1})
    ->Args({100, 100, 10'000, 0, 1})
    ->Args({100, 100, 10'000, 1, 1})
    ->Iterations(500)
    ->UseManualTime()
    ->Unit(benchmark::kMillisecond);

// Clients that drain and undrain backends of their own, all at once: how many changes become one state.
void Burst(benchmark::State& state) {
  constexpr uint64_t kClients = 32;
  constexpr uint64_t kRounds = 10;
  Instance instance;
  instance.Apply(Services(1, 100, 1));
  const uint64_t before = instance.generation();
  for (auto _ : state) {
    std::vector<std::thread> clients;
    for (uint64_t i = 0; i < kClients; ++i) {
      clients.emplace_back([&, i] {
        for (uint64_t round = 0; round < kRounds; ++round) instance.Drain(round % 2 == 0, i);
      });
    }
    for (std::thread& client : clients) client.join();
  }
  const auto changes = static_cast<double>(kClients * kRounds * static_cast<uint64_t>(state.iterations()));
  state.counters["changes"] = changes;
  state.counters["changes_per_state"] = changes / static_cast<double>(instance.generation() - before);
}
BENCHMARK(Burst)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

void ApplyAll(benchmark::State& state) {
  const config::ServiceConfig services = Services(100, 100, 10'000);
  for (auto _ : state) {
    state.PauseTiming();
    auto instance = std::make_unique<Instance>();
    state.ResumeTiming();
    instance->Apply(services);
    state.PauseTiming();
    instance.reset();
    state.ResumeTiming();
  }
}
BENCHMARK(ApplyAll)->Iterations(5)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace sluice
