#include <unistd.h>

#include <algorithm>
#include <charconv>
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

// Drains as operations: their start, a look at them, and their end.
namespace sluice::ctl {
namespace {

using config::Cat;

constexpr std::chrono::milliseconds kLook(500);
constexpr uint64_t kDefaultTimeoutS = 3600;

// "90", "90s", "10m", "2h"
absl::StatusOr<uint32_t> ReadDuration(const std::string& text) {
  uint32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const std::string unit(static_cast<const char*>(end), text.data() + text.size());
  const uint32_t factor = unit.empty() || unit == "s" ? 1 : unit == "m" ? 60 : unit == "h" ? 3600 : 0;
  if (error != std::errc() || factor == 0 || number > UINT32_MAX / factor) {
    return UsageError(Cat("--deadline: \"", text, "\" is no time; write it like 90s, 10m or 2h"));
  }
  return number * factor;
}

std::string_view PhaseText(v1::DrainPhase phase) {
  switch (phase) {
    case v1::DRAIN_PHASE_DRAINING:
      return "draining";
    case v1::DRAIN_PHASE_FINISHED:
      return "finished";
    case v1::DRAIN_PHASE_EXPIRED:
      return "expired";
    case v1::DRAIN_PHASE_CANCELLED:
      return "cancelled";
    case v1::DRAIN_PHASE_FAILED:
      return "failed";
    default:
      return "unknown";  // of a newer server
  }
}

std::string ObjectText(const v1::Drain& drain) {
  switch (drain.scope()) {
    case v1::DRAIN_SCOPE_BACKEND:
      return Cat("backend ", drain.pool(), "/", drain.backend());
    case v1::DRAIN_SCOPE_POOL:
      return Cat("pool ", drain.pool());
    default:
      return "node";
  }
}

uint64_t SecondsSoFar(const v1::Drain& drain) {
  const auto now =
      std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::system_clock::now().time_since_epoch());
  const auto end = drain.ended_unix_ms() != 0 ? drain.ended_unix_ms() : static_cast<uint64_t>(now.count());
  return end > drain.started_unix_ms() ? (end - drain.started_unix_ms()) / 1000 : 0;
}

// "[##########----------]  12 of 24 flows left, 1.20MiB/s, 1m5s of 10m, about 1m4s to go"
std::string ProgressText(const v1::Drain& drain) {
  constexpr size_t kWidth = 30;
  const uint64_t left = drain.flows_left();
  const uint64_t base = std::max({drain.flows_at_start(), left, uint64_t{1}});
  const auto done = static_cast<size_t>((base - left) * kWidth / base);
  std::string text = Cat("[", std::string(done, '#'), std::string(kWidth - done, '-'), "]  ", HumanCount(left), " of ",
                         HumanCount(base), " flows left, ", HumanBytes(static_cast<uint64_t>(drain.bytes_per_s())),
                         "/s, ", HumanDuration(SecondsSoFar(drain)));
  if (drain.deadline_s() != 0) text += Cat(" of ", HumanDuration(drain.deadline_s()));
  if (drain.has_estimated_left_s()) text += Cat(", about ", HumanDuration(drain.estimated_left_s()), " to go");
  if (!drain.counts_flows()) text += ", until nothing comes";
  return text;
}

void PrintDrain(const v1::Drain& drain, std::ostream& out) {
  out << "drain " << drain.id() << " of " << ObjectText(drain) << ": " << PhaseText(drain.phase());
  if (!drain.message().empty()) {
    out << ", " << drain.message();
  } else {
    out << ", " << HumanCount(drain.flows_left()) << " flows left";
  }
  out << "\n";
}

// Follows the drain to its end, but not for longer than `timeout_s`.
absl::Status WaitForEnd(Client& client, v1::Drain drain, uint64_t timeout_s, std::ostream& out) {
  const bool live = isatty(STDOUT_FILENO) == 1;
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_s);
  v1::GetDrainRequest request;
  request.set_id(drain.id());
  std::string last;
  while (drain.phase() == v1::DRAIN_PHASE_DRAINING) {
    const std::string text = ProgressText(drain);
    // A terminal's line is renewed; elsewhere each number of flows is a line.
    const std::string key = text.substr(0, text.find(" flows left"));
    if (live) {
      out << "\r\x1b[K" << text << std::flush;
    } else if (key != last) {
      out << text << "\n" << std::flush;
    }
    last = key;
    if (std::chrono::steady_clock::now() >= give_up) {
      if (live) out << "\n";
      return Failure(kExitFlowsLeft, absl::StatusCode::kDeadlineExceeded,
                     Cat("after ", HumanDuration(timeout_s), " ", HumanCount(drain.flows_left()),
                         " flows are left; the drain goes on: `sluicectl get drains`, or `sluicectl drain cancel ",
                         drain.id(), "`"));
    }
    std::this_thread::sleep_for(kLook);
    if (absl::Status status = client.Call(&v1::Inspector::Stub::GetDrain, request, &drain); !status.ok()) {
      if (live) out << "\n";
      // The last that is heard of a node that was to end.
      const bool ends = drain.scope() == v1::DRAIN_SCOPE_NODE && drain.then() == v1::DRAIN_THEN_REMOVE;
      if (ends && absl::IsUnavailable(status)) return absl::OkStatus();
      return status;
    }
  }
  if (live) out << "\n";
  if (drain.phase() == v1::DRAIN_PHASE_EXPIRED) {
    return Failure(kExitFlowsLeft, absl::StatusCode::kDeadlineExceeded,
                   Cat("drain ", drain.id(), " of ", ObjectText(drain), ": ", drain.message()));
  }
  PrintDrain(drain, out);
  if (drain.phase() == v1::DRAIN_PHASE_FINISHED) return absl::OkStatus();
  return absl::AbortedError(Cat("drain ", drain.id(), " of ", ObjectText(drain), " did not finish"));
}

