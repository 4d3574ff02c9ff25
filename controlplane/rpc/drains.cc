#include <chrono>
#include <string>

#include "controlplane/model/text.h"
#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"
#include "controlplane/rpc/inspector.h"
#include "controlplane/rpc/manager.h"

// Drains as operations, of both halves of the API.
namespace sluice::rpc {
namespace {

using model::Cat;
using std::chrono::system_clock;

constexpr uint32_t kMaxDeadlineS = 30 * 24 * 3600;

absl::StatusOr<drain::Order> OrderOf(const v1::StartDrainRequest& request) {
  drain::Order order{.pool = request.pool(), .backend = request.backend()};
  switch (request.scope()) {
    case v1::DRAIN_SCOPE_BACKEND:
      order.scope = drain::Scope::kBackend;
      break;
    case v1::DRAIN_SCOPE_POOL:
      order.scope = drain::Scope::kPool;
      break;
    case v1::DRAIN_SCOPE_NODE:
      order.scope = drain::Scope::kNode;
      break;
    default:
      return absl::InvalidArgumentError(
          "scope: says nothing; give DRAIN_SCOPE_BACKEND, DRAIN_SCOPE_POOL or DRAIN_SCOPE_NODE");
  }
  if ((order.scope == drain::Scope::kNode) == !order.pool.empty()) {
    return absl::InvalidArgumentError(order.pool.empty() ? "pool: is missing; which one is drained?"
                                                         : "pool: has no meaning for the node; leave it out");
  }
  if ((order.scope == drain::Scope::kBackend) != !order.backend.empty()) {
    return absl::InvalidArgumentError(order.backend.empty()
                                          ? "backend: is missing; which one is drained?"
                                          : "backend: has no meaning but with DRAIN_SCOPE_BACKEND; leave it out");
  }
  const bool is_node = order.scope == drain::Scope::kNode;
  switch (request.then()) {
    case v1::DRAIN_THEN_UNSPECIFIED:
    case v1::DRAIN_THEN_STOP:
      break;
    case v1::DRAIN_THEN_REMOVE:
      if (is_node) return absl::InvalidArgumentError("then: a node cannot be removed; give DRAIN_THEN_EXIT");
      order.then = drain::Then::kRemove;
      break;
    case v1::DRAIN_THEN_EXIT:
      if (!is_node) return absl::InvalidArgumentError("then: DRAIN_THEN_EXIT is for the node; give DRAIN_THEN_REMOVE");
      order.then = drain::Then::kExit;
      break;
    default:
      return absl::InvalidArgumentError(
          "then: says nothing; give DRAIN_THEN_STOP, DRAIN_THEN_REMOVE or DRAIN_THEN_EXIT");
  }
  if (request.deadline_s() > kMaxDeadlineS) {
    return absl::InvalidArgumentError(Cat("deadline_s: ", request.deadline_s(), " is out of range; give at most ",
                                          kMaxDeadlineS, " (30 days), or 0 for none"));
  }
  order.deadline = std::chrono::seconds(request.deadline_s());
  return order;
}

v1::DrainPhase ToProto(drain::Phase phase) {
  switch (phase) {
    case drain::Phase::kDraining:
      return v1::DRAIN_PHASE_DRAINING;
    case drain::Phase::kFinished:
      return v1::DRAIN_PHASE_FINISHED;
    case drain::Phase::kExpired:
      return v1::DRAIN_PHASE_EXPIRED;
    case drain::Phase::kCancelled:
      return v1::DRAIN_PHASE_CANCELLED;
    case drain::Phase::kFailed:
      return v1::DRAIN_PHASE_FAILED;
  }
  return v1::DRAIN_PHASE_UNSPECIFIED;
}

v1::DrainThen ToProto(drain::Then then) {
  switch (then) {
    case drain::Then::kStop:
      return v1::DRAIN_THEN_STOP;
    case drain::Then::kRemove:
      return v1::DRAIN_THEN_REMOVE;
    case drain::Then::kExit:
      return v1::DRAIN_THEN_EXIT;
  }
  return v1::DRAIN_THEN_UNSPECIFIED;
}

v1::DrainScope ToProto(drain::Scope scope) {
  switch (scope) {
    case drain::Scope::kBackend:
      return v1::DRAIN_SCOPE_BACKEND;
    case drain::Scope::kPool:
      return v1::DRAIN_SCOPE_POOL;
    case drain::Scope::kNode:
      return v1::DRAIN_SCOPE_NODE;
  }
  return v1::DRAIN_SCOPE_UNSPECIFIED;
}

void ToProto(const drain::Drain& drain, v1::Drain* message) {
  message->set_id(drain.id);
  message->set_scope(ToProto(drain.order.scope));
  message->set_pool(drain.order.pool);
  message->set_backend(drain.order.backend);
  message->set_deadline_s(static_cast<uint32_t>(drain.order.deadline.count()));
  message->set_then(ToProto(drain.order.then));
  message->set_user(drain.user);
  message->set_phase(ToProto(drain.phase));
  message->set_started_unix_ms(UnixMs(drain.started_at));
  if (drain.ended_at != drain::Time()) message->set_ended_unix_ms(UnixMs(drain.ended_at));
  for (const drain::Member& member : drain.members) message->add_backends(Cat(member.pool, "/", member.backend));
  message->set_flows_at_start(drain.flows_at_start);
  message->set_flows_left(drain.flows_left);
  message->set_bytes(drain.bytes);
  message->set_bytes_per_s(drain.bytes_per_s);
  if (const auto left = drain.EstimatedLeft(system_clock::now())) {
    message->set_estimated_left_s(static_cast<uint32_t>(left->count()));
  }
  message->set_message(drain.message);
  message->set_counts_flows(drain.counts_flows);
}

absl::Status NoDrains() { return absl::UnimplementedError("this instance has no drains"); }

// What the audit log and the answer of Run say of a call that is about a drain.
reconcile::Outcome OutcomeOf(const model::Snapshot& now, const drain::Drain& drain) {
  reconcile::Outcome outcome;
  outcome.generation = now.generation;
  outcome.version = now.version;
  outcome.changes = {Cat("~ ", drain.object(), ": drain ", drain.id, " ", drain::PhaseName(drain.phase))};
  return outcome;
}

}  // namespace

grpc::Status Manager::StartDrain(grpc::ServerContext* context, const v1::StartDrainRequest* request,
                                 v1::Drain* response) {
  const bool is_node = request->scope() == v1::DRAIN_SCOPE_NODE;
  const bool removes = request->then() == v1::DRAIN_THEN_REMOVE;
  const Call call{.action = "StartDrain",
                  .object = is_node                      ? std::string("node")
                            : request->backend().empty() ? Cat("pool ", request->pool())
                                                         : Cat("backend ", request->pool(), "/", request->backend()),
                  .target = is_node ? Target{Target::Kind::kInventory} : Target{Target::Kind::kPool, request->pool()},
                  .also_with_file = is_node || !removes};
  return Run(context, *request, call, [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
    const auto order = OrderOf(*request);
    if (!order.ok()) return order.status();
    if (options_.drains == nullptr) return NoDrains();
    const auto drain = options_.drains->Start(*order, by.author.user, system_clock::now());
    if (!drain.ok()) return drain.status();
    ToProto(*drain, response);
    return OutcomeOf(reconciler_.Current(), *drain);
  });
}

grpc::Status Manager::CancelDrain(grpc::ServerContext* context, const v1::CancelDrainRequest* request,
                                  v1::Drain* response) {
  const absl::StatusOr<drain::Drain> known =
      options_.drains == nullptr ? NoDrains() : options_.drains->Get(request->id());
  const bool of_pool = known.ok() && known->order.scope != drain::Scope::kNode;
  const Call call{.action = "CancelDrain",
                  .object = Cat("drain ", request->id(), known.ok() ? " of " : "", known.ok() ? known->object() : ""),
                  .target = of_pool ? Target{Target::Kind::kPool, known->order.pool} : Target{Target::Kind::kInventory},
                  .also_with_file = true};
  return Run(context, *request, call, [&](const model::ChangeRequest& by) -> absl::StatusOr<reconcile::Outcome> {
    if (options_.drains == nullptr) return NoDrains();
    const auto drain = options_.drains->Cancel(request->id(), by.author.user, system_clock::now());
    if (!drain.ok()) return drain.status();
    ToProto(*drain, response);
    return OutcomeOf(reconciler_.Current(), *drain);
  });
}

grpc::Status Inspector::GetDrain(grpc::ServerContext* context, const v1::GetDrainRequest* request,
                                 v1::Drain* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  if (options_.drains == nullptr) return ToGrpc(NoDrains());
  const absl::StatusOr<drain::Drain> drain = options_.drains->Get(request->id());
  if (drain.ok()) ToProto(*drain, response);
  return ToGrpc(drain.status());
}

grpc::Status Inspector::ListDrains(grpc::ServerContext* context, const v1::ListDrainsRequest* request,
                                   v1::ListDrainsResponse* response) {
  if (grpc::Status status = MayLook(context, *request); !status.ok()) return status;
  if (options_.drains == nullptr) return ToGrpc(NoDrains());
  for (const drain::Drain& drain : options_.drains->List()) {
    if (request->only_on_their_way() && !drain.on_its_way()) continue;
    ToProto(drain, response->add_drains());
  }
  return grpc::Status::OK;
}

}  // namespace sluice::rpc
