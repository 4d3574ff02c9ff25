#include "tools/sluicectl/print.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "config/text.h"
#include "dataplane/base/check.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

namespace sluice::ctl {
namespace {

using config::Cat;

std::string PortsText(const v1::Vip& vip) {
  switch (vip.service_case()) {
    case v1::Vip::kPort:
      return std::to_string(vip.port());
    case v1::Vip::kPorts:
      return Cat(vip.ports().first(), "-", vip.ports().last());
    case v1::Vip::kAllPorts:
      return "all";
    case v1::Vip::SERVICE_NOT_SET:
      break;
  }
  return "?";  // of a newer server
}

std::string_view ProxyText(v1::ProxyProtocol proxy) { return proxy == v1::PROXY_PROTOCOL_V2 ? "v2" : "none"; }

std::string SpeedText(uint32_t mbps) {
  if (mbps == 0) return "";
  return mbps % 1000 == 0 ? Cat(mbps / 1000, "Gb/s") : Cat(mbps, "Mb/s");
}

std::string TableText(const v1::TableStatus& table) {
  return Cat(HumanCount(table.entries()), "/", HumanCount(table.capacity()));
}

// What of a VIP is wide's: options that most leave as they are.
void AddWideColumns(std::vector<Column>& columns) {
  for (const char* name : {"GUE PORT", "PROXY", "CLAMP MSS", "ECHO"}) columns.push_back({.title = name});
}

void AddWideCells(const v1::Vip& vip, std::vector<std::string>& cells) {
  cells.push_back(vip.has_gue_port() ? std::to_string(vip.gue_port()) : "-");
  cells.emplace_back(ProxyText(vip.proxy_protocol()));
  // Those of an older server are true.
  cells.emplace_back(!vip.has_clamp_mss() || vip.clamp_mss() ? "yes" : "no");
  cells.emplace_back(!vip.has_answer_echo() || vip.answer_echo() ? "answered" : "dropped");
}

uint64_t Entered(const v1::PacketTotals& packets) {
  return packets.received() + packets.from_host() + packets.originated();
}

uint64_t Left(const v1::PacketTotals& packets) {
  return packets.forwarded() + packets.answered() + packets.punted() + packets.sent_for_host() + packets.dropped() +
         packets.held();
}

std::string LifecycleText(v1::BackendLifecycle lifecycle) {
  switch (lifecycle) {
    case v1::BACKEND_LIFECYCLE_ACTIVE:
      return "active";
    case v1::BACKEND_LIFECYCLE_DRAINING:
      return "draining";
    default:
      return "unknown";  // of a newer server
  }
}

// In one word whether this director works, or what is in its way. Backends and links have tables of their own.
std::string HealthOf(const v1::GetStatusResponse& status) {
  std::string wrong;
  const auto add = [&wrong](std::string_view what) { wrong += Cat(wrong.empty() ? "UNHEALTHY: " : ", ", what); };
  if (status.workers_stalled() != 0) add("workers make no progress");
  if (status.exception_thread_stalled()) add("the host cannot be reached by the ports");
  if (status.backends() != 0 && status.backends_down() == status.backends()) add("every backend is down");
  if (wrong.empty() && !status.withdrawn().empty()) return Cat("NOT SERVING: ", status.withdrawn());
  return wrong.empty() ? "healthy" : wrong;
}

}  // namespace

std::string EndText(std::string_view address, std::string_view ports) {
  const bool is_v6 = address.find(':') != std::string_view::npos;
  return Cat(is_v6 ? "[" : "", address, is_v6 ? "]:" : ":", ports);
}

std::string ServiceText(const v1::Vip& vip) {
  const std::string_view protocol = vip.protocol() == v1::PROTOCOL_UDP ? "udp" : "tcp";
  return Cat(EndText(vip.address(), PortsText(vip)), "/", protocol);
}

std::string_view HashText(v1::HashInput hash) {
  switch (hash) {
    case v1::HASH_INPUT_UNSPECIFIED:  // of an older server, which knows only this
    case v1::HASH_INPUT_TUPLE:
      return "tuple";
    case v1::HASH_INPUT_CLIENT_PORT:
      return "client-port";
    case v1::HASH_INPUT_CLIENT:
      return "client";
    default:
      return "unknown";
  }
}

std::string TrackingText(const v1::Vip& vip) {
  const std::string tracking = vip.connection_tracking() == v1::CONNECTION_TRACKING_OFF      ? "off"
                               : vip.connection_tracking() == v1::CONNECTION_TRACKING_UNSAFE ? "unsafe"
                                                                                             : "full";
  if (vip.consistency() == v1::CONSISTENCY_STATEFUL) return Cat("stateful, ", tracking);
  return vip.consistency() == v1::CONSISTENCY_COOKIE ? Cat("cookie, ", tracking) : tracking;
}

std::string_view ModeText(v1::ForwardingMode mode) {
  switch (mode) {
    case v1::FORWARDING_MODE_L2:
      return "l2";
    case v1::FORWARDING_MODE_IPIP:
      return "ipip";
    case v1::FORWARDING_MODE_GUE:
      return "gue";
    case v1::FORWARDING_MODE_GUE_DIRECT:
      return "gue-direct";
    case v1::FORWARDING_MODE_GRE:
      return "gre";
    case v1::FORWARDING_MODE_NAT:
      return "nat";
    case v1::FORWARDING_MODE_FULL_NAT:
      return "full-nat";
    default:
      return "unknown";  // of a newer server
  }
}

std::string BackendText(const v1::Backend& backend) {
  if (!backend.has_port()) return backend.address();
  return EndText(backend.address(), std::to_string(backend.port()));
}

std::string StateText(const v1::BackendStatus& backend) {
  const std::string lifecycle = LifecycleText(backend.lifecycle());
  switch (backend.health()) {
    case v1::BACKEND_HEALTH_UP:
      return Cat(lifecycle, " up");
    case v1::BACKEND_HEALTH_DOWN:
      return Cat(lifecycle, " down");
    default:
      return lifecycle;  // nobody checks it
  }
}

std::string WeightText(const v1::BackendStatus& backend) {
  std::string text = std::to_string(backend.backend().weight());
  const uint32_t used = backend.slow_start_percent() * backend.load_percent();
  // An older sluiced says neither.
  if (used != 0 && used != 100 * 100) text += Cat(" (", std::max(1U, used / 100), "%)");
  return text;
}

std::string NextHopText(const v1::NextHopStatus& next_hop) {
  if (next_hop.port().empty()) return "no route";
  if (!next_hop.resolved()) return Cat("unresolved on ", next_hop.port());
  return Cat(next_hop.mac(), next_hop.on_link() ? " on " : " (gateway) on ", next_hop.port());
}

std::string VipNames(const v1::PoolStatus& pool) {
  std::string names;
  for (const std::string& vip : pool.vips()) names += Cat(names.empty() ? "" : ",", vip);
  return names.empty() ? "-" : names;
}

void PrintJson(const google::protobuf::Message& message, std::ostream& out) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string json;
  SLUICE_CHECK(google::protobuf::util::MessageToJsonString(message, &json, options).ok());
  out << json;
}

