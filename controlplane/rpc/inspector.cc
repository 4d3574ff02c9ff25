#include "controlplane/rpc/inspector.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>

#include "controlplane/model/text.h"
#include "controlplane/reconcile/view_facts.h"
#include "controlplane/rpc/caller.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/convert_health.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/explain.h"
#include "controlplane/rpc/grpc_status.h"
#include "controlplane/rpc/request_check.h"

namespace sluice::rpc {
grpc::Status Inspector::GetStatus(grpc::ServerContext* context, const v1::GetStatusRequest* request,
                                  v1::GetStatusResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
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
  uint32_t down = 0;
  uint64_t flows = 0;
  for (const auto& pool : now.registry->pools) {
    for (const model::BackendRecord& backend : pool->backends) {
      ++backends;
      draining += backend.lifecycle == model::Lifecycle::kDraining ? 1 : 0;
      down += model::IsUsable(backend.health.value()) ? 0 : 1;
      flows += facts.CountsOf(backend.id).flows_alive;
    }
  }
  response->set_backends(backends);
  response->set_backends_draining(draining);
  response->set_backends_down(down);
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
  const bool has_cookies = std::any_of(now.registry->vips->begin(), now.registry->vips->end(), [](const auto& vip) {
    return vip.desired.cookies == config::Cookies::kBackend;
  });
  if (has_cookies) {
    response->set_cookie_ids_digest(model::HexDigits(now.cookie_ids_digest));
    response->set_cookie_keys_digest(model::HexDigits(now.cookie_keys_digest));
  }
  response->set_desired_version(now.version);
  if (options_.drains != nullptr) response->set_withdrawn(options_.drains->WhyWithdrawn());
  response->set_management(std::string(config::ManagementName(options_.management)));
  rpc::ToProto(view_.Totals(), response->mutable_packets());
  return grpc::Status::OK;
}

grpc::Status Inspector::ListVips(grpc::ServerContext* context, const v1::ListVipsRequest* request,
                                 v1::ListVipsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  if (!request->pool().empty()) {
    if (const auto pool = now.registry->GetPool(request->pool()); !pool.ok()) return ToGrpc(pool.status());
  }
  for (const model::VipRecord& vip : *now.registry->vips) {
    if (!vip.desired.name.starts_with(request->name_prefix())) continue;
    if (!request->pool().empty() && vip.desired.pool != request->pool()) continue;
    rpc::ToProto(now, vip, view_, response->add_vips());
  }
  return grpc::Status::OK;
}

grpc::Status Inspector::ListBackends(grpc::ServerContext* context, const v1::ListBackendsRequest* request,
                                     v1::ListBackendsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  const std::vector<fwd::PortStats> ports = view_.Ports();
  const auto add = [&](const model::PoolRecord& pool) {
    for (const model::BackendRecord& backend : pool.backends) {
      if (!backend.desired.name.starts_with(request->name_prefix())) continue;
      const bool draining = backend.lifecycle == model::Lifecycle::kDraining;
      if (request->lifecycle() == v1::BACKEND_LIFECYCLE_ACTIVE && draining) continue;
      if (request->lifecycle() == v1::BACKEND_LIFECYCLE_DRAINING && !draining) continue;
      if (request->health() != v1::BACKEND_HEALTH_UNSPECIFIED &&
          request->health() != rpc::ToProto(backend.health.value())) {
        continue;
      }
      v1::BackendStatus* status = response->add_backends();
      rpc::ToProto(now, pool, backend, view_, ports, status);
      AddCheck(options_.checks, backend.id, status);
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

grpc::Status Inspector::ListPorts(grpc::ServerContext* context, const v1::ListPortsRequest* request,
                                  v1::ListPortsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  for (const fwd::PortStats& port : view_.Ports()) rpc::ToProto(port, response->add_ports());
  return grpc::Status::OK;
}

grpc::Status Inspector::ListWorkers(grpc::ServerContext* context, const v1::ListWorkersRequest* request,
                                    v1::ListWorkersResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const auto uptime = std::chrono::steady_clock::now() - instance_.started_at;
  for (const fwd::WorkerStats& worker : view_.Workers()) rpc::ToProto(worker, uptime, response->add_workers());
  return grpc::Status::OK;
}

grpc::Status Inspector::GetStats(grpc::ServerContext* context, const v1::GetStatsRequest* request,
                                 v1::GetStatsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  rpc::ToProto(view_.Totals(), response->mutable_packets());
  return grpc::Status::OK;
}

grpc::Status Inspector::MayLook(const grpc::ServerContext* context, const google::protobuf::Message& request) const {
  const absl::StatusOr<Caller> caller = Identify(*context, options_.api);
  return ToGrpc(caller.ok() ? CheckRequest(request) : caller.status());
}

grpc::Status Inspector::GetVip(grpc::ServerContext* context, const v1::GetVipRequest* request,
                               v1::VipStatus* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  const model::VipRecord* vip = now.registry->FindVip(request->name());
  if (vip == nullptr) {
    return ToGrpc(
        absl::NotFoundError(model::Cat("there is no vip \"", request->name(), "\"; `sluicectl get vips` lists them")));
  }
  rpc::ToProto(now, *vip, view_, response);
  return grpc::Status::OK;
}

grpc::Status Inspector::GetBackend(grpc::ServerContext* context, const v1::GetBackendRequest* request,
                                   v1::BackendStatus* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  const auto backend = now.registry->GetBackend(request->pool(), request->backend());
  if (!backend.ok()) return ToGrpc(backend.status());
  rpc::ToProto(now, *now.registry->FindPool(request->pool()), **backend, view_, view_.Ports(), response);
  AddCheck(options_.checks, (*backend)->id, response);
  return grpc::Status::OK;
}

void Inspector::FillPool(const model::Snapshot& now, const model::PoolRecord& pool, v1::PoolStatus* message) const {
  const reconcile::ViewFacts facts(view_);
  for (const config::PoolConfig& desired : now.document->pools) {
    if (desired.name == pool.name) rpc::ToProto(desired, message->mutable_pool());
  }
  message->mutable_pool()->set_name(pool.name);
  message->mutable_pool()->set_table_size(pool.table_size);
  message->mutable_pool()->clear_backends();
  uint64_t flows = 0;
  for (const model::BackendRecord& backend : pool.backends) {
    rpc::ToProto(backend.desired, message->mutable_pool()->add_backends());
    flows += facts.CountsOf(backend.id).flows_alive;
  }
  message->set_backends_active(static_cast<uint32_t>(pool.active()));
  message->set_served_by(rpc::ToProto(model::ServiceOf(*now.registry, pool)));
  message->set_flows_alive(flows);
  for (const model::VipRecord& vip : *now.registry->vips) {
    if (vip.pool == pool.id) message->add_vips(vip.desired.name);
  }
}

grpc::Status Inspector::GetPool(grpc::ServerContext* context, const v1::GetPoolRequest* request,
                                v1::PoolStatus* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  const auto pool = now.registry->GetPool(request->name());
  if (!pool.ok()) return ToGrpc(pool.status());
  FillPool(now, **pool, response);
  const std::vector<fwd::PortStats> ports = view_.Ports();
  for (const model::BackendRecord& backend : (*pool)->backends) {
    v1::BackendStatus* status = response->add_backends();
    rpc::ToProto(now, **pool, backend, view_, ports, status);
    AddCheck(options_.checks, backend.id, status);
  }
  return grpc::Status::OK;
}

grpc::Status Inspector::ListPools(grpc::ServerContext* context, const v1::ListPoolsRequest* request,
                                  v1::ListPoolsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const model::Snapshot now = source_.Current();
  for (const auto& pool : now.registry->pools) {
    if (pool->name.starts_with(request->name_prefix())) FillPool(now, *pool, response->add_pools());
  }
  return grpc::Status::OK;
}

grpc::Status Inspector::ExplainFlow(grpc::ServerContext* context, const v1::ExplainFlowRequest* request,
                                    v1::ExplainFlowResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  const absl::StatusOr<fwd::FlowQuestion> question = ReadQuestion(*request);
  if (!question.ok()) return ToGrpc(question.status());
  if (instance_.mailbox == nullptr) {
    return {grpc::StatusCode::UNIMPLEMENTED, "this sluiced has no workers that could be asked about flows"};
  }
  // A change between the answer and the look at the model would give the ids other names.
  constexpr int kTries = 5;
  for (int i = 0; i < kTries; ++i) {
    const model::Snapshot now = source_.Current();
    const auto findings = instance_.mailbox->LookUpFlow(*question);
    if (!findings.ok()) return ToGrpc(findings.status());
    const fwd::FlowFinding& finding = MostTelling(*findings);
    if (finding.generation != now.generation) continue;
    Explain(now, *question, finding, view_, response);
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::UNAVAILABLE, "the state changes faster than workers answer; try again"};
}

}  // namespace sluice::rpc
