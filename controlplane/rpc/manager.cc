#include "controlplane/rpc/manager.h"

#include "controlplane/model/text.h"
#include "controlplane/reconcile/view_facts.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"
#include "dataplane/base/log.h"

namespace sluice::rpc {
namespace {

grpc::Status Refused(std::string_view call, const absl::Status& status) {
  SLUICE_LOG(kWarning) << "api: " << call << " refused: " << LogText(status);
  return ToGrpc(status);
}

}  // namespace

void Manager::Describe(const std::string& pool, const std::string& backend, v1::BackendStatus* status) const {
  status->set_pool(pool);
  status->mutable_backend()->set_name(backend);
  const model::Snapshot now = reconciler_.Current();
  const auto record = now.registry->GetBackend(pool, backend);
  if (record.ok()) ToProto(now, *now.registry->FindPool(pool), **record, view_, view_.Ports(), status);
}

grpc::Status Manager::Apply(grpc::ServerContext*, const v1::ApplyRequest* request, v1::ApplyResponse* response) {
  // An absent document is not an empty one, which would remove everything.
  if (!request->has_desired()) {
    return Refused("Apply", absl::InvalidArgumentError("desired: is missing; give the whole desired state"));
  }
  const auto desired = FromProto(request->desired());
  if (!desired.ok()) return Refused("Apply", desired.status());
  auto outcome = reconciler_.Apply(*desired);
  if (!outcome.ok()) return Refused("Apply", outcome.status());
  reconcile::LogOutcome("api: Apply", *outcome);
  response->set_state_generation(outcome->generation);
  for (std::string& line : outcome->changes) response->add_changes(std::move(line));
  return grpc::Status::OK;
}

grpc::Status Manager::AddBackend(grpc::ServerContext*, const v1::AddBackendRequest* request,
                                 v1::AddBackendResponse* response) {
  const auto backend = FromProto(request->backend(), "backend");
  if (!backend.ok()) return Refused("AddBackend", backend.status());
  const auto outcome = reconciler_.AddBackend(request->pool(), *backend);
  if (!outcome.ok()) return Refused("AddBackend", outcome.status());
  reconcile::LogOutcome("api: AddBackend", *outcome);
  Describe(request->pool(), backend->name, response->mutable_backend());
  return grpc::Status::OK;
}

grpc::Status Manager::RemoveBackend(grpc::ServerContext*, const v1::RemoveBackendRequest* request,
                                    v1::RemoveBackendResponse* response) {
  const model::Snapshot before = reconciler_.Current();
  const auto record = before.registry->GetBackend(request->pool(), request->backend());
  if (!record.ok()) return Refused("RemoveBackend", record.status());
  const uint64_t flows_alive = reconcile::ViewFacts(view_).CountsOf((*record)->id).flows_alive;
  const auto outcome = reconciler_.RemoveBackend(request->pool(), request->backend());
  if (!outcome.ok()) return Refused("RemoveBackend", outcome.status());
  reconcile::LogOutcome("api: RemoveBackend", *outcome);
  response->set_flows_alive(flows_alive);
  return grpc::Status::OK;
}

grpc::Status Manager::SetDrain(const std::string& pool, const std::string& backend, bool drain,
                               v1::BackendStatus* status) {
  const std::string_view call = drain ? "DrainBackend" : "UndrainBackend";
  const auto outcome = reconciler_.SetDrain(pool, backend, drain);
  if (!outcome.ok()) return Refused(call, outcome.status());
  reconcile::LogOutcome(drain ? "api: DrainBackend" : "api: UndrainBackend", *outcome);
  Describe(pool, backend, status);
  return grpc::Status::OK;
}

grpc::Status Manager::DrainBackend(grpc::ServerContext*, const v1::DrainBackendRequest* request,
                                   v1::DrainBackendResponse* response) {
  return SetDrain(request->pool(), request->backend(), true, response->mutable_backend());
}

grpc::Status Manager::UndrainBackend(grpc::ServerContext*, const v1::UndrainBackendRequest* request,
                                     v1::UndrainBackendResponse* response) {
  return SetDrain(request->pool(), request->backend(), false, response->mutable_backend());
}

grpc::Status Manager::ReportHealth(grpc::ServerContext*, const v1::ReportHealthRequest* request,
                                   v1::ReportHealthResponse* response) {
  model::Health health = model::Health::kUnchecked;
  switch (request->health()) {
    case v1::BACKEND_HEALTH_UNCHECKED:
      break;
    case v1::BACKEND_HEALTH_UP:
      health = model::Health::kUp;
      break;
    case v1::BACKEND_HEALTH_DOWN:
      health = model::Health::kDown;
      break;
    default:
      return Refused("ReportHealth",
                     absl::InvalidArgumentError(model::Cat("health: ", static_cast<int>(request->health()),
                                                           " says nothing; give BACKEND_HEALTH_UP, BACKEND_HEALTH_DOWN "
                                                           "or BACKEND_HEALTH_UNCHECKED")));
  }
  const auto outcome = reconciler_.SetHealth(request->pool(), request->backend(), health);
  if (!outcome.ok()) return Refused("ReportHealth", outcome.status());
  reconcile::LogOutcome("api: ReportHealth", *outcome);
  Describe(request->pool(), request->backend(), response->mutable_backend());
  return grpc::Status::OK;
}

}  // namespace sluice::rpc
