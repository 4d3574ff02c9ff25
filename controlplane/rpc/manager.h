#ifndef SLUICE_CONTROLPLANE_RPC_MANAGER_H_
#define SLUICE_CONTROLPLANE_RPC_MANAGER_H_

#include <functional>
#include <string>
#include <utility>

#include "controlplane/model/journal.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/rpc/access.h"
#include "controlplane/rpc/audit.h"
#include "controlplane/rpc/server.h"
#include "dataplane/fwd/interfaces.h"
#include "sluice/v1/sluice.grpc.pb.h"

namespace sluice::rpc {

// The changing half of the API: converts, asks the reconciler, converts, and tells the audit log.
class Manager final : public v1::Manager::Service {
 public:
  // `reconciler`, `view`, `audit` and what `options` points to must live longer.
  Manager(reconcile::Reconciler& reconciler, const fwd::DataplaneView& view, ServerOptions options, AuditLog& audit)
      : reconciler_(reconciler), view_(view), options_(std::move(options)), audit_(audit) {}

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyResponse*) override;
  grpc::Status Rollback(grpc::ServerContext*, const v1::RollbackRequest*, v1::ApplyResponse*) override;
  grpc::Status AddBackend(grpc::ServerContext*, const v1::AddBackendRequest*, v1::AddBackendResponse*) override;
  grpc::Status RemoveBackend(grpc::ServerContext*, const v1::RemoveBackendRequest*,
                             v1::RemoveBackendResponse*) override;
  grpc::Status DrainBackend(grpc::ServerContext*, const v1::DrainBackendRequest*, v1::DrainBackendResponse*) override;
  grpc::Status UndrainBackend(grpc::ServerContext*, const v1::UndrainBackendRequest*,
                              v1::UndrainBackendResponse*) override;
  // Single objects; in manage_objects.cc.
  grpc::Status CreateVip(grpc::ServerContext*, const v1::CreateVipRequest*, v1::ChangeResponse*) override;
  grpc::Status UpdateVip(grpc::ServerContext*, const v1::UpdateVipRequest*, v1::ChangeResponse*) override;
  grpc::Status DeleteVip(grpc::ServerContext*, const v1::DeleteVipRequest*, v1::ChangeResponse*) override;
  grpc::Status CreatePool(grpc::ServerContext*, const v1::CreatePoolRequest*, v1::ChangeResponse*) override;
  grpc::Status UpdatePool(grpc::ServerContext*, const v1::UpdatePoolRequest*, v1::ChangeResponse*) override;
  grpc::Status DeletePool(grpc::ServerContext*, const v1::DeletePoolRequest*, v1::ChangeResponse*) override;
  grpc::Status UpdateBackend(grpc::ServerContext*, const v1::UpdateBackendRequest*, v1::ChangeResponse*) override;
  grpc::Status ReportHealth(grpc::ServerContext*, const v1::ReportHealthRequest*, v1::ReportHealthResponse*) override;

  // In drains.cc.
  grpc::Status StartDrain(grpc::ServerContext*, const v1::StartDrainRequest*, v1::Drain*) override;
  grpc::Status CancelDrain(grpc::ServerContext*, const v1::CancelDrainRequest*, v1::Drain*) override;

 private:
  // A call that changes something.
  struct Call {
    std::string_view action;  // its name
    std::string object;       // "backend web/web-1", for the audit log
    Target target;
    uint64_t expected_version = 0;
    // A drain is the operator's affair also where a file says what is desired.
    bool also_with_file = false;
    // Only asks what would change.
    bool dry_run = false;
  };
  using Body = std::function<absl::StatusOr<reconcile::Outcome>(const model::ChangeRequest&)>;
  using Request = google::protobuf::Message;
  // Who calls, whether that client may, whether the request is one (request_check.h), the call, and its line in the
  // audit log.
  grpc::Status Run(const grpc::ServerContext* context, const Request& request, const Call& call, const Body& body,
                   reconcile::Outcome* outcome = nullptr);
  grpc::Status Edit(const grpc::ServerContext* context, const Request& request, const Call& call,
                    std::string_view complaints_about,
                    const std::function<absl::StatusOr<reconcile::Reconciler::Edit>()>& edit,
                    v1::ChangeResponse* response);
  // Fills in the backend as it is now; one that another client has just removed leaves its names only.
  void Describe(const std::string& pool, const std::string& backend, v1::BackendStatus* status) const;
  // Of DrainBackend and UndrainBackend.
  template <typename DrainRequest>
  grpc::Status SetDrain(const grpc::ServerContext* context, const DrainRequest& request, bool drain,
                        v1::BackendStatus* status);

  reconcile::Reconciler& reconciler_;
  const fwd::DataplaneView& view_;
  const ServerOptions options_;
  AuditLog& audit_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_MANAGER_H_
