#include <string>
#include <string_view>

#include "controlplane/model/document.h"
#include "controlplane/model/text.h"
#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/manager.h"

// The part of Manager that changes single objects of the document.
namespace sluice::rpc {
namespace {

using model::Cat;
using DocumentEdit = reconcile::Reconciler::Edit;

// An edit of the message's value, once it is one.
template <typename Message, typename Apply>
absl::StatusOr<DocumentEdit> EditOf(const Message& message, std::string_view field, const Apply& apply) {
  const auto value = FromProto(message, field);
  if (!value.ok()) return value.status();
  return DocumentEdit([value = *value, apply](model::DesiredState& document, std::string* path) {
    return apply(value, document, path);
  });
}

}  // namespace

grpc::Status Manager::Edit(const grpc::ServerContext* context, const Request& request, const Call& call,
                           std::string_view complaints_about, const std::function<absl::StatusOr<DocumentEdit>()>& edit,
                           v1::ChangeResponse* response) {
  reconcile::Outcome outcome;
  grpc::Status status = Run(
      context, request, call,
      [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
        const absl::StatusOr<DocumentEdit> made = edit();
        if (!made.ok()) return made.status();
        return reconciler_.Change(*made, complaints_about, by);
      },
      &outcome);
  if (!status.ok()) return status;
  response->set_version(outcome.version);
  response->set_state_generation(outcome.generation);
  for (const std::string& line : outcome.changes) response->add_changes(line);
  return status;
}

grpc::Status Manager::CreateVip(grpc::ServerContext* context, const v1::CreateVipRequest* request,
                                v1::ChangeResponse* response) {
  const Call call{.action = "CreateVip",
                  .object = Cat("vip ", request->vip().name()),
                  .target = {Target::Kind::kInventory},
                  .expected_version = request->expected_version()};
  return Edit(
      context, *request, call, "vip", [&] { return EditOf(request->vip(), "vip", model::CreateVip); }, response);
}

grpc::Status Manager::UpdateVip(grpc::ServerContext* context, const v1::UpdateVipRequest* request,
                                v1::ChangeResponse* response) {
  const Call call{.action = "UpdateVip",
                  .object = Cat("vip ", request->vip().name()),
                  .target = {Target::Kind::kVip, request->vip().name(), request->vip().pool()},
                  .expected_version = request->expected_version()};
  return Edit(
      context, *request, call, "vip", [&] { return EditOf(request->vip(), "vip", model::UpdateVip); }, response);
}

grpc::Status Manager::DeleteVip(grpc::ServerContext* context, const v1::DeleteVipRequest* request,
                                v1::ChangeResponse* response) {
  const Call call{.action = "DeleteVip",
                  .object = Cat("vip ", request->name()),
                  .target = {Target::Kind::kInventory},
                  .expected_version = request->expected_version()};
  const auto edit = [&]() -> absl::StatusOr<DocumentEdit> {
    return DocumentEdit([name = request->name()](model::DesiredState& document, std::string*) {
      return model::DeleteVip(name, document);
    });
  };
  return Edit(context, *request, call, "vip", edit, response);
}

grpc::Status Manager::CreatePool(grpc::ServerContext* context, const v1::CreatePoolRequest* request,
                                 v1::ChangeResponse* response) {
  const Call call{.action = "CreatePool",
                  .object = Cat("pool ", request->pool().name()),
                  .target = {Target::Kind::kInventory},
                  .expected_version = request->expected_version()};
  return Edit(
      context, *request, call, "pool", [&] { return EditOf(request->pool(), "pool", model::CreatePool); }, response);
}

grpc::Status Manager::UpdatePool(grpc::ServerContext* context, const v1::UpdatePoolRequest* request,
                                 v1::ChangeResponse* response) {
  const Call call{.action = "UpdatePool",
                  .object = Cat("pool ", request->pool().name()),
                  .target = {Target::Kind::kPool, request->pool().name(), request->pool().backup()},
                  .expected_version = request->expected_version()};
  return Edit(
      context, *request, call, "pool", [&] { return EditOf(request->pool(), "pool", model::UpdatePool); }, response);
}

grpc::Status Manager::DeletePool(grpc::ServerContext* context, const v1::DeletePoolRequest* request,
                                 v1::ChangeResponse* response) {
  const Call call{.action = "DeletePool",
                  .object = Cat("pool ", request->name()),
                  .target = {Target::Kind::kInventory},
                  .expected_version = request->expected_version()};
  const auto edit = [&]() -> absl::StatusOr<DocumentEdit> {
    return DocumentEdit([name = request->name()](model::DesiredState& document, std::string*) {
      return model::DeletePool(name, document);
    });
  };
  return Edit(context, *request, call, "pool", edit, response);
}

grpc::Status Manager::UpdateBackend(grpc::ServerContext* context, const v1::UpdateBackendRequest* request,
                                    v1::ChangeResponse* response) {
  const Call call{.action = "UpdateBackend",
                  .object = Cat("backend ", request->pool(), "/", request->backend().name()),
                  .target = {Target::Kind::kPool, request->pool()},
                  .expected_version = request->expected_version()};
  const auto apply = [pool = request->pool()](const model::DesiredBackend& backend, model::DesiredState& document,
                                              std::string* path) {
    return model::UpdateBackend(pool, backend, document, path);
  };
  return Edit(
      context, *request, call, "backend", [&] { return EditOf(request->backend(), "backend", apply); }, response);
}

}  // namespace sluice::rpc
