#include "tools/sim/arguments.h"

#include <cstddef>
#include <cstdint>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "tools/sim/modes.h"

namespace sluice::sim {
namespace {

absl::Status Wrong(const std::string& option, const std::string& value, const std::string& wanted) {
  return absl::InvalidArgumentError(absl::StrCat(option, " ", value, ": must be ", wanted));
}

absl::Status Read(const std::string& option, const std::string& value, double least, double most, double* out) {
  double number = 0;
  if (!absl::SimpleAtod(value, &number) || !(number >= least && number <= most)) {
    return Wrong(option, value, absl::StrCat("a number from ", least, " to ", most));
  }
  *out = number;
  return absl::OkStatus();
}

template <typename T>
absl::Status ReadWhole(const std::string& option, const std::string& value, T least, T most, T* out) {
  T number = 0;
  if (!absl::SimpleAtoi(value, &number) || number < least || number > most) {
    return Wrong(option, value, absl::StrCat("a whole number from ", least, " to ", most));
  }
  *out = number;
  return absl::OkStatus();
}

absl::Status ReadModes(const std::string& value, std::vector<std::string>* out) {
  *out = absl::StrSplit(value, ',');
  for (const std::string& mode : *out) {
    if (!IsMode(mode)) {
      return Wrong("--modes", mode,
                   absl::StrCat("of ", absl::StrJoin(ModeNames(), ", "), ", or like cookie:least-connections"));
    }
  }
  return absl::OkStatus();
}

// "s-4,open,s+4,d-2": numbers from 1.
absl::Status ReadPlan(const std::string& value, std::vector<PlannedChange>* out) {
  out->clear();
  for (const std::string& word : std::vector<std::string>(absl::StrSplit(value, ','))) {
    PlannedChange change;
    if (word != "open") {
      const bool good = word.size() > 2 && (word[0] == 's' || word[0] == 'd') && (word[1] == '-' || word[1] == '+') &&
                        absl::SimpleAtoi(word.substr(2), &change.machine) && change.machine > 0;
      if (!good) return Wrong("--changes", word, "open, or like s-4, s+4, d-2 or d+2");
      change.what = word[0] == 's' ? PlannedChange::What::kServer : PlannedChange::What::kDirector;
      change.up = word[1] == '+';
      --change.machine;
    }
    out->push_back(change);
  }
  return absl::OkStatus();
}

// What the plan says against the rest of the options.
absl::Status CheckPlan(const WorkloadOptions& w) {
  size_t opens = 0;
  for (const PlannedChange& change : w.plan) {
    if (change.what == PlannedChange::What::kOpen) {
      ++opens;
    } else if (const bool server = change.what == PlannedChange::What::kServer;
               change.machine >= (server ? w.servers : w.directors)) {
      return Wrong("--changes", absl::StrCat(server ? "server " : "director ", change.machine + 1),
                   absl::StrCat("one of ", server ? w.servers : w.directors));
    }
  }
  return w.plan.empty() || opens == 1 ? absl::OkStatus() : Wrong("--changes", "open", "there once");
}

absl::Status ReadOption(const std::string& option, const std::string& value, Arguments* arguments) {
  constexpr double kYear = 365.0 * 86400;
  WorkloadOptions& w = arguments->workload;
  if (option == "--modes") return ReadModes(value, &arguments->modes);
  if (option == "--seconds") return Read(option, value, 1, kYear, &w.seconds);
  if (option == "--updates") return Read(option, value, 0, 1e6, &w.updates_per_min);
  if (option == "--servers") return ReadWhole<uint32_t>(option, value, 1, 2000, &w.servers);
  if (option == "--connections") return ReadWhole<uint32_t>(option, value, 1, 1u << 24, &w.connections);
  if (option == "--directors") return ReadWhole<uint32_t>(option, value, 1, 64, &w.directors);
  if (option == "--director-updates") return Read(option, value, 0, 1e6, &w.director_updates_per_min);
  if (option == "--director-down") return Read(option, value, 0.001, kYear, &w.director_down_s);
  if (option == "--no-timestamps") return Read(option, value, 0, 1, &w.no_timestamps);
  if (option == "--changes") return ReadPlan(value, &w.plan);
  if (option == "--seed") return ReadWhole<uint64_t>(option, value, 0, UINT64_MAX, &w.seed);
  return absl::InvalidArgumentError(absl::StrCat(option, ": there is no such option; see --help"));
}

}  // namespace

absl::StatusOr<Arguments> ParseArguments(const std::vector<std::string>& words) {
  Arguments arguments;
  arguments.modes = ModeNames();
  for (size_t i = 0; i < words.size(); ++i) {
    if (words[i] == "--json") {
      arguments.json = true;
    } else if (words[i] == "--help") {
      arguments.help = true;
    } else if (i + 1 == words.size()) {
      return absl::InvalidArgumentError(absl::StrCat(words[i], ": needs a value, or is no option; see --help"));
    } else {
      const std::string& option = words[i++];
      if (absl::Status status = ReadOption(option, words[i], &arguments); !status.ok()) return status;
    }
  }
  if (absl::Status status = CheckPlan(arguments.workload); !status.ok()) return status;
  return arguments;
}

}  // namespace sluice::sim
