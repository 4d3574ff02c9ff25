#ifndef SLUICE_CONTROLPLANE_RPC_EXPLAIN_H_
#define SLUICE_CONTROLPLANE_RPC_EXPLAIN_H_

#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/snapshot.h"
#include "dataplane/fwd/interfaces.h"
#include "dataplane/fwd/worker_mailbox.h"

namespace sluice::v1 {
class ExplainFlowRequest;
class ExplainFlowResponse;
}  // namespace sluice::v1

// What workers found out about a flow, in the words of the API.
namespace sluice::rpc {

// kInvalidArgument, naming the field.
absl::StatusOr<fwd::FlowQuestion> ReadQuestion(const v1::ExplainFlowRequest& request);

// Of the workers' findings the one that the flow's packets will meet: with a session or a slot, else with an entry,
// else any. `findings` is not empty.
const fwd::FlowFinding& MostTelling(const std::vector<fwd::FlowFinding>& findings);

// `snapshot` is of the finding's generation.
void Explain(const model::Snapshot& snapshot, const fwd::FlowQuestion& question, const fwd::FlowFinding& finding,
             const fwd::DataplaneView& view, v1::ExplainFlowResponse* response);

// The headers of the packet that `backend` would get by `hop`, whose tunnel names `second` (empty: nobody);
// explain_packet.cc.
void DescribePacket(const model::VipRecord& vip, const model::BackendRecord& backend, const fwd::NextHop& hop,
                    const fwd::FlowQuestion& question, const fwd::FlowFinding& finding, const std::string& second,
                    v1::ExplainFlowResponse* response);

}  // namespace sluice::rpc

#endif  // SLUICE_CONTROLPLANE_RPC_EXPLAIN_H_
