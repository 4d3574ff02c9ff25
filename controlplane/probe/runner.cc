#include "controlplane/probe/runner.h"

#include <pthread.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <unordered_map>
#include <utility>

#include "controlplane/health/checker.h"
#include "controlplane/probe/command_prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/http_prober.h"
#include "controlplane/probe/icmp_prober.h"
#include "controlplane/probe/tcp_prober.h"
#include "controlplane/probe/udp_prober.h"

namespace sluice::probe {
namespace {

using health::ProbeId;
using health::Time;

Time Now() { return std::chrono::steady_clock::now(); }

// Gives each probe to the prober of its type.
class Probers final : public health::Prober {
 public:
  Probers(const std::string& command_directory, EventLoop& loop, Ways& ways, health::ProbeSink& sink)
      : tcp_(loop, ways, sink),
        http_(loop, ways, sink),
        udp_(loop, ways, sink),
        icmp_(loop, ways, sink),
        command_(command_directory, loop, ways, sink) {}

  void Start(ProbeId id, const health::CheckSpec& spec) override {
    Prober& prober = Of(spec.config.type);
    running_[id] = &prober;
    prober.Start(id, spec);
  }
  std::string Cancel(ProbeId id) override {
    const auto found = running_.find(id);
    if (found == running_.end()) return "";
    Prober& prober = *found->second;
    running_.erase(found);
    return prober.Cancel(id);
  }
  void Forget(ProbeId id) { running_.erase(id); }
  HttpProber& http() { return http_; }

 private:
  Prober& Of(config::CheckType type) {
    switch (type) {
      case config::CheckType::kTcp:
        return tcp_;
      case config::CheckType::kUdp:
        return udp_;
      case config::CheckType::kIcmp:
        return icmp_;
      case config::CheckType::kCommand:
        return command_;
      case config::CheckType::kHttp:
      case config::CheckType::kHttps:
      case config::CheckType::kGrpc:
        break;
    }
    return http_;
  }

  std::unordered_map<ProbeId, Prober*> running_;
  TcpProber tcp_;
  HttpProber http_;
  UdpProber udp_;
  IcmpProber icmp_;
  CommandProber command_;
};

class ProbingThread final : public Runner, public health::ProbeSink {
 public:
  ProbingThread(uint64_t seed, const std::string& command_directory, Ways& ways, model::HealthSink& sink)
      : ways_(ways), probers_(command_directory, loop_, ways, *this), checker_(seed, Now, probers_, sink) {}
  ~ProbingThread() override { Stop(); }

  absl::Status Open() {
    if (absl::Status status = loop_.Open(); !status.ok()) return status;
    thread_ = std::thread([this] { Run(); });
    pthread_setname_np(thread_.native_handle(), "sluice-checks");
    return absl::OkStatus();
  }

  void Configure(std::vector<health::Wish> wishes) override {
    {
      const std::lock_guard lock(mutex_);
      wishes_ = std::move(wishes);
    }
    loop_.Wake();
  }

  void Stop() override {
    if (!thread_.joinable()) return;
    stop_.store(true);
    loop_.Wake();
    thread_.join();
  }

  std::optional<model::CheckStatus> StatusOf(BackendId id) const override { return checker_.StatusOf(id); }

  void Done(ProbeId id, health::ProbeResult result) override {
    probers_.Forget(id);
    checker_.Done(id, std::move(result));
  }

 private:
  void Run() {
    // Who closes a connection while TLS writes to it must not end the process.
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe, nullptr);
    std::optional<Time> until;
    while (!stop_.load()) {
      loop_.Turn(until);
      TakeWishes();
      probers_.http().Advance(Now());
      checker_.Advance();
      until = checker_.next_due();
      const std::optional<Time> http = probers_.http().next_due();
      if (http && (!until || *http < *until)) until = http;
    }
  }

  void TakeWishes() {
    std::optional<std::vector<health::Wish>> wishes;
    {
      const std::lock_guard lock(mutex_);
      wishes = std::exchange(wishes_, std::nullopt);
    }
    if (!wishes) return;
    std::set<net::IpAddress> addresses;
    for (const health::Wish& wish : *wishes) addresses.insert(wish.spec.target.address);
    checker_.Configure(*std::move(wishes));
    ways_.Keep(addresses);
  }

  Ways& ways_;
  EventLoop loop_;
  std::mutex mutex_;
  std::optional<std::vector<health::Wish>> wishes_;
  Probers probers_;
  health::Checker checker_;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::Start(uint64_t seed, const std::string& command_directory, Ways& ways,
                                                      model::HealthSink& sink) {
  auto runner = std::make_unique<ProbingThread>(seed, command_directory, ways, sink);
  if (absl::Status status = runner->Open(); !status.ok()) return status;
  return std::unique_ptr<Runner>(std::move(runner));
}

}  // namespace sluice::probe
