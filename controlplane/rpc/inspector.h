#ifndef SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_
#define SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_

#include <utility>

#include "controlplane/model/snapshot.h"
#include "controlplane/rpc/instance.h"
#include "dataplane/fwd/interfaces.h"
#include "sluice/v1/sluice.grpc.pb.h"

namespace sluice::rpc {

// The reading half of the API. Reads snapshots and counters only, so a slow client holds nobody up.
class Inspector final : public v1::Inspector::Service {
 public:
  // `source` and `view` must live longer.
  Inspector(Instance instance, const model::SnapshotSource& source, const fwd::DataplaneView& view)
      : instance_(std::move(instance)), source_(source), view_(view) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::GetStatusResponse*) override;
  grpc::Status ListVips(grpc::ServerContext*, const v1::ListVipsRequest*, v1::ListVipsResponse*) override;
  grpc::Status ListBackends(grpc::ServerContext*, const v1::ListBackendsRequest*, v1::ListBackendsResponse*) override;
  grpc::Status ListPorts(grpc::ServerContext*, const v1::ListPortsRequest*, v1::ListPortsResponse*) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*, v1::ListWorkersResponse*) override;
  grpc::Status GetStats(grpc::ServerContext*, const v1::GetStatsRequest*, v1::GetStatsResponse*) override;

 private:
  const Instance instance_;
  const model::SnapshotSource& source_;
  const fwd::DataplaneView& view_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_
