#include "dataplane/runtime/dataplane.h"

#include <pthread.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <time.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/base/counter.h"
#include "dataplane/base/cpu_list.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/check_options.h"
#include "dataplane/runtime/cpu_plan.h"
#include "dataplane/runtime/eal.h"
#include "dataplane/runtime/event.h"
#include "dataplane/runtime/exception_thread.h"
#include "dataplane/runtime/host_interface.h"
#include "dataplane/runtime/mailbox.h"
#include "dataplane/runtime/memory_plan.h"
#include "dataplane/runtime/nat_setup.h"
#include "dataplane/runtime/neighbours.h"
#include "dataplane/runtime/probe_routes.h"
#include "dataplane/runtime/punt_queue.h"
#include "dataplane/runtime/state_publisher.h"
#include "dataplane/runtime/table_memory.h"
#include "dataplane/runtime/tap.h"
#include "dataplane/runtime/view.h"
#include "dataplane/runtime/worker.h"
#include "dataplane/stage/tunnel_source.h"

namespace sluice::runtime {
namespace {

// How long the control thread waits for the kernel's notifications before it looks after the rest.
constexpr int kControlIntervalMs = 50;

uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

// The exception port of one logical port.
struct HostSide {
  std::unique_ptr<Tap> tap;
  PuntQueue punt;
  Ring from_host;
};

class DataplaneImpl final : public Dataplane {
 public:
  explicit DataplaneImpl(const DataplaneOptions& options) : options_(options), stalls_(options.workers + 1) {}
  ~DataplaneImpl() override { DataplaneImpl::Stop(); }

  absl::Status Init();
  absl::Status Start() override;
  void Stop() override;
  fwd::StateSink& sink() override { return *publisher_; }
  const fwd::DataplaneView& view() const override { return *view_; }
  fwd::WorkerMailbox& mailbox() override { return mailbox_; }
  ProbePaths& probe_paths() override { return *probe_paths_; }
  std::vector<ThreadProgress> Progress() const override;

 private:
  absl::Status InitPorts();
  absl::Status InitPools();
  absl::Status InitHostSides();
  absl::Status InitNeighbours();
  absl::Status InitWorkers();
  absl::StatusOr<std::unique_ptr<fwd::FlowTables>> MakeTables(uint32_t worker);
  void InitExceptionThread();
  void LogSummary() const;
  void ControlLoop();
  // Logs when a thread, by its index in stalls_, stops making progress and when it goes on.
  void CheckProgress(size_t thread, const std::string& name, uint64_t beats);

  // The worker that sends what the host's kernel sends by a port.
  uint32_t SenderFor(size_t port) const { return static_cast<uint32_t>(port) % options_.workers; }

  const DataplaneOptions options_;
  CpuPlan cpus_;
  MemoryPlan memory_;
  // In the order of their creation; destruction takes the reverse.
  std::unique_ptr<Eal> eal_;
  std::map<int, MbufPool> pools_;  // by NUMA node
  MbufPool host_pool_;
  std::unique_ptr<TableMemory> table_memory_;
  stage::NodeTraits node_;
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<HostSide>> hosts_;  // by port; null: none
  Event punted_;
  std::unique_ptr<ProbePaths> probe_paths_;
  std::unique_ptr<Neighbours> neighbours_;
  std::unique_ptr<StatePublisher> publisher_;
  std::vector<std::unique_ptr<RssSteering>> steering_;  // by worker; empty: none
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<ExceptionThread> exception_;
  StallMonitor stalls_;  // of the workers by id, then the exception thread
  std::unique_ptr<View> view_;
  Mailbox mailbox_{workers_};

