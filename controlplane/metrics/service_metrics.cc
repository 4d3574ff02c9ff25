#include <string>
#include <string_view>

#include "controlplane/metrics/parts.h"
#include "controlplane/model/pool_service.h"

namespace sluice::metrics {

void CollectVips(const Sources& sources, const model::Snapshot& now, Families& out) {
  Family info = GaugeFamily("sluice_vip_info", "Always 1; its labels say what the VIP is.");
  Family packets = CounterFamily("sluice_vip_packets_total", "Packets addressed to the VIP.");
  Family bytes = CounterFamily("sluice_vip_bytes_total", "Bytes of packets addressed to the VIP.");
  Family new_flows = CounterFamily("sluice_vip_new_flows_total", "Flows to the VIP that were given a backend.");
  Family dropped = CounterFamily("sluice_vip_dropped_packets_total", "Packets addressed to the VIP that were dropped.");
  Family reply_packets = CounterFamily("sluice_vip_reply_packets_total",
                                       "Backends' packets that came back through the director (NAT modes).");
  Family reply_bytes =
      CounterFamily("sluice_vip_reply_bytes_total", "Bytes of backends' packets that came back through the director.");
  Family unprotected = CounterFamily(
      "sluice_vip_unprotected_packets_total",
      "Packets of running TCP connections that came without an entry in the connection table or a cookie.");
  for (const model::VipRecord& vip : *now.registry->vips) {
    const model::VipCounts counts = sources.facts.CountsOf(vip.id) - vip.baseline;
    const Label label{"vip", vip.desired.name};
    const std::string address = config::AddressText(vip.desired.prefix);
    const std::string port = config::PortsText(vip.desired.ports);
    info.Add({label,
              {"address", address},
              {"protocol", config::ProtocolName(vip.desired.protocol)},
              {"port", port},
              {"mode", config::ModeName(vip.desired.mode)},
              {"pool", vip.desired.pool}},
             1);
    packets.Add({label}, counts.packets);
    bytes.Add({label}, counts.bytes);
    new_flows.Add({label}, counts.new_flows);
    dropped.Add({label}, counts.dropped);
    reply_packets.Add({label}, counts.reply_packets);
    reply_bytes.Add({label}, counts.reply_bytes);
    unprotected.Add({label}, counts.unprotected);
  }
  out.Add(std::move(info));
  out.Add(std::move(packets));
  out.Add(std::move(bytes));
  out.Add(std::move(new_flows));
  out.Add(std::move(dropped));
  out.Add(std::move(reply_packets));
  out.Add(std::move(reply_bytes));
  out.Add(std::move(unprotected));
}

void CollectPools(const Sources& sources, const model::Snapshot& now, Families& out) {
  Family packets = CounterFamily("sluice_backend_packets_total", "Packets sent to the backend.");
  Family bytes = CounterFamily("sluice_backend_bytes_total", "Bytes of packets sent to the backend.");
  Family flows_started = CounterFamily("sluice_backend_flows_started_total", "Flows given to the backend.");
  Family flows = GaugeFamily("sluice_backend_flows", "Flows of the backend that are alive.");
  Family weight = GaugeFamily("sluice_backend_weight", "Configured weight; 0: no new flows.");
  Family used =
      GaugeFamily("sluice_backend_weight_used_ratio",
                  "Share of the weight that counts: 1, or less in a slow start or because of reports of load.");
  Family slots = GaugeFamily("sluice_backend_slot_ratio", "Share of its pool's hash slots that the backend has.");
  Family next_hop =
      GaugeFamily("sluice_backend_next_hop_resolved", "Whether the MAC address of the next hop is known.");
  Family drains = GaugeFamily("sluice_backend_draining",
                              "Whether the backend drains: it keeps the flows that it has and gets no new ones.");
  Family up = GaugeFamily("sluice_backend_up", "0: the backend is down; 1: it is up, or nobody checks it.");
  Family usable = GaugeFamily("sluice_pool_backends_usable",
                              "Backends that would get new flows by lifecycle and weight, and are not down.");
  Family service = GaugeFamily("sluice_pool_service",
                               "1 for who takes the pool's new flows: its own backends, all of them in panic, its "
                               "backup, or none.");
  Family unsafe = GaugeFamily("sluice_pool_unsafe_slot_ratio",
                              "Share of the pool's hash slots whose new flows are entered into the connection table by "
                              "VIPs that track unsafe flows only; 0 where there are none.");
  Family backends = GaugeFamily("sluice_pool_backends", "Backends of the pool by where they stand in their life.");
  for (const auto& pool : now.registry->pools) {
    uint64_t draining = 0;
    for (const model::BackendRecord& backend : pool->backends) {
      const model::BackendCounts counts = sources.facts.CountsOf(backend.id) - backend.baseline;
      const Label in_pool{"pool", pool->name};
      const Label name{"backend", backend.desired.name};
      packets.Add({in_pool, name}, counts.packets);
      bytes.Add({in_pool, name}, counts.bytes);
      flows_started.Add({in_pool, name}, counts.flows_started);
      flows.Add({in_pool, name}, counts.flows_alive);
      weight.Add({in_pool, name}, backend.desired.weight);
      used.Add({in_pool, name}, backend.weight_use.start_percent * backend.weight_use.load_percent / 10000.0);
      slots.Add({in_pool, name}, now.SlotShare(*pool, backend));
      next_hop.Add({in_pool, name}, sources.view.NextHopOf(backend.id).resolved ? 1 : 0);
      up.Add({in_pool, name}, model::IsUsable(backend.health.value()) ? 1 : 0);
      const bool drained = backend.lifecycle == model::Lifecycle::kDraining;
      drains.Add({in_pool, name}, drained ? 1 : 0);
      draining += drained ? 1 : 0;
    }
    usable.Add({{"pool", pool->name}}, pool->usable());
    unsafe.Add({{"pool", pool->name}}, now.UnsafeShare(*pool));
    for (const auto each : {model::PoolService::kOwn, model::PoolService::kPanic, model::PoolService::kBackup,
                            model::PoolService::kNone}) {
      service.Add({{"pool", pool->name}, {"service", model::PoolServiceName(each)}},
                  each == model::ServiceOf(*now.registry, *pool) ? 1 : 0);
    }
    backends.Add({{"pool", pool->name}, {"state", "active"}}, pool->backends.size() - draining);
    backends.Add({{"pool", pool->name}, {"state", "draining"}}, draining);
  }
  out.Add(std::move(packets));
  out.Add(std::move(bytes));
  out.Add(std::move(flows_started));
  out.Add(std::move(flows));
  out.Add(std::move(weight));
  out.Add(std::move(used));
  out.Add(std::move(slots));
  out.Add(std::move(next_hop));
  out.Add(std::move(drains));
  out.Add(std::move(backends));
  out.Add(std::move(unsafe));
  out.Add(std::move(up));
  out.Add(std::move(usable));
  out.Add(std::move(service));
}

}  // namespace sluice::metrics
