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
// How long sluiced may be away while somebody waits.
constexpr std::chrono::seconds kPatience(30);
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

std::string_view ThenText(v1::DrainThen then) {
  return then == v1::DRAIN_THEN_REMOVE ? "remove" : then == v1::DRAIN_THEN_EXIT ? "exit" : "stop";
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
  const uint64_t base = std::max(drain.flows_at_start(), left);
  const auto done = base == 0 ? kWidth : static_cast<size_t>((base - left) * kWidth / base);
  std::string text = Cat("[", std::string(done, '#'), std::string(kWidth - done, '-'), "]  ", HumanCount(left), " of ",
                         HumanCount(base), " flows left, ", HumanBytes(static_cast<uint64_t>(drain.bytes_per_s())),
                         "/s, ", HumanDuration(SecondsSoFar(drain)));
  if (drain.deadline_s() != 0) text += Cat(" of ", HumanDuration(drain.deadline_s()));
  if (drain.has_estimated_left_s()) text += Cat(", about ", HumanDuration(drain.estimated_left_s()), " to go");
  if (drain.phase() == v1::DRAIN_PHASE_DRAINING && !drain.counts_flows()) text += ", until nothing comes";
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

// A line of progress: a terminal's is renewed; elsewhere each number of flows is a line.
class Progress {
 public:
  Progress(std::ostream& out, bool live) : out_(out), live_(live) {}
  ~Progress() {
    if (live_ && !last_.empty()) out_ << "\n";
  }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  void Show(const v1::Drain& drain) {
    const std::string text = ProgressText(drain);
    const std::string key = text.substr(0, text.find(" flows left"));
    if (live_) {
      out_ << "\r\x1b[K" << text << std::flush;
    } else if (key != last_) {
      out_ << text << "\n" << std::flush;
    }
    last_ = key;
  }

 private:
  std::ostream& out_;
  const bool live_;
  std::string last_;
};

bool EndsWithTheProcess(const v1::Drain& drain) { return drain.then() == v1::DRAIN_THEN_EXIT; }

// Follows the drain to its end, but not for longer than `timeout_s`. It lives in sluiced, so a restart of that is
// waited for.
absl::Status FollowToEnd(Client& client, uint64_t timeout_s, Progress& progress, v1::Drain* drain) {
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::seconds(timeout_s);
  auto lost_after = std::chrono::steady_clock::now() + kPatience;
  v1::GetDrainRequest request;
  request.set_id(drain->id());
  while (drain->phase() == v1::DRAIN_PHASE_DRAINING) {
    progress.Show(*drain);
    const auto now = std::chrono::steady_clock::now();
    if (now >= give_up) {
      return Failure(kExitFlowsLeft, absl::StatusCode::kDeadlineExceeded,
                     Cat("after ", HumanDuration(timeout_s), " ", HumanCount(drain->flows_left()),
                         " flows are left; the drain goes on: `sluicectl get drains`, or `sluicectl undrain id ",
                         drain->id(), "`"));
    }
    std::this_thread::sleep_for(kLook);
    v1::Drain now_there;
    const absl::Status status = client.Call(&v1::Inspector::Stub::GetDrain, request, &now_there);
    if (status.ok()) {
      *drain = now_there;
      lost_after = std::chrono::steady_clock::now() + kPatience;
      continue;
    }
    // Cancelled are calls that a server which ends has not answered.
    if (!absl::IsUnavailable(status) && !absl::IsCancelled(status)) return status;
    // The last that is heard of a node that was to end.
    if (EndsWithTheProcess(*drain)) {
      drain->set_phase(v1::DRAIN_PHASE_FINISHED);
      drain->set_message("sluiced has ended");
      return absl::OkStatus();
    }
    if (now >= lost_after) return status;
  }
  progress.Show(*drain);
  return absl::OkStatus();
}

absl::Status ResultOf(const v1::Drain& drain) {
  if (drain.phase() == v1::DRAIN_PHASE_FINISHED) return absl::OkStatus();
  const std::string text =
      Cat("drain ", drain.id(), " of ", ObjectText(drain), " ", PhaseText(drain.phase()), ": ", drain.message());
  if (drain.phase() == v1::DRAIN_PHASE_EXPIRED) {
    return Failure(kExitFlowsLeft, absl::StatusCode::kDeadlineExceeded, text);
  }
  return absl::AbortedError(text);
}

absl::StatusOr<v1::DrainThen> ReadThen(const std::string& text, v1::DrainScope scope) {
  if (text == "stop") return v1::DRAIN_THEN_STOP;
  const bool is_node = scope == v1::DRAIN_SCOPE_NODE;
  if (text == "remove" && !is_node) return v1::DRAIN_THEN_REMOVE;
  if (text == "exit" && is_node) return v1::DRAIN_THEN_EXIT;
  return UsageError(Cat("--then: \"", text, "\" is not one of stop, ", is_node ? "exit" : "remove"));
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
  const absl::StatusOr<v1::DrainThen> then = ReadThen(invocation.arguments.Get("then", "stop"), request.scope());
  if (!then.ok()) return then.status();
  request.set_then(*then);
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::Drain drain;
  if (absl::Status status = client->Call(&v1::Manager::Stub::StartDrain, request, &drain); !status.ok()) return status;
  const bool waits = invocation.arguments.Has("wait");
  if (!invocation.json) PrintDrain(drain, invocation.out);
  absl::Status status;
  if (waits) {
    // With another language on standard output the progress is not part of the answer.
    const int fd = invocation.json ? STDERR_FILENO : STDOUT_FILENO;
    Progress progress(invocation.json ? std::cerr : invocation.out, isatty(fd) == 1);
    status = FollowToEnd(*client, *timeout_s, progress, &drain);
  }
  if (invocation.json) PrintMessage(drain, invocation);
  if (!waits || !status.ok()) return status;
  if (!invocation.json && drain.phase() == v1::DRAIN_PHASE_FINISHED) PrintDrain(drain, invocation.out);
  return ResultOf(drain);
}

absl::Status CancelDrain(Invocation& invocation, uint64_t id) {
  v1::CancelDrainRequest request;
  request.set_id(id);
  return Change<v1::Manager::Stub, v1::CancelDrainRequest, v1::Drain>(
      invocation, &v1::Manager::Stub::CancelDrain, request,
      [&](const v1::Drain& drain) { PrintDrain(drain, invocation.out); });
}

// Cancels the newest drain of the object that is on its way, or that left it drained.
absl::Status CancelNewest(Invocation& invocation, v1::DrainScope scope, const std::string& pool) {
  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  v1::ListDrainsResponse list;
  const v1::ListDrainsRequest request;
  if (absl::Status status = client->Call(&v1::Inspector::Stub::ListDrains, request, &list); !status.ok()) return status;
  for (auto drain = list.drains().rbegin(); drain != list.drains().rend(); ++drain) {
    const bool undone = drain->phase() == v1::DRAIN_PHASE_CANCELLED || drain->phase() == v1::DRAIN_PHASE_FAILED;
    if (drain->scope() == scope && drain->pool() == pool && !undone) return CancelDrain(invocation, drain->id());
  }
  if (scope == v1::DRAIN_SCOPE_NODE) return absl::NotFoundError("nothing drains the node");
  return absl::NotFoundError(Cat("there is no drain of pool \"", pool, "\" to undo; `sluicectl undrain ", pool,
                                 "/BACKEND` makes one of its backends take new flows"));
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

absl::Status RunUndrainId(Invocation& invocation) {
  const absl::StatusOr<uint64_t> id = ReadNumber("the drain's number", invocation.operands[0]);
  return id.ok() ? CancelDrain(invocation, *id) : id.status();
}

absl::Status RunUndrainPool(Invocation& invocation) {
  return CancelNewest(invocation, v1::DRAIN_SCOPE_POOL, invocation.operands[0]);
}

absl::Status RunUndrainNode(Invocation& invocation) { return CancelNewest(invocation, v1::DRAIN_SCOPE_NODE, ""); }

absl::Status RunUndrainBackend(Invocation& invocation) {
  const absl::StatusOr<BackendName> name = ReadBackendName(invocation.operands[0]);
  if (!name.ok()) return name.status();
  invocation.operands = {name->pool, name->backend};
  return RunBackendUndrain(invocation);
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
                        std::string(ThenText(drain.then())), drain.user(), drain.message()});
        }
        table.Print(invocation.out);
      });
}

}  // namespace sluice::ctl
