#ifndef SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_
#define SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_

#include <atomic>
#include <string>
#include <utility>

#include "controlplane/model/snapshot.h"
#include "controlplane/rpc/instance.h"
#include "controlplane/rpc/server.h"
#include "dataplane/fwd/interfaces.h"
#include "sluice/v1/sluice.grpc.pb.h"

namespace sluice::rpc {

// The reading half of the API. Reads snapshots and counters only, so a slow client holds nobody up.
class Inspector final : public v1::Inspector::Service {
 public:
  // `source`, `view` and what `options` points to must live longer.
  Inspector(Instance instance, const model::SnapshotSource& source, const fwd::DataplaneView& view,
            ServerOptions options)
      : instance_(std::move(instance)), source_(source), view_(view), options_(std::move(options)) {}

  grpc::Status GetStatus(grpc::ServerContext*, const v1::GetStatusRequest*, v1::GetStatusResponse*) override;
  grpc::Status ListVips(grpc::ServerContext*, const v1::ListVipsRequest*, v1::ListVipsResponse*) override;
  grpc::Status ListBackends(grpc::ServerContext*, const v1::ListBackendsRequest*, v1::ListBackendsResponse*) override;
  grpc::Status ListPorts(grpc::ServerContext*, const v1::ListPortsRequest*, v1::ListPortsResponse*) override;
  grpc::Status ListWorkers(grpc::ServerContext*, const v1::ListWorkersRequest*, v1::ListWorkersResponse*) override;
  grpc::Status GetStats(grpc::ServerContext*, const v1::GetStatsRequest*, v1::GetStatsResponse*) override;
  grpc::Status ExplainFlow(grpc::ServerContext*, const v1::ExplainFlowRequest*, v1::ExplainFlowResponse*) override;
  grpc::Status GetVip(grpc::ServerContext*, const v1::GetVipRequest*, v1::VipStatus*) override;
  grpc::Status GetBackend(grpc::ServerContext*, const v1::GetBackendRequest*, v1::BackendStatus*) override;
  grpc::Status GetPool(grpc::ServerContext*, const v1::GetPoolRequest*, v1::PoolStatus*) override;
  grpc::Status ListPools(grpc::ServerContext*, const v1::ListPoolsRequest*, v1::ListPoolsResponse*) override;
  // In inspect_changes.cc.
  grpc::Status GetDesired(grpc::ServerContext*, const v1::GetDesiredRequest*, v1::GetDesiredResponse*) override;
  grpc::Status ListChanges(grpc::ServerContext*, const v1::ListChangesRequest*, v1::ListChangesResponse*) override;
  grpc::Status Watch(grpc::ServerContext*, const v1::WatchRequest*, grpc::ServerWriter<v1::WatchResponse>*) override;
  // In drains.cc.
  grpc::Status GetDrain(grpc::ServerContext*, const v1::GetDrainRequest*, v1::Drain*) override;
  grpc::Status ListDrains(grpc::ServerContext*, const v1::ListDrainsRequest*, v1::ListDrainsResponse*) override;

 private:
  // Whether the client may look at all, and the request is one (request_check.h). Every call begins with it.
  grpc::Status MayLook(const grpc::ServerContext* context, const google::protobuf::Message& request) const;
  grpc::Status Follow(grpc::ServerContext* context, const v1::WatchRequest& request, uint64_t after, bool restarted,
                      grpc::ServerWriter<v1::WatchResponse>* writer);
  std::string ResumeText(uint64_t sequence) const;
  void FillPool(const model::Snapshot& now, const model::PoolRecord& pool, v1::PoolStatus* message) const;

  const Instance instance_;
  const model::SnapshotSource& source_;
  const fwd::DataplaneView& view_;
  const ServerOptions options_;
  std::atomic<int> watchers_ = 0;
};

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_INSPECTOR_H_