void PrintStatus(const v1::GetStatusResponse& status, std::ostream& out) {
  const auto line = [&](std::string_view name, const std::string& value) {
    out << name << std::string(14 - name.size(), ' ') << value << "\n";
  };
  line("node", status.node());
  line("version", status.version());
  line("running", Cat(HumanDuration(status.uptime_s()), " (pid ", status.pid(), ")"));
  line("health", HealthOf(status));
  std::string state = Cat("generation ", status.state_generation(), " of ", UtcTime(status.last_change_unix_ms()));
  state += status.state_generation_in_use() >= status.state_generation()
               ? ", used by all workers"
               : Cat(", workers still use ", status.state_generation_in_use());
  line("state", state);
  line("workers", status.workers_stalled() == 0
                      ? std::to_string(status.workers())
                      : Cat(status.workers(), ", ", status.workers_stalled(), " STALLED (make no progress)"));
  if (status.exception_thread_stalled()) line("host thread", "STALLED (the host cannot be reached)");
  line("VIPs", std::to_string(status.vips()));
  line("pools", std::to_string(status.pools()));
  line("backends",
       Cat(status.backends(), status.backends_draining() == 0 ? "" : Cat(", ", status.backends_draining(), " draining"),
           status.backends_down() == 0 ? "" : Cat(", ", status.backends_down(), " DOWN")));
  line("flows alive", HumanCount(status.flows_alive()));
  if (!status.cookie_ids_digest().empty()) {
    line("cookies", Cat("ids ", status.cookie_ids_digest(), ", keys ", status.cookie_keys_digest()));
  }
  const v1::PacketTotals& packets = status.packets();
  line("packets", Cat(HumanCount(packets.received()), " received, ", HumanCount(packets.forwarded()), " forwarded, ",
                      HumanCount(packets.punted()), " to the host, ", HumanCount(packets.dropped()), " dropped"));
}