absl::Status StartDrain(Invocation& invocation, v1::StartDrainRequest request) {
  const absl::StatusOr<uint64_t> timeout_s =
      ReadNumber("--timeout", invocation.arguments.Get("timeout", std::to_string(kDefaultTimeoutS)));
  if (!timeout_s.ok()) return timeout_s.status();
  if (invocation.arguments.Has("deadline")) {
    const absl::StatusOr<uint32_t> deadline = ReadDuration(invocation.arguments.Get("deadline", ""));
    if (!deadline.ok()) return deadline.status();
    request.set_deadline_s(*deadline);
  }
  const std::string then = invocation.arguments.Get("then", "stop");
  if (then != "stop" && then != "remove") {
    return UsageError(Cat("--then: \"", then, "\" is not one of stop, remove"));
  }
  request.set_then(then == "remove" ? v1::DRAIN_THEN_REMOVE : v1::DRAIN_THEN_STOP);
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::Drain drain;
  if (absl::Status status = client->Call(&v1::Manager::Stub::StartDrain, request, &drain); !status.ok()) return status;
  if (invocation.json) {
    PrintMessage(drain, invocation);
  } else {
    PrintDrain(drain, invocation.out);
  }
  if (!invocation.arguments.Has("wait")) return absl::OkStatus();
  // With another language on standard output the progress is not part of the answer.
  return WaitForEnd(*client, drain, *timeout_s, invocation.json ? std::cerr : invocation.out);
}

}  // namespace

absl::Status RunDrainBackend(Invocation& invocation) {
  const absl::StatusOr<BackendName> name = ReadBackendName(invocation.operands[0]);
  if (!name.ok()) return name.status();
  v1::StartDrainRequest request;
  request.set_scope(v1::DRAIN_SCOPE_BACKEND);
  request.set_pool(name->pool);
  request.set_backend(name->backend);
  return StartDrain(invocation, request);
}

absl::Status RunDrainPool(Invocation& invocation) {
  v1::StartDrainRequest request;
  request.set_scope(v1::DRAIN_SCOPE_POOL);
  request.set_pool(invocation.operands[0]);
  return StartDrain(invocation, request);
}

absl::Status RunDrainNode(Invocation& invocation) {
  v1::StartDrainRequest request;
  request.set_scope(v1::DRAIN_SCOPE_NODE);
  return StartDrain(invocation, request);
}

absl::Status RunDrainCancel(Invocation& invocation) {
  v1::CancelDrainRequest request;
  const absl::StatusOr<uint64_t> id = ReadNumber("the drain's number", invocation.operands[0]);
  if (!id.ok()) return id.status();
  request.set_id(*id);
  return Change<v1::Manager::Stub, v1::CancelDrainRequest, v1::Drain>(
      invocation, &v1::Manager::Stub::CancelDrain, request,
      [&](const v1::Drain& drain) { PrintDrain(drain, invocation.out); });
}

absl::Status RunGetDrains(Invocation& invocation) {
  return Change<v1::Inspector::Stub, v1::ListDrainsRequest, v1::ListDrainsResponse>(
      invocation, &v1::Inspector::Stub::ListDrains, v1::ListDrainsRequest(), [&](const v1::ListDrainsResponse& list) {
        Table table({{"ID", Align::kRight},
                     {"OBJECT"},
                     {"PHASE"},
                     {"FLOWS", Align::kRight},
                     {"OF", Align::kRight},
                     {"TIME", Align::kRight},
                     {"DEADLINE", Align::kRight},
                     {"THEN"},
                     {"USER"},
                     {"MESSAGE"}});
        for (const v1::Drain& drain : list.drains()) {
          table.AddRow({std::to_string(drain.id()), ObjectText(drain), std::string(PhaseText(drain.phase())),
                        HumanCount(drain.flows_left()), HumanCount(drain.flows_at_start()),
                        HumanDuration(SecondsSoFar(drain)),
                        drain.deadline_s() == 0 ? "-" : HumanDuration(drain.deadline_s()),
                        drain.then() == v1::DRAIN_THEN_REMOVE ? "remove" : "stop", drain.user(), drain.message()});
        }
        table.Print(invocation.out);
      });
}

}  // namespace sluice::ctl
