#include "controlplane/app/sluiced.h"

#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/limits.h"
#include "config/load.h"
#include "config/validate.h"
#include "controlplane/app/affinity.h"
#include "controlplane/app/dataplane_options.h"
#include "controlplane/app/drain_keeper.h"
#include "controlplane/app/health_checks.h"
#include "controlplane/app/node_diff.h"
#include "controlplane/app/probe_ways.h"
#include "controlplane/app/report.h"
#include "controlplane/app/version.h"
#include "controlplane/app/weight_keeper.h"
#include "controlplane/metrics/collector.h"
#include "controlplane/metrics/exporter.h"
#include "controlplane/model/event_bus.h"
#include "controlplane/preflight/gather.h"
#include "controlplane/reconcile/health_feed.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/reconcile/timeouts.h"
#include "controlplane/reconcile/view_facts.h"
#include "controlplane/rpc/certificate.h"
#include "controlplane/rpc/listen_address.h"
#include "controlplane/rpc/server.h"
#include "controlplane/store/file_journal.h"
#include "controlplane/store/memory_journal.h"
#include "dataplane/base/log.h"
#include "dataplane/runtime/cpu_plan.h"
#include "dataplane/runtime/dataplane.h"

namespace sluice::app {
namespace {

// How long calls in progress may take once sluiced is asked to stop.
constexpr std::chrono::milliseconds kApiStopDeadline(2000);

constexpr model::Limits kLimits = {.vips = static_cast<uint32_t>(config::limits::kVips),
                                   .pools = 4096,
                                   .backends = static_cast<uint32_t>(config::limits::kBackends)};

// A desired state must be valid in itself and on this machine.
model::Validator ValidatorFor(const config::NodeConfig& node) {
  return [node](const model::DesiredState& desired) {
    std::vector<model::Complaint> complaints;
    const auto add = [&](std::vector<config::Problem> problems) {
      for (config::Problem& problem : problems) {
        complaints.push_back({std::move(problem.field), std::move(problem.message)});
      }
    };
    add(config::ValidateServices(desired));
    add(config::ValidateTogether(node, desired));
    return complaints;
  };
}

double UnixSeconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::optional<double> CertificateExpiryOrNothing(const std::string& path) {
  if (path.empty()) return std::nullopt;
  const absl::StatusOr<int64_t> expiry = rpc::CertificateExpiry(path);
  return expiry.ok() ? std::optional<double>(static_cast<double>(*expiry)) : std::nullopt;
}

// The alert SluiceCertificateExpires says it while sluiced runs.
void WarnOfCertificate(const std::string& path) {
  constexpr double kSoonS = 14.0 * 86400;
  const std::optional<double> expiry = CertificateExpiryOrNothing(path);
  if (!expiry || *expiry - UnixSeconds() > kSoonS) return;
  const auto left_s = static_cast<int64_t>(*expiry - UnixSeconds());
  if (left_s < 0) {
    SLUICE_LOG(kError) << "api: the certificate in " << path << " has expired: clients do not accept it; remedy: put a "
                       << "new one there, which is taken up without a restart";
  } else {
    SLUICE_LOG(kWarning) << "api: the certificate in " << path << " expires in " << left_s / 3600 << " hours";
  }
}

class SluicedProcess final : public Sluiced {
 public:
  explicit SluicedProcess(const config::Config& config) : node_(config.node) {}
  ~SluicedProcess() override { Stop(); }

  absl::Status Start(const config::ServiceConfig& services);
  void Reload(const std::string& config_file) override;
  std::vector<runtime::ThreadProgress> Progress() const override { return dataplane_->Progress(); }
  void Stop() override;

 private:
  absl::Status OpenJournal();
  absl::Status StartDataplane(const config::ServiceConfig& services);
  absl::Status StartServices(const config::ServiceConfig& services);
  absl::Status StartMetrics();
  absl::Status StartApi();
  void ReloadDone(bool successful);
  // What the health endpoints say; empty: all is well. Any thread.
  std::string WhyNotServing() const;

