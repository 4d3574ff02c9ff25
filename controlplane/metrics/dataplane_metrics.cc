#include <array>
#include <string>
#include <string_view>

#include "controlplane/metrics/parts.h"

namespace sluice::metrics {
namespace {

using fwd::PortStats;
using fwd::TableStats;
using fwd::WorkerStats;

template <typename Stats>
struct CounterOf {
  std::string_view name;
  std::string_view help;
  uint64_t Stats::*value;
};

constexpr std::array<CounterOf<PortStats>, 7> kPortCounters = {{
    {"sluice_port_rx_packets_total", "Packets that workers received from the port.", &PortStats::rx_packets},
    {"sluice_port_rx_bytes_total", "Bytes that workers received from the port.", &PortStats::rx_bytes},
    {"sluice_port_tx_packets_total", "Packets that the port's devices took for sending.", &PortStats::tx_packets},
    {"sluice_port_tx_bytes_total", "Bytes that the port's devices took for sending.", &PortStats::tx_bytes},
    {"sluice_port_rx_missed_total", "Packets lost in the device because no worker fetched them in time.",
     &PortStats::rx_missed},
    {"sluice_port_rx_errors_total", "Packets that the device received with errors.", &PortStats::rx_errors},
    {"sluice_port_rx_no_buffer_total", "Packets lost because no packet buffer was free.", &PortStats::rx_no_buffer},
}};

constexpr std::array<CounterOf<WorkerStats>, 14> kWorkerCounters = {{
    {"sluice_worker_packets_received_total", "Packets that the worker received.", &WorkerStats::received},
    {"sluice_worker_packets_forwarded_total", "Packets that the worker sent to backends.", &WorkerStats::forwarded},
    {"sluice_worker_packets_dropped_total", "Packets that the worker dropped.", &WorkerStats::dropped},
    {"sluice_worker_rescheduled_packets_total", "Packets of known flows whose backend was gone: they got a new one.",
     &WorkerStats::rescheduled},
    {"sluice_worker_second_chances_total",
     "Packets that named a second backend, to which the first one sends what it has no socket for.",
     &WorkerStats::second_chances},
    {"sluice_worker_cookies_refused_total",
     "Timestamps to VIPs with cookies in which there was no cookie that names one of their backends.",
     &WorkerStats::cookies_refused},
    {"sluice_worker_related_packets_total", "ICMP errors that were sent after the flow they quote.",
     &WorkerStats::related},
    {"sluice_worker_handed_over_packets_total", "Packets that went to the worker that owns them.",
     &WorkerStats::handed_over},
    {"sluice_worker_taken_over_packets_total", "Packets that came from other workers.", &WorkerStats::taken_over},
    {"sluice_worker_polls_total", "Times that the worker asked its queues.", &WorkerStats::polls},
    {"sluice_worker_empty_polls_total", "Times that the queues had nothing.", &WorkerStats::empty_polls},
    {"sluice_worker_busy_cycles_total", "Cycles of the time stamp counter spent with packets.",
     &WorkerStats::busy_cycles},
    {"sluice_worker_idle_cycles_total", "Cycles of the time stamp counter spent without packets.",
     &WorkerStats::idle_cycles},
    {"sluice_worker_sleeps_total", "Times that the worker slept because nothing arrived.", &WorkerStats::sleeps},
}};

constexpr std::array<CounterOf<fwd::NatStats>, 4> kNatCounters = {{
    {"sluice_nat_stateless_replies_total", "Packets of backends that were rewritten without a session.",
     &fwd::NatStats::stateless_replies},
    {"sluice_nat_replies_total", "Packets of backends that were rewritten by their session.", &fwd::NatStats::replies},
    {"sluice_nat_proxy_headers_total", "PROXY protocol headers sent, those sent again included.",
     &fwd::NatStats::proxy_headers},
    {"sluice_nat_unsteered_sessions_total",
     "Sessions whose local port the network card does not bring to their worker: replies take a hop.",
     &fwd::NatStats::unsteered},
}};

constexpr std::array<CounterOf<fwd::CopyStats>, 4> kCopyCounters = {{
    {"sluice_worker_copied_packets_total",
     "Packets that may be any backend's of their VIP, and were copied for the others: resets, ICMP errors.",
     &fwd::CopyStats::packets},
    {"sluice_worker_copies_total", "Copies of such packets, for other backends than the hash's choice.",
     &fwd::CopyStats::copies},
    {"sluice_worker_copies_limited_packets_total",
     "Such packets that went to the hash's choice only, because of node.copies_per_s.", &fwd::CopyStats::limited},
    {"sluice_worker_copies_no_buffer_total", "Copies for which no packet buffer was free.", &fwd::CopyStats::no_buffer},
}};

constexpr std::array<CounterOf<TableStats>, 6> kTableCounters = {{
    {"sluice_connection_table_inserted_total", "Flows entered.", &TableStats::inserted},
    {"sluice_connection_table_expired_total", "Flows ended by a timeout.", &TableStats::expired},
    {"sluice_connection_table_replaced_total", "Flows entered anew: their backend was gone, or a new connection began.",
     &TableStats::replaced},
    {"sluice_connection_table_insert_full_total", "Flows without an entry because the table had no room.",
     &TableStats::insert_full},
    {"sluice_connection_table_unconfirmed_full_total",
     "Flows without an entry because of too many flows of which only one packet was seen.",
     &TableStats::unconfirmed_full},
    {"sluice_connection_table_sweeps_total", "Complete passes in search of ended flows.", &TableStats::sweeps},
}};

// By fwd::AnswerKind.
constexpr std::array<std::string_view, fwd::kAnswerKindCount> kAnswerLabels = {"echo_reply", "packet_too_big",
                                                                               "time_exceeded", "unreachable", "reset"};

// What `part_of(worker)` counts.
template <typename Counters, typename PartOf>
void CollectParts(const std::vector<WorkerStats>& workers, const Counters& counters, const PartOf& part_of,
                  Families& out) {
  for (const auto& counter : counters) {
    Family family = CounterFamily(counter.name, counter.help);
    for (const WorkerStats& worker : workers) {
      family.Add({{"worker", std::to_string(worker.id.value())}}, part_of(worker).*counter.value);
    }
    out.Add(std::move(family));
  }
}

// Where per-connection consistency was not assured, and where it was broken.
void CollectViolations(const std::vector<WorkerStats>& workers, Families& out) {
  Family packets = CounterFamily(
      "sluice_unprotected_packets_total",
      "Packets of running TCP connections that came without entry or cookie. Causes: unknown (began elsewhere, or was "
      "silent for too long), no_room (the connection table is full), no_cookie (timestamps without a cookie that names "
      "a "
      "backend, at a VIP with cookies), no_session (full NAT: dropped).");
  Family moved = CounterFamily(
      "sluice_connections_moved_total",
      "Connections that lost their backend (backend_change), or that only the hash could place, so that they moved if "
      "backends have changed since they began: director_change (began elsewhere), eviction (the table had no room).");
  for (const WorkerStats& worker : workers) {
    const std::string id = std::to_string(worker.id.value());
    const Label of{"worker", id};
    packets.Add({of, {"cause", "unknown"}}, worker.unprotected.unknown);
    packets.Add({of, {"cause", "no_room"}}, worker.unprotected.no_room);
    packets.Add({of, {"cause", "no_cookie"}}, worker.unprotected.no_cookie);
    packets.Add({of, {"cause", "no_session"}}, worker.unprotected.no_session);
    moved.Add({of, {"cause", "backend_change"}}, worker.rescheduled);
    moved.Add({of, {"cause", "director_change"}}, worker.unprotected.unknown);
    moved.Add({of, {"cause", "eviction"}}, worker.unprotected.no_room_flows);
  }
  out.Add(std::move(packets));
  out.Add(std::move(moved));
}

void CollectTables(const std::vector<WorkerStats>& workers, Families& out) {
  Family entries = GaugeFamily("sluice_connection_table_entries", "Flows in the connection table.");
  Family capacity = GaugeFamily("sluice_connection_table_capacity", "Flows that the connection table has room for.");
  std::vector<Family> counters;
  for (const auto& counter : kTableCounters) counters.push_back(CounterFamily(counter.name, counter.help));
  for (const WorkerStats& worker : workers) {
    const std::string id = std::to_string(worker.id.value());
    const auto add = [&](std::string_view name, const TableStats& table) {
      const Label of{"worker", id};
      const Label which{"table", name};
      entries.Add({of, which}, table.entries);
      capacity.Add({of, which}, table.capacity);
      for (size_t i = 0; i < counters.size(); ++i) counters[i].Add({of, which}, table.*kTableCounters[i].value);
    };
    add("ipv4", worker.table_v4);
    add("ipv6", worker.table_v6);
    add("wide", worker.table_wide);
    add("nat", worker.table_nat);
    add("stateful", worker.table_stateful);
  }
  out.Add(std::move(entries));
  out.Add(std::move(capacity));
  for (Family& family : counters) out.Add(std::move(family));
}

}  // namespace

void CollectPorts(const Sources& sources, Families& out) {
  const std::vector<PortStats> ports = sources.view.Ports();
  for (const auto& counter : kPortCounters) {
    Family family = CounterFamily(counter.name, counter.help);
    for (const PortStats& port : ports) family.Add({{"port", port.name}}, port.*counter.value);
    out.Add(std::move(family));
  }
  Family up = GaugeFamily("sluice_port_up", "Whether all devices of the port have a link.");
  Family speed = GaugeFamily("sluice_port_speed_bytes_per_second", "Speed of the link; 0: unknown.");
  Family mtu = GaugeFamily("sluice_port_mtu_bytes", "MTU of the port.");
  for (const PortStats& port : ports) {
    up.Add({{"port", port.name}}, port.link_up ? 1 : 0);
    speed.Add({{"port", port.name}}, port.link_speed_mbps * 1e6 / 8);
    mtu.Add({{"port", port.name}}, port.mtu_bytes);
  }
  out.Add(std::move(up));
  out.Add(std::move(speed));
  out.Add(std::move(mtu));
}

void CollectWorkers(const Sources& sources, Families& out) {
  const std::vector<WorkerStats> workers = sources.view.Workers();
  for (const auto& counter : kWorkerCounters) {
    Family family = CounterFamily(counter.name, counter.help);
    for (const WorkerStats& worker : workers) {
      family.Add({{"worker", std::to_string(worker.id.value())}}, worker.*counter.value);
    }
    out.Add(std::move(family));
  }
  Family info = GaugeFamily("sluice_worker_info", "Always 1; its labels say on which CPU the worker runs.");
  Family slept = CounterFamily("sluice_worker_sleep_seconds_total", "Time that the worker slept.");
  Family rungs = CounterFamily("sluice_worker_rung_packets_total", "Packets by what chose their backend.");
  Family answers = CounterFamily("sluice_worker_answers_total", "Answers that the worker made itself, by kind.");
  Family generation = GaugeFamily("sluice_worker_state_generation", "Newest state that the worker has taken up.");
  Family stalled = GaugeFamily("sluice_worker_stalled", "Whether the worker has not made progress for too long.");
  Family held = GaugeFamily("sluice_worker_fragments_held", "Fragments that wait for the first one of their packet.");
  for (const WorkerStats& worker : workers) {
    const std::string id = std::to_string(worker.id.value());
    const Label of{"worker", id};
    info.Add({of, {"cpu", std::to_string(worker.cpu)}}, 1);
    slept.Add({of}, static_cast<double>(worker.slept_ns) / 1e9);
    for (size_t i = 0; i < worker.rungs.size(); ++i) rungs.Add({of, {"rung", fwd::kRungNames[i]}}, worker.rungs[i]);
    for (size_t i = 0; i < worker.answers.size(); ++i) answers.Add({of, {"kind", kAnswerLabels[i]}}, worker.answers[i]);
    generation.Add({of}, worker.state_generation);
    stalled.Add({of}, worker.stalled ? 1 : 0);
    held.Add({of}, worker.fragments_held);
  }
  out.Add(std::move(info));
  out.Add(std::move(slept));
  out.Add(std::move(rungs));
  out.Add(std::move(answers));
  out.Add(std::move(generation));
  out.Add(std::move(stalled));
  out.Add(std::move(held));
  Family exception = GaugeFamily("sluice_exception_thread_stalled",
                                 "Whether the thread to the host's kernel has not made progress for too long.");
  exception.Add({}, sources.view.ExceptionThreadStalled() ? 1 : 0);
  out.Add(std::move(exception));
  CollectViolations(workers, out);
  CollectTables(workers, out);
  CollectParts(
      workers, kNatCounters, [](const WorkerStats& worker) { return worker.nat; }, out);
  CollectParts(
      workers, kCopyCounters, [](const WorkerStats& worker) { return worker.copies; }, out);
}

}  // namespace sluice::metrics
