#include <charconv>
#include <functional>
#include <iostream>
#include <iterator>
#include <string>

#include "config/limits.h"
#include "config/load.h"
#include "config/text.h"
#include "controlplane/rpc/convert.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/units.h"

// The commands that change.
namespace sluice::ctl {
namespace {

using config::Cat;

template <typename Stub, typename Request, typename Response>
absl::Status Change(Invocation& invocation,
                    grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, const std::function<void(const Response&)>& print) {
  absl::StatusOr<Client> client = Client::Connect(invocation.server);
  if (!client.ok()) return client.status();
  Response response;
  if (absl::Status status = client->Call(method, request, &response); !status.ok()) return status;
  if (invocation.json) {
    PrintJson(response, invocation.out);
  } else {
    print(response);
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> ReadNumber(std::string_view flag, const std::string& text, const config::Range& range) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && range.Contains(number)) return number;
  return UsageError(Cat("--", flag, ": \"", text, "\" is not a whole number from ", range.min, " to ", range.max));
}

absl::StatusOr<config::ServiceConfig> LoadDesired(const std::string& file) {
  if (file != "-") return config::LoadServicesFile(file);
  const std::string text{std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>()};
  return config::LoadServicesText(text, "standard input");
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
  return Change<v1::Manager::Stub, v1::ReportHealthRequest, v1::ReportHealthResponse>(
      invocation, &v1::Manager::Stub::ReportHealth, request,
      [&](const v1::ReportHealthResponse& response) { PrintBackendLine(response.backend(), invocation.out); });
}

}  // namespace

absl::Status RunApply(Invocation& invocation) {
  if (!invocation.arguments.Has("file")) {
    return UsageError("-f FILE is missing; use: sluicectl apply -f FILE (- reads standard input)");
  }
  const absl::StatusOr<config::ServiceConfig> desired = LoadDesired(invocation.arguments.Get("file", ""));
  if (!desired.ok()) return desired.status();
  v1::ApplyRequest request;
  rpc::ToProto(*desired, request.mutable_desired());
  return Change<v1::Manager::Stub, v1::ApplyRequest, v1::ApplyResponse>(
      invocation, &v1::Manager::Stub::Apply, request, [&](const v1::ApplyResponse& response) {
        for (const std::string& line : response.changes()) invocation.out << line << "\n";
        if (response.changes().empty()) {
          invocation.out << "nothing differs, state generation " << response.state_generation() << " stays\n";
        } else {
          invocation.out << "applied " << response.changes_size()
                         << (response.changes_size() == 1 ? " change" : " changes") << ", state generation "
                         << response.state_generation() << "\n";
        }
      });
}

absl::Status RunBackendAdd(Invocation& invocation) {
  v1::AddBackendRequest request;
  request.set_pool(invocation.operands[0]);
  request.mutable_backend()->set_name(invocation.operands[1]);
  request.mutable_backend()->set_address(invocation.operands[2]);
  if (invocation.arguments.Has("weight")) {
    const absl::StatusOr<uint32_t> weight =
        ReadNumber("weight", invocation.arguments.Get("weight", ""), config::limits::kWeight);
    if (!weight.ok()) return weight.status();
    request.mutable_backend()->set_weight(*weight);
  }
  if (invocation.arguments.Has("port")) {
    const absl::StatusOr<uint32_t> port =
        ReadNumber("port", invocation.arguments.Get("port", ""), config::limits::kL4Port);
    if (!port.ok()) return port.status();
    request.mutable_backend()->set_port(*port);
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
