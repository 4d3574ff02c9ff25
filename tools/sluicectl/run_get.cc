#include <algorithm>
#include <functional>
#include <set>
#include <string>
#include <vector>

#include "config/text.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/run.h"

// The commands that look.
namespace sluice::ctl {
namespace {

using config::Cat;

// Connects, calls and prints; `adjust` may change the answer or refuse it.
template <typename Stub, typename Request, typename Response>
absl::Status Show(Invocation& invocation, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                  const std::function<absl::Status(Response&)>& adjust,
                  const std::function<void(const Response&)>& print) {
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  Response response;
  if (absl::Status status = client->Call(method, Request(), &response); !status.ok()) return status;
  if (absl::Status status = adjust(response); !status.ok()) return status;
  if (invocation.json) {
    PrintMessage(response, invocation);
  } else {
    print(response);
  }
  return absl::OkStatus();
}

template <typename Response>
absl::Status KeepAll(Response&) {
  return absl::OkStatus();
}

// Keeps the items that one of `wanted` names; all when there are none. `names_of` gives every name of an item.
// kNotFound for names that no item has.
template <typename Items, typename NamesOf>
absl::Status KeepNamed(Items* items, const std::vector<std::string>& wanted, std::string_view kind, NamesOf names_of) {
  if (wanted.empty()) return absl::OkStatus();
  std::set<std::string> missing(wanted.begin(), wanted.end());
  Items kept;
  for (const auto& item : *items) {
    bool keep = false;
    for (const std::string& name : names_of(item)) {
      if (std::find(wanted.begin(), wanted.end(), name) == wanted.end()) continue;
      missing.erase(name);
      keep = true;
    }
    if (keep) *kept.Add() = item;
  }
  if (!missing.empty()) return absl::NotFoundError(Cat("there is no ", kind, " \"", *missing.begin(), "\""));
  items->Swap(&kept);
  return absl::OkStatus();
}

}  // namespace

absl::Status RunStatus(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::GetStatusRequest, v1::GetStatusResponse>(
      invocation, &v1::Inspector::Stub::GetStatus, KeepAll<v1::GetStatusResponse>,
      [&](const v1::GetStatusResponse& response) { PrintStatus(response, invocation.out); });
}

absl::Status RunStats(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::GetStatsRequest, v1::GetStatsResponse>(
      invocation, &v1::Inspector::Stub::GetStats, KeepAll<v1::GetStatsResponse>,
      [&](const v1::GetStatsResponse& response) { PrintStats(response.packets(), invocation.out); });
}

absl::Status RunGetVips(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::ListVipsRequest, v1::ListVipsResponse>(
      invocation, &v1::Inspector::Stub::ListVips,
      [&](v1::ListVipsResponse& response) {
        return KeepNamed(response.mutable_vips(), invocation.operands, "VIP",
                         [](const v1::VipStatus& vip) { return std::vector<std::string>{vip.vip().name()}; });
      },
      [&](const v1::ListVipsResponse& response) { PrintVips(response, invocation.wide, invocation.out); });
}

absl::Status RunGetPools(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::ListPoolsRequest, v1::ListPoolsResponse>(
      invocation, &v1::Inspector::Stub::ListPools,
      [&](v1::ListPoolsResponse& response) {
        return KeepNamed(response.mutable_pools(), invocation.operands, "pool",
                         [](const v1::PoolStatus& pool) { return std::vector<std::string>{pool.pool().name()}; });
      },
      [&](const v1::ListPoolsResponse& response) { PrintPools(response, invocation.out); });
}

absl::Status RunGetBackends(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::ListBackendsRequest, v1::ListBackendsResponse>(
      invocation, &v1::Inspector::Stub::ListBackends,
      [&](v1::ListBackendsResponse& response) {
        return KeepNamed(
            response.mutable_backends(), invocation.operands, "pool or backend", [](const v1::BackendStatus& backend) {
              return std::vector<std::string>{backend.pool(), Cat(backend.pool(), "/", backend.backend().name())};
            });
      },
      [&](const v1::ListBackendsResponse& response) { PrintBackends(response, invocation.wide, invocation.out); });
}

absl::Status RunGetPorts(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::ListPortsRequest, v1::ListPortsResponse>(
      invocation, &v1::Inspector::Stub::ListPorts,
      [&](v1::ListPortsResponse& response) {
        return KeepNamed(response.mutable_ports(), invocation.operands, "port",
                         [](const v1::PortStatus& port) { return std::vector<std::string>{port.name()}; });
      },
      [&](const v1::ListPortsResponse& response) { PrintPorts(response, invocation.out); });
}

absl::Status RunGetWorkers(Invocation& invocation) {
  return Show<v1::Inspector::Stub, v1::ListWorkersRequest, v1::ListWorkersResponse>(
      invocation, &v1::Inspector::Stub::ListWorkers,
      [&](v1::ListWorkersResponse& response) {
        return KeepNamed(response.mutable_workers(), invocation.operands, "worker", [](const v1::WorkerStatus& worker) {
          return std::vector<std::string>{std::to_string(worker.id())};
        });
      },
      [&](const v1::ListWorkersResponse& response) { PrintWorkers(response, invocation.out); });
}

}  // namespace sluice::ctl