  std::atomic<bool> stop_control_ = false;
  Counter control_turns_;
  std::thread control_;
  bool started_ = false;
  bool stopped_ = false;
};

absl::Status DataplaneImpl::Init() {
  if (absl::Status status = CheckOptions(options_); !status.ok()) return status;
  absl::StatusOr<std::vector<uint32_t>> allowed = AllowedCpus();
  if (!allowed.ok()) return allowed.status();
  absl::StatusOr<CpuPlan> cpus = PlanCpus(*allowed, options_.worker_cpus, options_.workers);
  if (!cpus.ok()) return cpus.status();
  cpus_ = *std::move(cpus);
  memory_ = PlanMemory(options_);
  absl::StatusOr<std::unique_ptr<Eal>> eal = Eal::Init(options_, cpus_, memory_);
  if (!eal.ok()) return eal.status();
  eal_ = *std::move(eal);
  table_memory_ = std::make_unique<TableMemory>(eal_->hugepages());

  for (const auto init : {&DataplaneImpl::InitPorts, &DataplaneImpl::InitPools, &DataplaneImpl::InitHostSides,
                          &DataplaneImpl::InitNeighbours, &DataplaneImpl::InitWorkers}) {
    if (absl::Status status = (this->*init)(); !status.ok()) return status;
  }
  InitExceptionThread();
  view_ = std::make_unique<View>(workers_, ports_, exception_.get(), *publisher_, stalls_);
  LogSummary();
  return absl::OkStatus();
}

absl::Status DataplaneImpl::InitPorts() {
  // The drivers may free whole bursts at once only if all packets come from the same pool: not those of the kernel.
  const bool single_pool = memory_.host_mbufs == 0 && rte_socket_count() == 1;
  const bool rx_interrupts = options_.idle == IdleMode::kAdaptive;
  for (size_t i = 0; i < options_.ports.size(); ++i) {
    absl::StatusOr<std::unique_ptr<Port>> port =
        Port::Probe(PortId(static_cast<uint8_t>(i)), options_.ports[i], options_.workers, rx_interrupts, single_pool);
    if (!port.ok()) return port.status();
    ports_.push_back(*std::move(port));
  }
  return absl::OkStatus();
}

absl::Status DataplaneImpl::InitPools() {
  const auto make = [this](const std::string& name, uint32_t mbufs, uint32_t room_bytes, int socket) {
    return CreateMbufPool({.name = name,
                           .mbufs = mbufs,
                           .room_bytes = room_bytes,
                           .socket = socket,
                           .across_pages = !eal_->hugepages(),
                           .overcommitted = cpus_.shared});
  };
  for (const auto& port : ports_) {
    for (const int socket : port->sockets()) {
      if (pools_.count(socket) != 0) continue;
      absl::StatusOr<MbufPool> pool =
          make(absl::StrCat("packets", socket), memory_.mbufs, memory_.mbuf_room_bytes, socket);
      if (!pool.ok()) return pool.status();
      pools_.emplace(socket, *std::move(pool));
    }
  }
  if (memory_.host_mbufs != 0) {
    absl::StatusOr<MbufPool> pool =
        make("from_host", memory_.host_mbufs, memory_.host_room_bytes, static_cast<int>(rte_socket_id()));
    if (!pool.ok()) return pool.status();
    host_pool_ = *std::move(pool);
  }
  for (const auto& port : ports_) {
    if (absl::Status status = port->Start(pools_); !status.ok()) return status;
    node_.ports[port->id().index()] = port->Traits();
  }
  for (const uint16_t port : options_.management_ports) node_.management_ports.set(port);
  node_.tunnel_source_v4 = stage::ToTunnelSource(options_.tunnel_source_v4);
  node_.tunnel_source_v6 = stage::ToTunnelSource(options_.tunnel_source_v6);
  stage::CollectOwnSources(node_);
  node_.answers_per_s = options_.answers_per_s;
  node_.copies_per_s = options_.copies_per_s;
  return absl::OkStatus();
}

absl::Status DataplaneImpl::InitHostSides() {
  absl::StatusOr<NlSocket> socket = ConnectNetlink();
  if (!socket.ok()) return socket.status();
  const std::vector<std::vector<net::IpAddress>> local_addresses = LocalAddressesOfPorts(options_);
  for (const auto& port : ports_) {
    hosts_.push_back(nullptr);
    const PortOptions& options = port->options();
    if (options.exception_interface.empty()) continue;
    auto host = std::make_unique<HostSide>();
    absl::StatusOr<std::unique_ptr<Tap>> tap = Tap::Create(options.name, options.exception_interface);
    if (!tap.ok()) return tap.status();
    host->tap = *std::move(tap);
    host->from_host = MakeRing("from_host", kHostRingSize, RING_F_SP_ENQ | RING_F_SC_DEQ);
    absl::Status status = ConfigureHostInterface(socket->get(), options, local_addresses[port->id().index()],
                                                 host->tap->index(), port->mac());
    if (!status.ok()) return status;
    hosts_.back() = std::move(host);
  }
  return absl::OkStatus();
}

absl::Status DataplaneImpl::InitNeighbours() {
  std::vector<HostPort> host_ports;
  std::vector<ProbePort> probe_ports;
  for (const auto& port : ports_) {
    const HostSide* host = hosts_[port->id().index()].get();
    host_ports.push_back({.id = port->id(),
                          .mac = port->mac(),
                          .interface_index = host == nullptr ? 0 : static_cast<int>(host->tap->index()),
                          .addresses = port->options().addresses,
                          .gateway_mac = port->options().gateway_mac});
    probe_ports.push_back(
        ToProbePort(port->options().name, port->Traits(), host == nullptr ? nullptr : host->tap.get()));
  }
  probe_paths_ = std::make_unique<ProbePaths>(options_, std::move(probe_ports));
  absl::StatusOr<std::unique_ptr<Neighbours>> neighbours = Neighbours::Create(std::move(host_ports));
  if (!neighbours.ok()) return neighbours.status();
  neighbours_ = *std::move(neighbours);
  // So that the first state has the routes that are there.
  neighbours_->Poll(0);
  publisher_ = std::make_unique<StatePublisher>(options_.workers, neighbours_.get());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<fwd::FlowTables>> DataplaneImpl::MakeTables(uint32_t worker) {
  const auto socket = static_cast<int>(rte_lcore_to_socket_id(LcoreOfWorker(worker)));
  // In the order in which FlowTables asks for them.
  constexpr std::array<const char*, 5> kKeys = {"connections_v4", "connections_v6", "connections_wide", "nat_sessions",
                                                "connections_stateful"};
  const std::array<size_t, 5> sizes = {lb::ConnectionTableV4::BytesFor(options_.connections_v4),
                                       lb::ConnectionTableV6::BytesFor(options_.connections_v6),
                                       lb::ConnectionTableWide::BytesFor(options_.connections_wide),
                                       lb::NatTable::BytesFor(options_.nat_sessions),
                                       lb::SlotTable::BytesFor(options_.connections_stateful)};
  std::array<void*, 5> memory{};
  for (size_t i = 0; i < sizes.size(); ++i) {
    memory[i] = table_memory_->Allocate(sizes[i], socket);
    if (memory[i] == nullptr) {
      return absl::ResourceExhaustedError(absl::StrCat("no memory for worker ", worker, "'s table of ", sizes[i] >> 20,
                                                       " MB: lower tables.", kKeys[i]));
    }
  }
  size_t next = 0;
  const fwd::TableCapacities capacities = {.v4 = options_.connections_v4,
                                           .v6 = options_.connections_v6,
                                           .wide = options_.connections_wide,
                                           .nat = options_.nat_sessions,
                                           .stateful = options_.connections_stateful};
  const absl::StatusOr<fwd::NatSetup> nat = MakeNatSetup(options_, WorkerId(static_cast<uint8_t>(worker)),
                                                         steering_.empty() ? nullptr : steering_[worker].get());
  if (!nat.ok()) return nat.status();
  return std::make_unique<fwd::FlowTables>(
      capacities, [&memory, &next](size_t /*bytes*/) { return memory.at(next++); }, *nat);
}

absl::Status DataplaneImpl::InitWorkers() {
  steering_ = MakeReplySteering(options_, ports_);
  bool rx_interrupts = true;
  for (const auto& port : ports_) rx_interrupts = rx_interrupts && port->rx_interrupts();
  for (uint32_t i = 0; i < options_.workers; ++i) {
    absl::StatusOr<std::unique_ptr<fwd::FlowTables>> tables = MakeTables(i);
    if (!tables.ok()) return tables.status();
    WorkerSetup setup{.id = WorkerId(static_cast<uint8_t>(i)),
                      .cpu = cpus_.worker_cpus[i],
                      .ports = {},
                      .node = &node_,
                      .publisher = publisher_.get(),
                      .punted = &punted_,
                      .idle = options_.idle,
                      .rx_interrupts = rx_interrupts,
                      .tables = *std::move(tables),
                      .max_vips = options_.max_vips,
                      .max_backends = options_.max_backends,
                      .fragments = {.packets = options_.fragment_packets,
                                    .held = options_.fragments_held,
                                    .timeout_s = options_.fragment_timeout_s},
                      .probes = &probe_paths_->ports};
    for (size_t p = 0; p < ports_.size(); ++p) {
      HostSide* host = hosts_[p].get();
      setup.ports.push_back({.id = ports_[p]->id(),
                             .queue = ports_[p]->QueueOf(i),
                             .punt = host == nullptr ? nullptr : &host->punt,
                             .from_host = host != nullptr && SenderFor(p) == i ? host->from_host.get() : nullptr});
    }
    workers_.push_back(std::make_unique<Worker>(std::move(setup)));
  }
  std::vector<Worker*> all;
  for (const auto& worker : workers_) all.push_back(worker.get());
  for (const auto& worker : workers_) worker->Connect(all);
  return absl::OkStatus();
}

void DataplaneImpl::InitExceptionThread() {
  std::vector<ExceptionPort> ports;
  for (size_t p = 0; p < hosts_.size(); ++p) {
    if (hosts_[p] == nullptr) continue;
    Worker* sender = workers_[SenderFor(p)].get();
    ports.push_back({.id = ports_[p]->id(),
                     .tap = hosts_[p]->tap.get(),
                     .punt = &hosts_[p]->punt,
                     .from_host = hosts_[p]->from_host.get(),
                     .wake = [sender] { sender->Wake(); }});
  }
  if (ports.empty()) return;
  const auto received = [this] {
    uint64_t packets = 0;
    for (const auto& worker : workers_) packets += worker->counters().received.Value();
    return packets;
  };
  exception_ = std::make_unique<ExceptionThread>(std::move(ports), host_pool_.get(), options_.punt_rate_limit_pps,
                                                 &punted_, received);
}

void DataplaneImpl::LogSummary() const {
  SLUICE_LOG(kInfo) << options_.workers << " worker(s) on CPU " << CpuListText(cpus_.worker_cpus)
                    << ", other threads on CPU " << CpuListText(cpus_.control_cpus) << ", idle "
                    << (options_.idle == IdleMode::kPoll ? "poll" : "adaptive") << ", " << memory_.mbufs
                    << " packet buffers, " << (eal_->hugepages() ? "huge pages" : "no huge pages");
  if (cpus_.shared) {
    SLUICE_LOG(kWarning) << "control threads share the workers' CPUs, because the process has no others; packets wait "
                            "while they run";
  }
  for (const auto& port : ports_) {
    const fwd::PortStats stats = port->Stats();
    SLUICE_LOG(kInfo) << "port " << stats.name << ": MAC " << stats.mac.ToString() << ", MTU " << stats.mtu_bytes
                      << ", " << stats.rx_queues << " receive queue(s), exception interface "
                      << (stats.exception_interface.empty() ? "none" : stats.exception_interface);
  }
}

absl::Status DataplaneImpl::Start() {
  if (started_) return absl::FailedPreconditionError("the data plane was started already");
  if (publisher_->Current() == nullptr) {
    return absl::FailedPreconditionError("the data plane cannot start before a forwarding state was published");
  }
  started_ = true;
  if (exception_ != nullptr) {
    if (absl::Status status = exception_->Start(); !status.ok()) return status;
  }
  const auto run = [](void* worker) {
    static_cast<Worker*>(worker)->Run();
    return 0;
  };
  for (uint32_t i = 0; i < options_.workers; ++i) {
    if (const int result = rte_eal_remote_launch(run, workers_[i].get(), LcoreOfWorker(i)); result != 0) {
      return absl::InternalError(absl::StrCat("starting worker ", i, " failed with ", result));
    }
  }
  control_ = std::thread([this] { ControlLoop(); });
  pthread_setname_np(control_.native_handle(), "sluice-control");
  return absl::OkStatus();
}

void DataplaneImpl::Stop() {
  if (!started_ || stopped_) return;
  stopped_ = true;
  stop_control_.store(true, std::memory_order_release);
  if (control_.joinable()) control_.join();
  for (const auto& worker : workers_) worker->Stop();
  for (uint32_t i = 0; i < options_.workers; ++i) rte_eal_wait_lcore(LcoreOfWorker(i));
  for (const auto& worker : workers_) worker->DropHeld();
  // Only now, when nothing is put into its rings any more.
  if (exception_ != nullptr) exception_->Stop();
  for (const auto& port : ports_) port->Stop();
}

std::vector<ThreadProgress> DataplaneImpl::Progress() const {
  std::vector<ThreadProgress> progress;
  for (size_t i = 0; i < workers_.size(); ++i) {
    progress.push_back(
        {absl::StrCat("worker ", i, " on CPU ", workers_[i]->cpu()), workers_[i]->counters().polls.Value()});
  }
  if (exception_ != nullptr) progress.push_back({"the exception port's thread", exception_->counters().polls.Value()});
  progress.push_back({"the control thread", control_turns_.Value()});
  return progress;
}

void DataplaneImpl::ControlLoop() {
  LogRateLimit refresh_log(10'000);
  bool refresh = true;
  while (!stop_control_.load(std::memory_order_acquire)) {
    control_turns_.Increment();
    for (const auto& worker : workers_) {
      worker->unresolved().TakeAll(
          [this](const fwd::UnresolvedClients::Client& client) { neighbours_->Want(client.port, client.address); });
    }
    refresh |= neighbours_->Poll(kControlIntervalMs);
    if (refresh) {
      // When it fails, older states are waiting to be freed: it is tried again.
      const absl::StatusOr<bool> refreshed = publisher_->Refresh();
      refresh = !refreshed.ok();
      uint64_t suppressed = 0;
      if (refresh && refresh_log.Allow(&suppressed)) {
        SLUICE_LOG(kWarning) << "changed next hops wait: " << std::string(refreshed.status().message());
      }
    }
    publisher_->Reclaim();
    for (size_t i = 0; i < workers_.size(); ++i) {
      const std::string name = absl::StrCat("worker ", i, " on CPU ", workers_[i]->cpu());
      CheckProgress(i, name, workers_[i]->counters().polls.Value());
    }
    if (exception_ != nullptr) {
      CheckProgress(workers_.size(), "the thread of the exception ports", exception_->counters().polls.Value());
    }
  }
}

void DataplaneImpl::CheckProgress(size_t thread, const std::string& name, uint64_t beats) {
  const StallMonitor::Change change = stalls_.Check(thread, beats, NowMs());
  if (change == StallMonitor::Change::kStalled) {
    SLUICE_LOG(kError) << name << " has made no progress for over " << StallMonitor::kAlarmMs
                       << " ms; is its CPU taken by another process?";
  } else if (change == StallMonitor::Change::kRecovered) {
    SLUICE_LOG(kInfo) << name << " makes progress again";
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Dataplane>> Dataplane::Create(const DataplaneOptions& options) {
  static std::atomic<bool> created = false;
  if (created.exchange(true)) {
    return absl::FailedPreconditionError("a process can have one data plane, and it had one already");
  }
  auto dataplane = std::make_unique<DataplaneImpl>(options);
  if (absl::Status status = dataplane->Init(); !status.ok()) return status;
  return dataplane;
}

}  // namespace sluice::runtime