void PrintVips(const v1::ListVipsResponse& vips, bool wide, std::ostream& out) {
  std::vector<Column> columns = {{"NAME"},
                                 {"SERVICE"},
                                 {"MODE"},
                                 {"HASH"},
                                 {"TRACKING"},
                                 {"POOL"},
                                 {"ACTIVE", Align::kRight},
                                 {"PACKETS", Align::kRight},
                                 {"BYTES", Align::kRight},
                                 {"NEW FLOWS", Align::kRight},
                                 {"DROPPED", Align::kRight}};
  if (wide) AddWideColumns(columns);
  Table table(columns);
  for (const v1::VipStatus& vip : vips.vips()) {
    std::vector<std::string> cells = {vip.vip().name(),
                                      ServiceText(vip.vip()),
                                      std::string(ModeText(vip.vip().mode())),
                                      std::string(HashText(vip.vip().hash())),
                                      TrackingText(vip.vip()),
                                      vip.vip().pool(),
                                      Cat(vip.backends_active(), "/", vip.backends_total()),
                                      HumanCount(vip.packets()),
                                      HumanBytes(vip.bytes()),
                                      HumanCount(vip.new_flows()),
                                      HumanCount(vip.dropped())};
    if (wide) AddWideCells(vip.vip(), cells);
    table.AddRow(cells);
  }
  table.Print(out);
}

void PrintPools(const v1::ListPoolsResponse& pools, std::ostream& out) {
  Table table({{"NAME"}, {"ACTIVE", Align::kRight}, {"SLOTS", Align::kRight}, {"FLOWS", Align::kRight}, {"VIPS"}});
  for (const v1::PoolStatus& pool : pools.pools()) {
    table.AddRow({pool.pool().name(), Cat(pool.backends_active(), "/", pool.pool().backends_size()),
                  std::to_string(pool.pool().table_size()), HumanCount(pool.flows_alive()), VipNames(pool)});
  }
  table.Print(out);
}

void PrintBackends(const v1::ListBackendsResponse& backends, bool wide, std::ostream& out) {
  std::vector<Column> columns = {{"POOL"},
                                 {"NAME"},
                                 {"ADDRESS"},
                                 {"STATE"},
                                 {"WEIGHT", Align::kRight},
                                 {"SLOTS", Align::kRight},
                                 {"FLOWS", Align::kRight},
                                 {"STARTED", Align::kRight},
                                 {"PACKETS", Align::kRight},
                                 {"BYTES", Align::kRight},
                                 {"NEXT HOP"}};
  if (wide) columns.insert(columns.end(), {{"LATENCY", Align::kRight}, {"CHECK"}});
  Table table(columns);
  for (const v1::BackendStatus& backend : backends.backends()) {
    std::vector<std::string> row({backend.pool(), backend.backend().name(), BackendText(backend.backend()),
                                  StateText(backend), WeightText(backend), HumanShare(backend.slot_share()),
                                  HumanCount(backend.flows_alive()), HumanCount(backend.flows_started()),
                                  HumanCount(backend.packets()), HumanBytes(backend.bytes()),
                                  NextHopText(backend.next_hop())});
    if (wide) {
      row.push_back(backend.has_check() ? HumanMicroseconds(backend.check().latency_us()) : "");
      row.push_back(backend.has_check() ? backend.check().reason() : backend.health_reason());
    }
    table.AddRow(row);
  }
  table.Print(out);
}

void PrintPorts(const v1::ListPortsResponse& ports, std::ostream& out) {
  Table table({{"NAME"},
               {"LINK"},
               {"SPEED", Align::kRight},
               {"MTU", Align::kRight},
               {"QUEUES", Align::kRight},
               {"RX", Align::kRight},
               {"RX BYTES", Align::kRight},
               {"TX", Align::kRight},
               {"TX BYTES", Align::kRight},
               {"MISSED", Align::kRight},
               {"ERRORS", Align::kRight},
               {"NO BUFFER", Align::kRight},
               {"EXCEPTION"},
               {"MAC"},
               {"DEVICES"}});
  for (const v1::PortStatus& port : ports.ports()) {
    std::string devices;
    for (const std::string& device : port.devices()) devices += (devices.empty() ? "" : " ") + device;
    table.AddRow({port.name(), port.link_up() ? "up" : "down", SpeedText(port.link_speed_mbps()),
                  std::to_string(port.mtu_bytes()), std::to_string(port.rx_queues()), HumanCount(port.rx_packets()),
                  HumanBytes(port.rx_bytes()), HumanCount(port.tx_packets()), HumanBytes(port.tx_bytes()),
                  HumanCount(port.rx_missed()), HumanCount(port.rx_errors()), HumanCount(port.rx_no_buffer()),
                  port.exception_interface(), port.mac(), devices});
  }
  table.Print(out);
}

