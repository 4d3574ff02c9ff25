#include "controlplane/drain/drain_text.h"

#include <charconv>

#include "absl/strings/escaping.h"
#include "controlplane/model/text.h"

namespace sluice::drain {
namespace {

using model::Cat;
using std::chrono::duration_cast;
using std::chrono::milliseconds;

uint64_t UnixMs(Time time) {
  return static_cast<uint64_t>(duration_cast<milliseconds>(time.time_since_epoch()).count());
}

std::string Escape(std::string_view text) { return absl::CEscape({text.data(), text.size()}); }

// One value of a drain; false: it is none.
class Reader {
 public:
  explicit Reader(std::string_view value) : value_(value) {}

  bool Number(uint64_t* out) const {
    const auto [end, error] = std::from_chars(value_.data(), value_.data() + value_.size(), *out);
    return error == std::errc() && end == value_.data() + value_.size();
  }
  template <typename Enum>
  bool Word(Enum last, std::string_view (*name_of)(Enum), Enum* out) const {
    for (int i = 0; i <= static_cast<int>(last); ++i) {
      *out = static_cast<Enum>(i);
      if (name_of(*out) == value_) return true;
    }
    return false;
  }
  bool Text(std::string* out) const { return absl::CUnescape({value_.data(), value_.size()}, out); }
  bool Instant(Time* out) const {
    uint64_t unix_ms = 0;
    if (!Number(&unix_ms)) return false;
    *out = Time(milliseconds(unix_ms));
    return true;
  }
  bool MemberOf(std::vector<Member>* out) const {
    const size_t slash = value_.find('/');
    const size_t blank = value_.rfind(' ');
    if (slash == std::string_view::npos || blank == std::string_view::npos || blank < slash) return false;
    out->push_back({std::string(value_.substr(0, slash)), std::string(value_.substr(slash + 1, blank - slash - 1)),
                    value_.substr(blank + 1) == "draining"});
    return true;
  }

 private:
  const std::string_view value_;
};

bool Take(std::string_view key, const Reader& value, Drain& drain) {
  uint64_t number = 0;
  if (key == "drain") return value.Number(&drain.id);
  if (key == "scope") return value.Word(Scope::kNode, ScopeName, &drain.order.scope);
  if (key == "pool") return value.Text(&drain.order.pool);
  if (key == "backend") return value.Text(&drain.order.backend);
  if (key == "then") return value.Word(Then::kExit, ThenName, &drain.order.then);
  if (key == "phase") return value.Word(Phase::kFailed, PhaseName, &drain.phase);
  if (key == "user") return value.Text(&drain.user);
  if (key == "message") return value.Text(&drain.message);
  if (key == "started_unix_ms") return value.Instant(&drain.started_at);
  if (key == "ended_unix_ms") return value.Instant(&drain.ended_at);
  if (key == "member") return value.MemberOf(&drain.members);
  if (key == "flows_at_start") return value.Number(&drain.flows_at_start);
  if (key == "flows_left") return value.Number(&drain.flows_left);
  if (key == "bytes") return value.Number(&drain.bytes);
  if (key == "counts_flows") {
    if (!value.Number(&number)) return false;
    drain.counts_flows = number != 0;
    return true;
  }
  if (key != "deadline_s") return true;
  if (!value.Number(&number) || number > UINT32_MAX) return false;
  drain.order.deadline = std::chrono::seconds(number);
  return true;
}

}  // namespace

std::string ToText(const std::vector<Drain>& drains) {
  std::string text;
  for (const Drain& drain : drains) {
    text +=
        Cat("drain: ", drain.id, "\nscope: ", ScopeName(drain.order.scope), "\npool: ", Escape(drain.order.pool),
            "\nbackend: ", Escape(drain.order.backend), "\nthen: ", ThenName(drain.order.then),
            "\ndeadline_s: ", static_cast<uint64_t>(drain.order.deadline.count()), "\nphase: ", PhaseName(drain.phase),
            "\nuser: ", Escape(drain.user), "\nmessage: ", Escape(drain.message),
            "\nstarted_unix_ms: ", UnixMs(drain.started_at), "\nended_unix_ms: ", UnixMs(drain.ended_at),
            "\nflows_at_start: ", drain.flows_at_start, "\nflows_left: ", drain.flows_left, "\nbytes: ", drain.bytes,
            "\ncounts_flows: ", drain.counts_flows ? 1 : 0, "\n");
    for (const Member& member : drain.members) {
      text += Cat("member: ", member.pool, "/", member.backend, member.was_draining ? " draining\n" : " active\n");
    }
    text += "\n";
  }
  return text;
}

absl::StatusOr<std::vector<Drain>> FromText(std::string_view text) {
  std::vector<Drain> drains;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    if (line.empty()) continue;
    const size_t colon = line.find(": ");
    const bool begins = line.starts_with("drain: ");
    if (begins) drains.emplace_back();
    if (colon == std::string_view::npos || drains.empty() ||
        !Take(line.substr(0, colon), Reader(line.substr(colon + 2)), drains.back())) {
      return absl::DataLossError(Cat("line ", number, " of the drains says nothing that this version understands"));
    }
  }
  return drains;
}

}  // namespace sluice::drain
