#include <unistd.h>

#include <chrono>
#include <memory>
#include <optional>
#include <thread>

#include "config/text.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/terminal.h"
#include "tools/sluicectl/top.h"

namespace sluice::ctl {
namespace {

using config::Cat;
using Stub = v1::Inspector::Stub;

constexpr uint64_t kMaxIntervalS = 3600;
constexpr uint64_t kMaxCount = 1'000'000;

absl::StatusOr<uint64_t> ReadFlag(const Invocation& invocation, std::string_view flag, uint64_t fallback,
                                  uint64_t most) {
  if (!invocation.arguments.Has(flag)) return fallback;
  return ReadNumber(Cat("--", flag), invocation.arguments.Get(flag, ""), 1, most);
}

absl::StatusOr<TopSample> Look(Client& client) {
  TopSample sample;
  const absl::Status statuses[] = {client.Call(&Stub::GetStatus, v1::GetStatusRequest(), &sample.status),
                                   client.Call(&Stub::ListVips, v1::ListVipsRequest(), &sample.vips),
                                   client.Call(&Stub::ListBackends, v1::ListBackendsRequest(), &sample.backends),
                                   client.Call(&Stub::ListWorkers, v1::ListWorkersRequest(), &sample.workers)};
  sample.at = std::chrono::steady_clock::now();
  for (const absl::Status& status : statuses) {
    if (!status.ok()) return status;
  }
  return sample;
}

// A sluiced that was started anew counts from zero.
bool SameInstance(const TopSample& a, const TopSample& b) {
  return a.status.pid() == b.status.pid() && a.status.uptime_s() <= b.status.uptime_s();
}

}  // namespace

absl::Status RunTop(Invocation& invocation) {
  if (invocation.json) {
    return UsageError("top is for people; programs use `sluicectl get vips -o json`, or the metrics");
  }
  const bool live = isatty(STDOUT_FILENO) == 1;
  const auto interval_s = ReadFlag(invocation, "interval", 2, kMaxIntervalS);
  if (!interval_s.ok()) return interval_s.status();
  const auto count = ReadFlag(invocation, "count", live ? 0 : 1, kMaxCount);
  if (!count.ok()) return count.status();
  const std::chrono::seconds interval(*interval_s);

  absl::StatusOr<Client> client = Client::Connect(invocation.server, invocation.tls);
  if (!client.ok()) return client.status();
  absl::StatusOr<TopSample> before = Look(*client);
  if (!before.ok()) return before.status();
  const std::unique_ptr<LiveScreen> terminal = live ? std::make_unique<LiveScreen>() : nullptr;
  // A first screen at once: what stands rather than what moves.
  if (live) terminal->Show(RenderTop(*before, *before, {24, 80, MayColour(STDOUT_FILENO)}));
  for (uint64_t shown = 0; *count == 0 || shown < *count;) {
    if (live) {
      if (!terminal->Wait(interval)) return absl::OkStatus();
    } else {
      std::this_thread::sleep_for(interval);
    }
    absl::StatusOr<TopSample> now = Look(*client);
    if (!now.ok()) {
      if (!live) return now.status();
      terminal->Show(Cat("sluiced does not answer: ", std::string(now.status().message()), "; trying again\n"));
      continue;
    }
    if (!SameInstance(*before, *now)) before = *now;
    const LiveScreen::Size size = live ? LiveScreen::GetSize() : LiveScreen::Size{0, 0};
    const std::string text = RenderTop(*before, *now, {size.rows, size.columns, live && MayColour(STDOUT_FILENO)});
    if (live) {
      terminal->Show(text);
    } else {
      invocation.out << (shown == 0 ? "" : "\n") << text << std::flush;
    }
    before = *std::move(now);
    ++shown;
  }
  return absl::OkStatus();
}

}  // namespace sluice::ctl
