#include "controlplane/app/probe_ways.h"

#include <string>

#include "controlplane/model/text.h"

namespace sluice::app {

ProbeWays::ProbeWays(const config::PortRange& source_ports, runtime::ProbePaths& paths, const fwd::DataplaneView& view)
    : paths_(paths), view_(view) {
  for (uint32_t port = source_ports.first; port <= source_ports.last; ++port) {
    free_.push_back(static_cast<uint16_t>(port));
  }
}

absl::StatusOr<probe::Way> ProbeWays::Open(const health::CheckTarget& target) {
  if (free_.empty()) {
    return absl::ResourceExhaustedError("all ports of node.health.source_ports are in use by checks: give it more");
  }
  probe::Way way;
  if (target.on_data_path()) {
    absl::StatusOr<std::string> device = paths_.routes.Add(target.address, PortOf(target.via.backend));
    if (!device.ok()) return device.status();
    way.device = *std::move(device);
  }
  way.source_port = free_.front();
  free_.pop_front();
  if (target.on_data_path()) {
    paths_.ports.Register(way.source_port, {target.via.backend, target.via.generation, target.vip});
  } else {
    paths_.ports.Clear(way.source_port);
  }
  return way;
}

void ProbeWays::Close(const probe::Way& way) { free_.push_back(way.source_port); }

size_t ProbeWays::PortOf(BackendId backend) const {
  const PortId known = view_.NextHopOf(backend).port;
  if (known.valid()) return known.index();
  const std::vector<runtime::ProbePort>& ports = paths_.routes.ports();
  for (size_t i = 0; i < ports.size(); ++i) {
    if (!ports[i].interface.empty()) return i;
  }
  return 0;
}

}  // namespace sluice::app