  const config::NodeConfig node_;
  const std::chrono::steady_clock::time_point started_at_ = std::chrono::steady_clock::now();
  const double started_unix_s_ = UnixSeconds();
  metrics::ReloadStatus reload_status_;
  model::CallStats calls_;
  bool stopped_ = false;
  std::atomic<bool> started_ = false;
  // In the order of their making: each uses those above it.
  model::EventBus events_;
  std::unique_ptr<model::Journal> journal_;
  store::FileJournal* store_ = nullptr;  // the same where it is one
  // Read when the journal was opened; nothing where there is no store, or nothing in it.
  std::optional<store::FileJournal::Found> stored_;
  std::unique_ptr<runtime::Dataplane> dataplane_;
  std::unique_ptr<reconcile::Reconciler> reconciler_;
  std::unique_ptr<reconcile::ViewFacts> facts_;
  std::unique_ptr<reconcile::HealthFeed> feed_;
  std::unique_ptr<ProbeWays> ways_;
  std::unique_ptr<HealthChecks> checks_;
  std::unique_ptr<DrainKeeper> drains_;
  std::unique_ptr<WeightKeeper> weights_;
  std::unique_ptr<metrics::Exporter> exporter_;
  std::unique_ptr<rpc::Server> server_;
};

absl::Status SluicedProcess::Start(const config::ServiceConfig& services) {
  // Before any device is touched: the most likely reason to fail is a sluiced that runs already.
  if (absl::Status status = rpc::PrepareToListen(node_.api.listen); !status.ok()) return status;
  if (absl::Status status = OpenJournal(); !status.ok()) return status;
  if (absl::Status status = StartDataplane(services); !status.ok()) return status;
  if (absl::Status status = StartMetrics(); !status.ok()) return status;
  if (absl::Status status = dataplane_->Start(); !status.ok()) return status;
  checks_->Start();
  weights_ = std::make_unique<WeightKeeper>(*reconciler_, *checks_);
  started_ = true;
  // Last, so that a client that reaches the API finds everything working.
  return StartApi();
}

absl::Status SluicedProcess::OpenJournal() {
  if (node_.management != config::Management::kApi) {
    journal_ = std::make_unique<store::MemoryJournal>();
    return absl::OkStatus();
  }
  auto journal = store::FileJournal::Open(node_.state_directory);
  if (!journal.ok()) return journal.status();
  for (const std::string& warning : (*journal)->warnings()) SLUICE_LOG(kError) << "state: " << warning;
  if (!(*journal)->found().ok()) return (*journal)->found().status();
  stored_ = *(*journal)->found();
  store_ = journal->get();
  journal_ = *std::move(journal);
  return absl::OkStatus();
}

absl::Status SluicedProcess::StartServices(const config::ServiceConfig& services) {
  absl::StatusOr<reconcile::Outcome> outcome;
  if (stored_) {
    SLUICE_LOG(kInfo) << "state: version " << stored_->version << " of " << node_.state_directory
                      << "; the services of the configuration file are not looked at";
    outcome = reconciler_->Start(stored_->state, stored_->version);
    stored_.reset();
  } else {
    outcome = reconciler_->Apply(services, {.author = {"start", "Start"}});
    if (outcome.ok() && node_.management == config::Management::kApi) {
      SLUICE_LOG(kInfo) << "state: " << node_.state_directory << " was empty; it begins with the services of the "
                        << "configuration file";
    }
  }
  return outcome.status();
}

absl::Status SluicedProcess::StartDataplane(const config::ServiceConfig& services) {
  const absl::StatusOr<std::vector<uint32_t>> allowed = runtime::AllowedCpus();
  if (!allowed.ok()) return allowed.status();
  auto dataplane = runtime::Dataplane::Create(ToDataplaneOptions(node_));
  if (!dataplane.ok()) return dataplane.status();
  dataplane_ = *std::move(dataplane);
  ReportDataplane(dataplane_->view());
  // EAL has moved this thread to a CPU of its own choice.
  std::vector<uint32_t> worker_cpus;
  for (const fwd::WorkerStats& worker : dataplane_->view().Workers()) worker_cpus.push_back(worker.cpu);
  if (absl::Status status = RunOn(ControlCpus(*allowed, worker_cpus)); !status.ok()) return status;

  facts_ = std::make_unique<reconcile::ViewFacts>(dataplane_->view());
  reconciler_ = std::make_unique<reconcile::Reconciler>(kLimits, ValidatorFor(node_), dataplane_->sink(),
                                                        dataplane_->view(), reconcile::ToNodePart(node_));
  reconciler_->Attach(journal_.get(), &events_, [] { return preflight::AvailableBytes(preflight::SystemFiles("")); });
  if (absl::Status status = StartServices(services); !status.ok()) return status;
  ReportState(reconciler_->Current());
  feed_ = std::make_unique<reconcile::HealthFeed>(*reconciler_);
  ways_ = std::make_unique<ProbeWays>(node_.health.source_ports, dataplane_->probe_paths(), dataplane_->view());
  // Directors of a cluster differ by their names, so they do not probe in step.
  checks_ = std::make_unique<HealthChecks>(std::hash<std::string>{}(node_.name), node_.health.command_directory,
                                           *reconciler_, *ways_, *feed_);
  if (absl::Status status = checks_->Open(); !status.ok()) return status;
  // The way of an operator's signal.
  drains_ = std::make_unique<DrainKeeper>(*reconciler_, *facts_, &events_, store_, [] { kill(getpid(), SIGTERM); });
  ReloadDone(true);
  return absl::OkStatus();
}

absl::Status SluicedProcess::StartMetrics() {
  if (!node_.metrics.enabled) {
    SLUICE_LOG(kInfo) << "metrics: off";
    return absl::OkStatus();
  }
  auto collector = std::make_shared<metrics::Collector>(
      metrics::Sources{dataplane_->view(), *facts_, *reconciler_, reload_status_, std::string(Version()),
                       started_unix_s_, &calls_, checks_.get(), &drains_->book(),
                       [path = node_.api.tcp.certificate] { return CertificateExpiryOrNothing(path); }});
  auto exporter =
      metrics::Exporter::Start(node_.metrics.listen, std::move(collector), [this] { return WhyNotServing(); });
  if (!exporter.ok()) return exporter.status();
  exporter_ = *std::move(exporter);
  SLUICE_LOG(kInfo) << "metrics: http://" << node_.metrics.listen << "/metrics, health at /healthz";
  return absl::OkStatus();
}

absl::Status SluicedProcess::StartApi() {
  const rpc::Instance instance{node_.name, std::string(Version()), started_at_, &calls_, &dataplane_->mailbox()};
  auto server = rpc::Server::Start(node_.api.listen, instance, *reconciler_, dataplane_->view(),
                                   {node_.api, node_.management, journal_.get(), &events_, checks_.get(),
                                    &drains_->book(), [this] { return WhyNotServing(); }});
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  SLUICE_LOG(kInfo) << "api: listening on " << server_->address();
  if (!server_->tcp_address().empty()) {
    SLUICE_LOG(kInfo) << "api: listening on " << server_->tcp_address()
                      << (node_.api.tcp.insecure ? " WITHOUT TLS: everybody who reaches it may change everything"
                                                 : " with TLS");
  }
  WarnOfCertificate(node_.api.tcp.certificate);
  return absl::OkStatus();
}

void SluicedProcess::Reload(const std::string& config_file) {
  SLUICE_LOG(kInfo) << "reload: reading " << config_file;
  const absl::StatusOr<config::Config> wanted = config::LoadFile(config_file);
  if (!wanted.ok()) {
    LogProblems("reload", wanted.status());
    SLUICE_LOG(kError) << "reload: nothing was changed; the running configuration stays";
    return ReloadDone(false);
  }
  for (const std::string& field : DifferingNodeFields(node_, wanted->node)) {
    SLUICE_LOG(kWarning) << "reload: " << field << " differs from what runs; it takes effect at the next restart";
  }
  if (node_.management == config::Management::kApi) {
    SLUICE_LOG(kInfo) << "reload: node.management is \"api\", so the services of the file are not looked at; give them "
                      << "to `sluicectl apply -f`";
    return ReloadDone(true);
  }
  const auto outcome = reconciler_->Apply(wanted->services, {.author = {"file", "Reload"}});
  if (!outcome.ok()) {
    LogProblems("reload", outcome.status());
    SLUICE_LOG(kError) << "reload: nothing was changed; the running configuration stays";
    return ReloadDone(false);
  }
  reconcile::LogOutcome("reload", *outcome);
  ReloadDone(true);
}

void SluicedProcess::ReloadDone(bool successful) {
  reload_status_.last_successful.store(successful);
  if (successful) reload_status_.last_success_unix_s.store(UnixSeconds());
}

std::string SluicedProcess::WhyNotServing() const {
  if (!started_) return "starting or stopping";
  if (!fwd::AllMakeProgress(dataplane_->view())) return "a worker or the thread to the host makes no progress";
  return drains_->book().WhyWithdrawn();
}

void SluicedProcess::Stop() {
  if (std::exchange(stopped_, true)) return;
  started_ = false;
  if (server_ != nullptr) server_->Stop(kApiStopDeadline);
  SLUICE_LOG(kDebug) << "api: stopped";
  exporter_.reset();
  drains_.reset();
  weights_.reset();
  SLUICE_LOG(kDebug) << "metrics: stopped";
  if (checks_ != nullptr) checks_->Stop();
  feed_.reset();
  SLUICE_LOG(kDebug) << "health checks: stopped";
  if (dataplane_ == nullptr) return;
  dataplane_->Stop();
  SLUICE_LOG(kDebug) << "data plane: stopped";
  ReportTotals(dataplane_->view().Totals());
}

}  // namespace

absl::StatusOr<std::unique_ptr<Sluiced>> Sluiced::Start(const config::Config& config) {
  auto process = std::make_unique<SluicedProcess>(config);
  if (absl::Status status = process->Start(config.services); !status.ok()) return status;
  return std::unique_ptr<Sluiced>(std::move(process));
}

}  // namespace sluice::app
