#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <string>
#include <thread>

#include "config/text.h"
#include "tools/sluicectl/change.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

// The command that drains and waits, and the one that describes.
namespace sluice::ctl {
namespace {

using config::Cat;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(500);
constexpr uint64_t kDefaultTimeoutS = 3600;

struct Names {
  std::string pool;
  std::string backend;
};
absl::StatusOr<Names> SplitNames(const std::string& text) {
  const size_t slash = text.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text.size()) {
    return UsageError(Cat("\"", text, "\" does not name a backend; write POOL/BACKEND"));
  }
  return Names{text.substr(0, slash), text.substr(slash + 1)};
}

// "[##########----------]  12 of 24 flows left, 1m5s, about 1m4s to go"
std::string ProgressText(uint64_t at_start, uint64_t left, uint64_t seconds) {
  constexpr size_t kWidth = 30;
  const uint64_t base = std::max(at_start, std::max<uint64_t>(left, 1));
  const auto done = static_cast<size_t>((base - left) * kWidth / base);
  std::string text = Cat("[", std::string(done, '#'), std::string(kWidth - done, '-'), "]  ", HumanCount(left), " of ",
                         HumanCount(base), " flows left, ", HumanDuration(seconds));
  if (left > 0 && base > left) text += Cat(", about ", HumanDuration(seconds * left / (base - left)), " to go");
  return text;
}

absl::Status WaitForNoFlows(Client& client, const Names& names, uint64_t at_start, uint64_t timeout_s,
                            std::ostream& out) {
  const bool live = isatty(STDOUT_FILENO) == 1;
  const Clock::time_point start = Clock::now();
  v1::GetBackendRequest request;
  request.set_pool(names.pool);
  request.set_backend(names.backend);
  uint64_t last = at_start + 1;
  if (at_start == 0) return absl::OkStatus();
  for (;;) {
    v1::BackendStatus backend;
    if (absl::Status status = client.Call(&v1::Inspector::Stub::GetBackend, request, &backend); !status.ok()) {
      return status;
    }
    const uint64_t left = backend.flows_alive();
    const auto seconds =
        static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - start).count());
    // A terminal's line is renewed; elsewhere each step is a line.
    if (live) {
      out << "\r\x1b[K" << ProgressText(at_start, left, seconds) << std::flush;
    } else if (left != last) {
      out << ProgressText(at_start, left, seconds) << "\n" << std::flush;
    }
    last = left;
    if (left == 0 || seconds >= timeout_s) {
      if (live) out << "\n";
      if (left == 0) return absl::OkStatus();
      return Failure(kExitFlowsLeft, absl::StatusCode::kDeadlineExceeded,
                     Cat("after ", HumanDuration(seconds), " ", HumanCount(left), " flows are left on ", names.pool,
                         "/", names.backend, "; the drain stays: wait on, or `sluicectl backend undrain ", names.pool,
                         " ", names.backend, "`"));
    }
    std::this_thread::sleep_for(kLook);
  }
}

void PrintBackend(const v1::BackendStatus& backend, std::ostream& out) {
  v1::ListBackendsResponse one;
  *one.add_backends() = backend;
  PrintBackends(one, out);
}

}  // namespace

absl::Status RunDrain(Invocation& invocation) {
  const absl::StatusOr<Names> names = SplitNames(invocation.operands[0]);
  if (!names.ok()) return names.status();
  const absl::StatusOr<uint64_t> timeout_s =
      ReadNumber("--timeout", invocation.arguments.Get("timeout", std::to_string(kDefaultTimeoutS)));
  if (!timeout_s.ok()) return timeout_s.status();
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::DrainBackendRequest request;
  request.set_pool(names->pool);
  request.set_backend(names->backend);
  v1::DrainBackendResponse response;
  if (absl::Status status = client->Call(&v1::Manager::Stub::DrainBackend, request, &response); !status.ok()) {
    return status;
  }
  const v1::BackendStatus& backend = response.backend();
  if (invocation.json) {
    PrintJson(response, invocation.out);
  } else {
    invocation.out << invocation.operands[0] << ": " << LifecycleText(backend.lifecycle()) << ", "
                   << HumanCount(backend.flows_alive()) << " flows alive\n";
  }
  if (!invocation.arguments.Has("wait")) return absl::OkStatus();
  // With another language on standard output the progress is not part of the answer.
  std::ostream& progress = invocation.json ? std::cerr : invocation.out;
  absl::Status status = WaitForNoFlows(*client, *names, backend.flows_alive(), *timeout_s, progress);
  if (status.ok()) progress << invocation.operands[0] << " has no flows; it can be removed without harm\n";
  return status;
}

absl::Status RunDescribe(Invocation& invocation) {
  const std::string& kind = invocation.operands[0];
  const std::string& name = invocation.operands[1];
  if (kind == "vip") {
    v1::GetVipRequest request;
    request.set_name(name);
    return Change<v1::Inspector::Stub, v1::GetVipRequest, v1::VipStatus>(
        invocation, &v1::Inspector::Stub::GetVip, request, [&](const v1::VipStatus& vip) {
          v1::ListVipsResponse one;
          *one.add_vips() = vip;
          PrintVips(one, /*wide=*/true, invocation.out);
          invocation.out << "\nconfiguration:\n" << vip.vip().DebugString();
        });
  }
  if (kind == "pool") {
    v1::GetPoolRequest request;
    request.set_name(name);
    return Change<v1::Inspector::Stub, v1::GetPoolRequest, v1::PoolStatus>(
        invocation, &v1::Inspector::Stub::GetPool, request, [&](const v1::PoolStatus& pool) {
          std::string vips;
          for (const std::string& vip : pool.vips()) vips += Cat(vips.empty() ? "" : ", ", vip);
          invocation.out << "pool          " << pool.pool().name() << "\ntable size    " << pool.pool().table_size()
                         << "\nVIPs          " << (vips.empty() ? "-" : vips) << "\nactive        "
                         << pool.backends_active() << " of " << pool.backends_size() << "\nflows alive   "
                         << HumanCount(pool.flows_alive()) << "\n\n";
          v1::ListBackendsResponse backends;
          *backends.mutable_backends() = pool.backends();
          PrintBackends(backends, invocation.out);
        });
  }
  if (kind == "backend") {
    const absl::StatusOr<Names> names = SplitNames(name);
    if (!names.ok()) return names.status();
    v1::GetBackendRequest request;
    request.set_pool(names->pool);
    request.set_backend(names->backend);
    return Change<v1::Inspector::Stub, v1::GetBackendRequest, v1::BackendStatus>(
        invocation, &v1::Inspector::Stub::GetBackend, request,
        [&](const v1::BackendStatus& backend) { PrintBackend(backend, invocation.out); });
  }
  return UsageError(Cat("\"", kind, "\" cannot be described", Suggestion(kind, {"vip", "pool", "backend"}),
                        "; use: sluicectl describe vip NAME, pool NAME or backend POOL/NAME"));
}

}  // namespace sluice::ctl
