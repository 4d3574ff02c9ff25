#ifndef SLUICE_CONTROLPLANE_RPC_MANAGER_H_
#define SLUICE_CONTROLPLANE_RPC_MANAGER_H_

#include <string>

#include "controlplane/reconcile/reconciler.h"
#include "dataplane/fwd/interfaces.h"
#include "sluice/v1/sluice.grpc.pb.h"

namespace sluice::rpc {

// The changing half of the API: converts, asks the reconciler, converts, and logs what changed.
class Manager final : public v1::Manager::Service {
 public:
  // `reconciler` and `view` must live longer.
  Manager(reconcile::Reconciler& reconciler, const fwd::DataplaneView& view) : reconciler_(reconciler), view_(view) {}

  grpc::Status Apply(grpc::ServerContext*, const v1::ApplyRequest*, v1::ApplyResponse*) override;
  grpc::Status AddBackend(grpc::ServerContext*, const v1::AddBackendRequest*, v1::AddBackendResponse*) override;
  grpc::Status RemoveBackend(grpc::ServerContext*, const v1::RemoveBackendRequest*,
                             v1::RemoveBackendResponse*) override;
  grpc::Status DrainBackend(grpc::ServerContext*, const v1::DrainBackendRequest*, v1::DrainBackendResponse*) override;
  grpc::Status UndrainBackend(grpc::ServerContext*, const v1::UndrainBackendRequest*,
                              v1::UndrainBackendResponse*) override;
  grpc::Status ReportHealth(grpc::ServerContext*, const v1::ReportHealthRequest*, v1::ReportHealthResponse*) override;

 private:
  // Fills in the backend as it is now; one that another client has just removed leaves its names only.
  void Describe(const std::string& pool, const std::string& backend, v1::BackendStatus* status) const;
  grpc::Status SetDrain(const std::string& pool, const std::string& backend, bool drain, v1::BackendStatus* status);

  reconcile::Reconciler& reconciler_;
  const fwd::DataplaneView& view_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_MANAGER_H_
