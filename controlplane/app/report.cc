#include "controlplane/app/report.h"

#include <sstream>

#include "config/validate.h"
#include "controlplane/model/describe.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/base/log.h"

namespace sluice::app {
namespace {

template <typename Container>
std::string Join(const Container& items) {
  std::ostringstream out;
  for (const auto& item : items) out << (out.tellp() > 0 ? ", " : "") << item;
  return out.str();
}

}  // namespace

void ReportDataplane(const fwd::DataplaneView& view) {
  for (const fwd::PortStats& port : view.Ports()) {
    SLUICE_LOG(kInfo) << "port " << port.name << ": devices " << Join(port.devices) << ", link "
                      << (port.link_up ? "up" : "down");
  }
  const std::vector<fwd::WorkerStats> workers = view.Workers();
  if (workers.empty()) return;
  SLUICE_LOG(kInfo) << "connection tables: each worker has room for " << workers[0].table_v4.capacity << " IPv4 and "
                    << workers[0].table_v6.capacity << " IPv6 connections, and for " << workers[0].table_wide.capacity
                    << " to VIPs that are prefixes";
}

void ReportState(const model::Snapshot& snapshot) {
  SLUICE_LOG(kInfo) << "state: generation " << snapshot.generation << " with " << snapshot.registry->vips->size()
                    << " VIPs, " << snapshot.registry->pools.size() << " pools, " << snapshot.registry->BackendCount()
                    << " backends";
}

void ReportTotals(const fwd::PacketTotals& totals) {
  SLUICE_LOG(kInfo) << "packets in: " << totals.received << " received, " << totals.from_host << " from the host, "
                    << totals.originated << " originated";
  SLUICE_LOG(kInfo) << "packets out: " << totals.forwarded << " forwarded, " << totals.answered << " answered, "
                    << totals.punted << " punted, " << totals.sent_for_host << " sent for the host, "
                    << totals.dropped_total() << " dropped, " << totals.held << " held";
  for (size_t i = 0; i < totals.dropped.size(); ++i) {
    if (totals.dropped[i] == 0) continue;
    const auto reason = static_cast<DropReason>(i);
    SLUICE_LOG(kInfo) << "packets dropped: " << totals.dropped[i] << " " << DropReasonLabel(reason) << " ("
                      << DropReasonHelp(reason) << ")";
  }
  if (totals.entered() == totals.left()) {
    SLUICE_LOG(kInfo) << "packet sum: in = out = " << totals.entered();
  } else {
    SLUICE_LOG(kError) << "packet sum: in " << totals.entered() << " differs from out " << totals.left()
                       << "; packets were lost without being counted, please report this";
  }
}

void LogProblems(std::string_view what, const absl::Status& status) {
  std::istringstream lines{std::string(status.message())};
  for (std::string line; std::getline(lines, line);) {
    SLUICE_LOG(kError) << what << ": " << line;
  }
}

std::string Summary(const config::Config& config) {
  std::ostringstream out;
  out << "node " << config.node.name << ": " << config.node.workers.count << " workers, " << config.node.ports.size()
      << " ports\n";
  for (const config::PortConfig& port : config.node.ports) {
    out << "  port " << port.name << ": " << Join(port.devices) << ", MTU " << port.mtu_bytes << "\n";
  }
  out << "services: " << config.services.vips.size() << " VIPs, " << config.services.pools.size() << " pools\n";
  for (const config::VipConfig& vip : config.services.vips) {
    out << "  vip " << vip.name << ": " << model::ServiceAddress(vip) << " to pool " << vip.pool << ", mode "
        << model::ModeName(vip.mode) << "\n";
  }
  for (const config::PoolConfig& pool : config.services.pools) {
    out << "  pool " << pool.name << ": " << pool.backends.size() << " backends, " << pool.table_size << " slots\n";
  }
  for (const config::Problem& advice : config::AdviseServices(config.services)) {
    out << "advice: " << advice.field << ": " << advice.message << "\n";
  }
  return out.str();
}

}  // namespace sluice::app
