#include "controlplane/rpc/manager.h"

#include "controlplane/model/text.h"
#include "controlplane/rpc/caller.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"
#include "controlplane/rpc/request_check.h"

namespace sluice::rpc {
namespace {

using model::Cat;

absl::Status FileManages(std::string_view action) {
  return absl::FailedPreconditionError(
      Cat(action,
          ": node.management is \"file\", so the configuration file says what is desired; change the file, which "
          "is applied when it is saved or on SIGHUP, or set node.management to \"api\""));
}

void ToProto(const reconcile::Impact& impact, v1::Impact* message) {
  message->set_slots_moved(impact.slots_moved);
  for (const auto& [pool, share] : impact.slots_moved_by_pool) (*message->mutable_slots_moved_by_pool())[pool] = share;
  message->set_flows_on_removed(impact.flows_on_removed);
  message->set_state_bytes(impact.state_bytes);
  message->set_available_bytes(impact.available_bytes);
  message->set_fits(impact.fits());
}

void ToProto(const reconcile::Outcome& outcome, v1::ApplyResponse* response) {
  response->set_state_generation(outcome.generation);
  for (const std::string& line : outcome.changes) response->add_changes(line);
  response->set_version(outcome.version);
  ToProto(outcome.impact, response->mutable_impact());
}

// It is shown in tables and told in events.
constexpr size_t kMaxReasonBytes = 200;
// What the audit log shows of what was asked for: more than two names take.
constexpr size_t kMaxObjectBytes = 200;

absl::StatusOr<model::Health> HealthOf(v1::BackendHealth health) {
  switch (health) {
    case v1::BACKEND_HEALTH_UNCHECKED:
      return model::Health::kUnchecked;
    case v1::BACKEND_HEALTH_UP:
      return model::Health::kUp;
    case v1::BACKEND_HEALTH_DOWN:
      return model::Health::kDown;
    default:
      return absl::InvalidArgumentError(Cat("health: ", static_cast<int>(health),
                                            " says nothing; give BACKEND_HEALTH_UP, BACKEND_HEALTH_DOWN or "
                                            "BACKEND_HEALTH_UNCHECKED"));
  }
}

std::string BackendText(const std::string& pool, const std::string& backend) {
  return Cat("backend ", pool, "/", backend);
}

}  // namespace

grpc::Status Manager::Run(const grpc::ServerContext* context, const Request& request, const Call& call,
                          const Body& body, reconcile::Outcome* outcome) {
  AuditRecord record;
  record.peer = context->peer();
  record.action = std::string(call.action);
  record.object = call.object.substr(0, kMaxObjectBytes);
  const absl::StatusOr<Caller> caller = Identify(*context, options_.api);
  record.user = caller.ok() ? caller->user : "unknown";
  const auto run = [&]() -> absl::StatusOr<reconcile::Outcome> {
    if (!caller.ok()) return caller.status();
    // Who may look may ask.
    if (!call.dry_run) {
      absl::Status allowed = MayChange(*caller, call.action, call.target, *reconciler_.Current().registry);
      if (!allowed.ok()) return allowed;
    }
    if (absl::Status status = CheckRequest(request); !status.ok()) return status;
    if (call.dry_run) return body({});
    if (options_.management == config::Management::kFile && !call.also_with_file) return FileManages(call.action);
    return body({.author = {caller->user, std::string(call.action)}, .expected_version = call.expected_version});
  };
  absl::StatusOr<reconcile::Outcome> done = run();
  record.result = done.status();
  if (done.ok()) {
    record.version = done->version;
    record.changes = done->changes;
    if (!call.dry_run) reconcile::LogOutcome(Cat("api: ", call.action), *done);
    if (outcome != nullptr) *outcome = *std::move(done);
  }
  if (!call.dry_run) audit_.Write(record);
  return ToGrpc(record.result);
}

void Manager::Describe(const std::string& pool, const std::string& backend, v1::BackendStatus* status) const {
  status->set_pool(pool);
  status->mutable_backend()->set_name(backend);
  const model::Snapshot now = reconciler_.Current();
  const auto record = now.registry->GetBackend(pool, backend);
  if (record.ok()) rpc::ToProto(now, *now.registry->FindPool(pool), **record, view_, view_.Ports(), status);
}

grpc::Status Manager::Apply(grpc::ServerContext* context, const v1::ApplyRequest* request,
                            v1::ApplyResponse* response) {
  const Call call{.action = "Apply",
                  .object = "the desired state",
                  .target = {},
                  .expected_version = request->expected_version(),
                  .dry_run = request->dry_run()};
  reconcile::Outcome outcome;
  grpc::Status status = Run(
      context, *request, call,
      [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
        // An absent document is not an empty one, which would remove everything.
        if (!request->has_desired()) {
          return absl::InvalidArgumentError("desired: is missing; give the whole desired state");
        }
        const auto desired = FromProto(request->desired());
        if (!desired.ok()) return desired.status();
        return request->dry_run() ? reconciler_.Preview(*desired) : reconciler_.Apply(*desired, by);
      },
      &outcome);
  if (status.ok()) ToProto(outcome, response);
  return status;
}

grpc::Status Manager::Rollback(grpc::ServerContext* context, const v1::RollbackRequest* request,
                               v1::ApplyResponse* response) {
  const Call call{.action = "Rollback",
                  .object = Cat("to version ", request->to_version()),
                  .target = {},
                  .expected_version = request->expected_version(),
                  .dry_run = request->dry_run()};
  reconcile::Outcome outcome;
  grpc::Status status = Run(
      context, *request, call,
      [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
        if (options_.journal == nullptr) return absl::NotFoundError("to_version: no history is kept");
        absl::StatusOr<model::KeptState> kept = options_.journal->StateAt(request->to_version());
        if (!kept.ok()) return kept.status();
        // Those in force stay: going back brings no key back that was taken away.
        kept->desired.seed.clear();
        kept->desired.cookie_keys.clear();
        kept->desired.quic_configs.clear();
        return request->dry_run() ? reconciler_.Preview(kept->desired) : reconciler_.Apply(kept->desired, by);
      },
      &outcome);
  if (status.ok()) ToProto(outcome, response);
  return status;
}

grpc::Status Manager::AddBackend(grpc::ServerContext* context, const v1::AddBackendRequest* request,
                                 v1::AddBackendResponse* response) {
  const std::string& name = request->backend().name();
  const Call call{.action = "AddBackend",
                  .object = BackendText(request->pool(), name),
                  .target = {Target::Kind::kPool, request->pool()},
                  .expected_version = request->expected_version()};
  grpc::Status status =
      Run(context, *request, call, [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
        const auto backend = FromProto(request->backend(), "backend");
        if (!backend.ok()) return backend.status();
        return reconciler_.AddBackend(request->pool(), *backend, by);
      });
  if (status.ok()) Describe(request->pool(), name, response->mutable_backend());
  return status;
}

grpc::Status Manager::RemoveBackend(grpc::ServerContext* context, const v1::RemoveBackendRequest* request,
                                    v1::RemoveBackendResponse* response) {
  const Call call{.action = "RemoveBackend",
                  .object = BackendText(request->pool(), request->backend()),
                  .target = {Target::Kind::kPool, request->pool()},
                  .expected_version = request->expected_version()};
  reconcile::Outcome outcome;
  grpc::Status status = Run(
      context, *request, call,
      [&](const model::ChangeRequest& by) {
        return reconciler_.RemoveBackend(request->pool(), request->backend(), by);
      },
      &outcome);
  if (status.ok()) response->set_flows_alive(outcome.impact.flows_on_removed);
  return status;
}

template <typename DrainRequest>
grpc::Status Manager::SetDrain(const grpc::ServerContext* context, const DrainRequest& request, bool drain,
                               v1::BackendStatus* status) {
  const Call call{.action = drain ? "DrainBackend" : "UndrainBackend",
                  .object = BackendText(request.pool(), request.backend()),
                  .target = {Target::Kind::kPool, request.pool()},
                  .expected_version = request.expected_version(),
                  .also_with_file = true};
  grpc::Status result = Run(context, request, call, [&](const model::ChangeRequest& by) {
    return reconciler_.SetDrain(request.pool(), request.backend(), drain, by);
  });
  if (result.ok()) Describe(request.pool(), request.backend(), status);
  return result;
}

grpc::Status Manager::DrainBackend(grpc::ServerContext* context, const v1::DrainBackendRequest* request,
                                   v1::DrainBackendResponse* response) {
  return SetDrain(context, *request, true, response->mutable_backend());
}

grpc::Status Manager::UndrainBackend(grpc::ServerContext* context, const v1::UndrainBackendRequest* request,
                                     v1::UndrainBackendResponse* response) {
  return SetDrain(context, *request, false, response->mutable_backend());
}

grpc::Status Manager::ReportHealth(grpc::ServerContext* context, const v1::ReportHealthRequest* request,
                                   v1::ReportHealthResponse* response) {
  const Call call{.action = "ReportHealth",
                  .object = BackendText(request->pool(), request->backend()),
                  .target = {Target::Kind::kPool, request->pool()},
                  .also_with_file = true};
  grpc::Status result =
      Run(context, *request, call, [&](const model::ChangeRequest&) -> absl::StatusOr<reconcile::Outcome> {
        const auto health = HealthOf(request->health());
        if (!health.ok()) return health.status();
        if (request->reason().size() > kMaxReasonBytes) {
          return absl::InvalidArgumentError(
              Cat("reason: has ", request->reason().size(), " bytes; give at most ", kMaxReasonBytes));
        }
        return reconciler_.ReportHealth(request->pool(), request->backend(), *health, request->reason());
      });
  if (result.ok()) Describe(request->pool(), request->backend(), response->mutable_backend());
  return result;
}

}  // namespace sluice::rpc
