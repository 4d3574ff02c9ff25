#include "controlplane/rpc/inspector.h"

#include <unistd.h>

#include <chrono>

#include "controlplane/reconcile/view_facts.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"

namespace sluice::rpc {
namespace {

uint64_t UnixMs(std::chrono::system_clock::time_point time) {
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count());
}

}  // namespace

grpc::Status Inspector::GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::GetStatusResponse* response) {
  const model::Snapshot now = source_.Current();
  const auto uptime = std::chrono::steady_clock::now() - instance_.started_at;
  response->set_node(instance_.node);
  response->set_version(instance_.version);
  response->set_uptime_s(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(uptime).count()));
  response->set_pid(static_cast<uint64_t>(getpid()));
  response->set_state_generation(now.generation);
  response->set_state_generation_in_use(view_.GenerationInUse());
  response->set_pools(static_cast<uint32_t>(now.registry->pools.size()));
  response->set_vips(static_cast<uint32_t>(now.registry->vips->size()));
  const reconcile::ViewFacts facts(view_);
  uint32_t backends = 0;
  uint32_t draining = 0;
  uint64_t flows = 0;
  for (const auto& pool : now.registry->pools) {
    for (const model::BackendRecord& backend : pool->backends) {
      ++backends;
      draining += backend.lifecycle == model::Lifecycle::kDraining ? 1 : 0;
      flows += facts.CountsOf(backend.id).flows_alive;
    }
  }
  response->set_backends(backends);
  response->set_backends_draining(draining);
  response->set_flows_alive(flows);
  uint32_t workers = 0;
  uint32_t stalled = 0;
  for (const fwd::WorkerStats& worker : view_.Workers()) {
    ++workers;
    stalled += worker.stalled ? 1 : 0;
  }
  response->set_workers(workers);
  response->set_workers_stalled(stalled);
  response->set_exception_thread_stalled(view_.ExceptionThreadStalled());
  response->set_last_change_unix_ms(UnixMs(now.published_at));
  ToProto(view_.Totals(), response->mutable_packets());
  return grpc::Status::OK;
}

grpc::Status Inspector::ListVips(grpc::ServerContext*, const v1::ListVipsRequest*, v1::ListVipsResponse* response) {
  const model::Snapshot now = source_.Current();
  for (const model::VipRecord& vip : *now.registry->vips) ToProto(now, vip, view_, response->add_vips());
  return grpc::Status::OK;
}

grpc::Status Inspector::ListBackends(grpc::ServerContext*, const v1::ListBackendsRequest* request,
                                     v1::ListBackendsResponse* response) {
  const model::Snapshot now = source_.Current();
  const std::vector<fwd::PortStats> ports = view_.Ports();
  const auto add = [&](const model::PoolRecord& pool) {
    for (const model::BackendRecord& backend : pool.backends) {
      ToProto(now, pool, backend, view_, ports, response->add_backends());
    }
  };
  if (!request->pool().empty()) {
    const auto pool = now.registry->GetPool(request->pool());
    if (!pool.ok()) return ToGrpc(pool.status());
    add(**pool);
    return grpc::Status::OK;
  }
  for (const auto& pool : now.registry->pools) add(*pool);
  return grpc::Status::OK;
}

grpc::Status Inspector::ListPorts(grpc::ServerContext*, const v1::ListPortsRequest*, v1::ListPortsResponse* response) {
  for (const fwd::PortStats& port : view_.Ports()) ToProto(port, response->add_ports());
  return grpc::Status::OK;
}

grpc::Status Inspector::ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*,
                                    v1::ListWorkersResponse* response) {
  const auto uptime = std::chrono::steady_clock::now() - instance_.started_at;
  for (const fwd::WorkerStats& worker : view_.Workers()) ToProto(worker, uptime, response->add_workers());
  return grpc::Status::OK;
}

grpc::Status Inspector::GetStats(grpc::ServerContext*, const v1::GetStatsRequest*, v1::GetStatsResponse* response) {
  ToProto(view_.Totals(), response->mutable_packets());
  return grpc::Status::OK;
}

}  // namespace sluice::rpc
