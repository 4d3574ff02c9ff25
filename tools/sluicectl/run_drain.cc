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
#include "tools/sluicectl/units.h"

// The command that drains and waits.
namespace sluice::ctl {
namespace {

using config::Cat;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook(500);
constexpr uint64_t kDefaultTimeoutS = 3600;

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

absl::Status WaitForNoFlows(Client& client, const BackendName& name, uint64_t at_start, uint64_t timeout_s,
                            std::ostream& out) {
  const bool live = isatty(STDOUT_FILENO) == 1;
  const Clock::time_point start = Clock::now();
  v1::GetBackendRequest request;
  request.set_pool(name.pool);
  request.set_backend(name.backend);
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
                     Cat("after ", HumanDuration(seconds), " ", HumanCount(left), " flows are left on ", name.pool, "/",
                         name.backend, "; the drain stays: wait on, or `sluicectl backend undrain ", name.pool, " ",
                         name.backend, "`"));
    }
    std::this_thread::sleep_for(kLook);
  }
}

}  // namespace

absl::Status RunDrain(Invocation& invocation) {
  const absl::StatusOr<BackendName> name = ReadBackendName(invocation.operands[0]);
  if (!name.ok()) return name.status();
  const absl::StatusOr<uint64_t> timeout_s =
      ReadNumber("--timeout", invocation.arguments.Get("timeout", std::to_string(kDefaultTimeoutS)));
  if (!timeout_s.ok()) return timeout_s.status();
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::DrainBackendRequest request;
  request.set_pool(name->pool);
  request.set_backend(name->backend);
  v1::DrainBackendResponse response;
  if (absl::Status status = client->Call(&v1::Manager::Stub::DrainBackend, request, &response); !status.ok()) {
    return status;
  }
  const v1::BackendStatus& backend = response.backend();
  if (invocation.json) {
    PrintMessage(response, invocation);
  } else {
    invocation.out << invocation.operands[0] << ": " << StateText(backend) << ", " << HumanCount(backend.flows_alive())
                   << " flows alive\n";
  }
  if (!invocation.arguments.Has("wait")) return absl::OkStatus();
  // With another language on standard output the progress is not part of the answer.
  std::ostream& progress = invocation.json ? std::cerr : invocation.out;
  absl::Status status = WaitForNoFlows(*client, *name, backend.flows_alive(), *timeout_s, progress);
  if (status.ok()) progress << invocation.operands[0] << " has no flows; it can be removed without harm\n";
  return status;
}

}  // namespace sluice::ctl