void PrintWorkers(const v1::ListWorkersResponse& workers, std::ostream& out) {
  Table table({{"ID", Align::kRight},
               {"CPU", Align::kRight},
               {"STATE"},
               {"BUSY", Align::kRight},
               {"ASLEEP", Align::kRight},
               {"RECEIVED", Align::kRight},
               {"FORWARDED", Align::kRight},
               {"DROPPED", Align::kRight},
               {"HANDED OVER", Align::kRight},
               {"TAKEN OVER", Align::kRight},
               {"BY TABLE", Align::kRight},
               {"BY HASH", Align::kRight},
               {"IPV4 FLOWS", Align::kRight},
               {"IPV6 FLOWS", Align::kRight},
               {"WIDE FLOWS", Align::kRight},
               {"NAT SESSIONS", Align::kRight},
               {"STATEFUL FLOWS", Align::kRight},
               {"UNCONFIRMED FULL", Align::kRight},
               {"ANSWERS", Align::kRight},
               {"GENERATION", Align::kRight}});
  for (const v1::WorkerStatus& worker : workers.workers()) {
    const auto rung = [&](const char* name) {
      const auto it = worker.rungs().find(name);
      return it == worker.rungs().end() ? uint64_t{0} : it->second;
    };
    uint64_t answers = 0;
    for (const auto& [kind, count] : worker.answers()) answers += count;
    table.AddRow({std::to_string(worker.id()),
                  std::to_string(worker.cpu()),
                  worker.stalled() ? "STALLED" : "running",
                  HumanShare(worker.busy_share()),
                  HumanShare(worker.asleep_share()),
                  HumanCount(worker.received()),
                  HumanCount(worker.forwarded()),
                  HumanCount(worker.dropped()),
                  HumanCount(worker.handed_over()),
                  HumanCount(worker.taken_over()),
                  HumanCount(rung("connection_table")),
                  HumanCount(rung("scheduler") + rung("scheduler_no_entry") + rung("hash_only")),
                  TableText(worker.table_v4()),
                  TableText(worker.table_v6()),
                  TableText(worker.table_wide()),
                  TableText(worker.table_nat()),
                  TableText(worker.table_stateful()),
                  HumanCount(worker.table_v4().unconfirmed_full() + worker.table_v6().unconfirmed_full() +
                             worker.table_wide().unconfirmed_full() + worker.table_nat().unconfirmed_full() +
                             worker.table_stateful().unconfirmed_full()),
                  HumanCount(answers),
                  std::to_string(worker.state_generation())});
  }
  table.Print(out);
}

void PrintStats(const v1::PacketTotals& packets, std::ostream& out) {
  Table table({{"PACKETS"}, {"COUNT", Align::kRight}});
  table.AddRow({"received", std::to_string(packets.received())});
  table.AddRow({"from the host", std::to_string(packets.from_host())});
  table.AddRow({"originated", std::to_string(packets.originated())});
  table.AddRow({"= in", std::to_string(Entered(packets))});
  table.AddRow({"forwarded", std::to_string(packets.forwarded())});
  table.AddRow({"answered", std::to_string(packets.answered())});
  table.AddRow({"punted to the host", std::to_string(packets.punted())});
  table.AddRow({"sent for the host", std::to_string(packets.sent_for_host())});
  table.AddRow({"dropped", std::to_string(packets.dropped())});
  table.AddRow({"held", std::to_string(packets.held())});
  table.AddRow({"= out", std::to_string(Left(packets))});
  table.Print(out);
  std::vector<std::pair<std::string, uint64_t>> drops(packets.dropped_by_reason().begin(),
                                                      packets.dropped_by_reason().end());
  if (drops.empty()) return;
  // The most frequent first; names decide between equals, for the map has no order.
  std::sort(drops.begin(), drops.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  out << "\n";
  Table reasons({{"DROPPED BECAUSE"}, {"COUNT", Align::kRight}});
  for (const auto& [reason, count] : drops) reasons.AddRow({reason, std::to_string(count)});
  reasons.Print(out);
}

}  // namespace sluice::ctl
