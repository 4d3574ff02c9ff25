#include <string>

#include "config/limits.h"
#include "config/text.h"
#include "tools/sluicectl/change.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/units.h"

// The commands that change.
namespace sluice::ctl {
namespace {

using config::Cat;

absl::StatusOr<uint32_t> NumberIn(const Invocation& invocation, std::string_view flag, const config::Range& range) {
  const auto number = ReadNumber(Cat("--", flag), invocation.arguments.Get(flag, ""), range.min, range.max);
  if (!number.ok()) return number.status();
  return static_cast<uint32_t>(*number);
}

// "web/web-1 (192.0.2.11, weight 100): draining, 12 flows alive"
void PrintBackendLine(const v1::BackendStatus& backend, std::ostream& out) {
  out << backend.pool() << "/" << backend.backend().name() << " (" << BackendText(backend.backend()) << ", weight "
      << backend.backend().weight() << "): " << StateText(backend) << ", " << HumanCount(backend.flows_alive())
      << " flows alive\n";
}

absl::Status ReportHealth(Invocation& invocation, v1::BackendHealth health) {
  v1::ReportHealthRequest request;
  request.set_pool(invocation.operands[0]);
  request.set_backend(invocation.operands[1]);
  request.set_health(health);
  request.set_reason(invocation.arguments.Get("reason", ""));
  return Change<v1::Manager::Stub, v1::ReportHealthRequest, v1::ReportHealthResponse>(
      invocation, &v1::Manager::Stub::ReportHealth, request,
      [&](const v1::ReportHealthResponse& response) { PrintBackendLine(response.backend(), invocation.out); });
}

}  // namespace

absl::Status RunBackendAdd(Invocation& invocation) {
  v1::AddBackendRequest request;
  request.set_pool(invocation.operands[0]);
  request.mutable_backend()->set_name(invocation.operands[1]);
  request.mutable_backend()->set_address(invocation.operands[2]);
  if (invocation.arguments.Has("weight")) {
    const absl::StatusOr<uint32_t> weight = NumberIn(invocation, "weight", config::limits::kWeight);
    if (!weight.ok()) return weight.status();
    request.mutable_backend()->set_weight(*weight);
  }
  if (invocation.arguments.Has("port")) {
    const absl::StatusOr<uint32_t> port = NumberIn(invocation, "port", config::limits::kL4Port);
    if (!port.ok()) return port.status();
    request.mutable_backend()->set_port(*port);
  }
  if (invocation.arguments.Has("cookie-id")) {
    const absl::StatusOr<uint32_t> id = NumberIn(invocation, "cookie-id", config::limits::kCookieId);
    if (!id.ok()) return id.status();
    request.mutable_backend()->set_cookie_id(*id);
  }
  return Change<v1::Manager::Stub, v1::AddBackendRequest, v1::AddBackendResponse>(
      invocation, &v1::Manager::Stub::AddBackend, request, [&](const v1::AddBackendResponse& response) {
        invocation.out << "added ";
        PrintBackendLine(response.backend(), invocation.out);
      });
}

absl::Status RunBackendRemove(Invocation& invocation) {
  v1::RemoveBackendRequest request;
  request.set_pool(invocation.operands[0]);
  request.set_backend(invocation.operands[1]);
  return Change<v1::Manager::Stub, v1::RemoveBackendRequest, v1::RemoveBackendResponse>(
      invocation, &v1::Manager::Stub::RemoveBackend, request, [&](const v1::RemoveBackendResponse& response) {
        invocation.out << "removed " << request.pool() << "/" << request.backend();
        if (response.flows_alive() > 0) {
          invocation.out << "; its " << HumanCount(response.flows_alive())
                         << " live flows are given to other backends (drain first to let flows finish)";
        }
        invocation.out << "\n";
      });
}

absl::Status RunBackendWeight(Invocation& invocation) {
  const std::string& pool_name = invocation.operands[0];
  const std::string& name = invocation.operands[1];
  const config::Range range = config::limits::kWeight;
  const absl::StatusOr<uint64_t> weight = ReadNumber("WEIGHT", invocation.operands[2], range.min, range.max);
  if (!weight.ok()) return weight.status();
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::GetDesiredResponse now;
  absl::Status status = client->Call(&v1::Inspector::Stub::GetDesired, v1::GetDesiredRequest(), &now);
  if (!status.ok()) return status;
  // All else stays as it is in this version; where somebody changes it meanwhile nothing is done.
  v1::UpdateBackendRequest request;
  request.set_pool(pool_name);
  request.set_expected_version(now.version());
  for (const v1::Pool& pool : now.desired().pools()) {
    if (pool.name() != pool_name) continue;
    for (const v1::Backend& backend : pool.backends()) {
      if (backend.name() == name) *request.mutable_backend() = backend;
    }
  }
  if (!request.has_backend()) {
    return absl::NotFoundError(
        Cat("there is no backend \"", pool_name, "/", name, "\"; `sluicectl get backends` lists them"));
  }
  request.mutable_backend()->set_weight(static_cast<uint32_t>(*weight));
  return Change<v1::Manager::Stub, v1::UpdateBackendRequest, v1::ChangeResponse>(
      invocation, &v1::Manager::Stub::UpdateBackend, request, [&](const v1::ChangeResponse& response) {
        for (const std::string& line : response.changes()) invocation.out << line << "\n";
        if (response.changes().empty()) invocation.out << "it has that weight already, ";
        invocation.out << "version " << response.version() << ", state generation " << response.state_generation()
                       << "\n";
      });
}

absl::Status RunBackendDrain(Invocation& invocation) {
  v1::DrainBackendRequest request;
  request.set_pool(invocation.operands[0]);
  request.set_backend(invocation.operands[1]);
  return Change<v1::Manager::Stub, v1::DrainBackendRequest, v1::DrainBackendResponse>(
      invocation, &v1::Manager::Stub::DrainBackend, request,
      [&](const v1::DrainBackendResponse& response) { PrintBackendLine(response.backend(), invocation.out); });
}

absl::Status RunBackendUndrain(Invocation& invocation) {
  v1::UndrainBackendRequest request;
  request.set_pool(invocation.operands[0]);
  request.set_backend(invocation.operands[1]);
  return Change<v1::Manager::Stub, v1::UndrainBackendRequest, v1::UndrainBackendResponse>(
      invocation, &v1::Manager::Stub::UndrainBackend, request,
      [&](const v1::UndrainBackendResponse& response) { PrintBackendLine(response.backend(), invocation.out); });
}

absl::Status RunBackendDown(Invocation& invocation) { return ReportHealth(invocation, v1::BACKEND_HEALTH_DOWN); }

absl::Status RunBackendUp(Invocation& invocation) { return ReportHealth(invocation, v1::BACKEND_HEALTH_UP); }

}  // namespace sluice::ctl
