#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <map>
#include <span>
#include <utility>

#include "config/limits.h"
#include "config/problem_log.h"
#include "config/text.h"
#include "config/yaml_document.h"
#include "config/yaml_reader.h"
#include "tools/replay/names.h"
#include "tools/replay/scenario.h"

namespace sluice::replay {
namespace {

using config::Cat;
using config::MapReader;
using config::Quote;
using config::YamlValue;

// One step; more are more steps.
constexpr config::Range kAdvanceS = {1, 10'000'000};

void ReadFileName(const YamlValue& value, std::string* out) {
  const std::string* const text = value.Scalar("a file name");
  if (text == nullptr) return;
  if (text->empty() || *text == "-") {
    value.Fail(Cat(Quote(*text), " is not the name of a file; a scenario reads and writes files only"));
    return;
  }
  *out = *text;
}

void ReadRefused(const YamlValue& value, std::optional<std::string>* out) {
  const std::string* const text = value.Scalar("a part of the error message");
  if (text == nullptr) return;
  if (text->empty()) {
    value.Fail("\"\" is in every message; write a part of the expected error message, or remove the key");
    return;
  }
  *out = *text;
}

void ReadReplay(const YamlValue& value, ReplayStep* out) {
  value.Map([&](MapReader& map) {
    map.Required("capture", "clients.pcap", &out->capture, ReadFileName);
    map.Optional("port", &out->port, config::ReadText);
    map.Optional("out", &out->out, ReadFileName);
    map.Optional("host", &out->host, ReadFileName);
  });
}

void ReadApply(const YamlValue& value, ApplyStep* out) {
  value.Map([&](MapReader& map) {
    map.Required("file", "new.yaml", &out->file, ReadFileName);
    map.Optional("refused", &out->refused, ReadRefused);
  });
}

void ReadBackendName(const YamlValue& value, std::string* out) {
  const std::string* const text = value.Scalar("the name of a backend");
  if (text == nullptr) return;
  const size_t slash = text->find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == text->size()) {
    value.Fail(Cat(Quote(*text), " does not name a backend; write pool and backend, like web/web-1"));
    return;
  }
  *out = *text;
}

void ReadChange(const YamlValue& value, BackendStep::Change* out) {
  using Change = BackendStep::Change;
  value.Word<Change>({{"add", Change::kAdd},
                      {"drain", Change::kDrain},
                      {"undrain", Change::kUndrain},
                      {"weight", Change::kWeight},
                      {"remove", Change::kRemove},
                      {"down", Change::kDown},
                      {"up", Change::kUp}},
                     out);
}

void ReadBackend(const YamlValue& value, BackendStep* out) {
  // Fields that a change needs or does not have are judged when all of them are read.
  std::optional<YamlValue> change, address, weight;
  value.Map([&](MapReader& map) {
    map.Required("name", "web/web-1", &out->name, ReadBackendName);
    map.Required("change", "drain", out, [&](const YamlValue& v, BackendStep* step) {
      change = v;
      ReadChange(v, &step->change);
    });
    map.Optional("address", out, [&](const YamlValue& v, BackendStep* step) {
      address = v;
      ReadAddress(v, &step->address.emplace());
    });
    map.Optional("weight", out, [&](const YamlValue& v, BackendStep* step) {
      weight = v;
      config::Number(config::limits::kWeight)(v, &step->weight.emplace());
    });
    map.Optional("refused", &out->refused, ReadRefused);
  });
  if (!change) return;
  const bool adds = out->change == BackendStep::Change::kAdd;
  const std::string_view name = ChangeName(out->change);
  if (adds && !address) value.Fail("a backend that is added needs an address; add \"address: 192.0.2.11\"");
  if (out->change == BackendStep::Change::kWeight && !weight) {
    value.Fail("which weight is missing; add \"weight: 50\"");
  }
  if (!adds && address) address->Fail(Cat("has no meaning for ", name, "; remove it, or write change: add"));
  if (!adds && out->change != BackendStep::Change::kWeight && weight) {
    weight->Fail(Cat("has no meaning for ", name, "; remove it, or write change: weight"));
  }
}

void ReadAdvance(const YamlValue& value, AdvanceStep* out) {
  const auto seconds = config::ReadWholeNumber(value, kAdvanceS, UINT32_MAX);
  if (!seconds) return;
  if (!kAdvanceS.Contains(*seconds)) value.Fail(config::OutOfRange(Cat(*seconds), kAdvanceS));
  out->seconds = static_cast<uint32_t>(*seconds);
}

// "3", "at least 3", "at most 3"
void ReadExpected(const YamlValue& value, Expectation* out) {
  using Relation = Expectation::Relation;
  const std::string* const text = value.Scalar("a number");
  if (text == nullptr) return;
  std::string_view number = *text;
  for (const auto& [words, relation] :
       {std::pair{std::string_view("at least "), Relation::kAtLeast}, {"at most ", Relation::kAtMost}}) {
    if (!number.starts_with(words)) continue;
    number.remove_prefix(words.size());
    out->relation = relation;
  }
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), out->value);
  if (error != std::errc() || end != number.data() + number.size() || number.empty()) {
    value.Fail(Cat(Quote(*text),
                   " is not a number of packets, bytes or flows; write it like 3, \"at least 3\" or "
                   "\"at most 3\""));
  }
}

// Reads the counters of one section or object.
class CounterReader {
 public:
  CounterReader(std::string_view section, std::string object, std::string path, ExpectStep* out)
      : section_(section), object_(std::move(object)), path_(std::move(path)), out_(out) {}

  void Read(MapReader& map, std::span<const std::string_view> counters) const {
    for (const std::string_view counter : counters) {
      map.Optional(counter, out_, [&](const YamlValue& value, ExpectStep* step) {
        Expectation expectation{
            .counter = {section_, object_, counter}, .path = Cat(path_, ".", counter), .line = value.position().line};
        ReadExpected(value, &expectation);
        step->expectations.push_back(std::move(expectation));
      });
    }
  }

 private:
  std::string_view section_;
  std::string object_;
  std::string path_;
  ExpectStep* out_;
};

void ReadTotals(const YamlValue& value, ExpectStep* out) {
  value.Map([&](MapReader& map) {
    CounterReader("totals", "", "totals", out).Read(map, kTotals);
    map.Optional("dropped", out, [](const YamlValue& reasons, ExpectStep* step) {
      std::vector<std::string_view> labels;
      for (size_t i = 0; i < kDropReasonCount; ++i) labels.push_back(DropReasonLabel(static_cast<DropReason>(i)));
      reasons.Map([&](MapReader& m) { CounterReader("dropped", "", "totals.dropped", step).Read(m, labels); });
    });
  });
}

void ReadRungs(const YamlValue& value, ExpectStep* out) {
  std::vector<std::string_view> rungs = {kRescheduled, kCookiesRefused, kSecondChances, kCopied, kCopiesLimited};
  for (size_t i = 1; i < fwd::kRungCount; ++i) rungs.push_back(RungName(static_cast<fwd::Rung>(i)));
  value.Map([&](MapReader& map) { CounterReader("rungs", "", "rungs", out).Read(map, rungs); });
}

// For `vips` and `backends`: counters by name.
auto ObjectsReader(std::string_view section, std::span<const std::string_view> counters) {
  return [=](const YamlValue& value, ExpectStep* out) {
    value.Map([&](MapReader& objects) {
      objects.Others([&](const std::string& name, const YamlValue& object) {
        const CounterReader reader(section, name, Cat(section, ".", name), out);
        object.Map([&](MapReader& map) { reader.Read(map, counters); });
      });
    });
  };
}

auto TableReader(std::string_view section) {
  return [=](const YamlValue& value, ExpectStep* out) {
    value.Map([&](MapReader& map) { CounterReader(section, "", std::string(section), out).Read(map, kTableCounters); });
  };
}

void ReadExpect(const YamlValue& value, ExpectStep* out) {
  value.Map([&](MapReader& map) {
    map.Optional("totals", out, ReadTotals);
    map.Optional("rungs", out, ReadRungs);
    map.Optional("vips", out, ObjectsReader("vips", kVipCounters));
    map.Optional("backends", out, ObjectsReader("backends", kBackendCounters));
    map.Optional("table_v4", out, TableReader("table_v4"));
    map.Optional("table_v6", out, TableReader("table_v6"));
    map.Optional("table_wide", out, TableReader("table_wide"));
    map.Optional("table_stateful", out, TableReader("table_stateful"));
  });
  if (out->expectations.empty()) value.Fail("expects nothing; write counters, like \"totals: {forwarded: 3}\"");
  std::stable_sort(out->expectations.begin(), out->expectations.end(),
                   [](const Expectation& a, const Expectation& b) { return a.line < b.line; });
}

// Makes a reader of an action that also counts how many a step has.
template <typename Action, typename Read>
auto ActionReader(const Read& read, int* actions) {
  return [read, actions](const YamlValue& value, Step* out) {
    ++*actions;
    read(value, &out->action.emplace<Action>());
  };
}

void ReadStep(const YamlValue& value, Step* out) {
  out->line = value.position().line;
  int actions = 0;
  value.Map([&](MapReader& map) {
    map.Optional("replay", out, ActionReader<ReplayStep>(ReadReplay, &actions));
    map.Optional("apply", out, ActionReader<ApplyStep>(ReadApply, &actions));
    map.Optional("backend", out, ActionReader<BackendStep>(ReadBackend, &actions));
    map.Optional("advance", out, ActionReader<AdvanceStep>(ReadAdvance, &actions));
    map.Optional("expect", out, ActionReader<ExpectStep>(ReadExpect, &actions));
  });
  if (actions == 1) return;
  value.Fail(Cat("a step does one thing, this one ", actions == 0 ? "none" : "several",
                 "; write one of replay, apply, backend, advance, expect"));
}

// A file that is opened a second time loses what the first step wrote.
void CheckOutputs(const Scenario& scenario, config::ProblemLog* log) {
  std::map<std::string, size_t> writers;
  for (size_t i = 0; i < scenario.steps.size(); ++i) {
    const auto* const step = std::get_if<ReplayStep>(&scenario.steps[i].action);
    if (step == nullptr) continue;
    for (const auto& [key, path] : {std::pair{"out", &step->out}, std::pair{"host", &step->host}}) {
      if (path->empty()) continue;
      const auto [earlier, is_new] = writers.emplace(*path, i);
      if (is_new) continue;
      log->AddFromValidation({.field = Cat("steps[", i, "].replay.", key),
                              .message = Cat(Quote(*path), " is written by step ", earlier->second + 1,
                                             " already; take another file, or collect all packets with --", key)});
    }
  }
}

void CompletePaths(const std::filesystem::path& folder, Scenario* scenario) {
  const auto complete = [&](std::string* path) {
    if (!path->empty()) *path = (folder / *path).lexically_normal().string();
  };
  for (Step& step : scenario->steps) {
    if (auto* const replay = std::get_if<ReplayStep>(&step.action)) {
      for (std::string* const path : {&replay->capture, &replay->out, &replay->host}) complete(path);
    } else if (auto* const apply = std::get_if<ApplyStep>(&step.action)) {
      complete(&apply->file);
    }
  }
}

// Reads no more than shows that a file is too large.
absl::StatusOr<std::string> ReadText(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text(config::limits::kFileBytes + 1, '\0');
  // A folder can be opened and not be read.
  if (!file || (!file.read(text.data(), static_cast<std::streamsize>(text.size())) && !file.eof())) {
    return absl::NotFoundError(Cat(path, ": cannot be read; check the path and its permissions"));
  }
  text.resize(static_cast<size_t>(file.gcount()));
  return text;
}

}  // namespace

absl::StatusOr<Scenario> LoadScenario(const std::string& path) {
  const auto text = ReadText(path);
  if (!text.ok()) return text.status();
  Scenario scenario{.file = path, .steps = {}};
  config::ProblemLog log(path);
  config::YamlDocument document;
  if (const auto error = document.Parse(*text)) {
    log.AddUnreadable(error->position, "", error->message);
    return log.ToStatus();
  }
  const YamlValue root(&document.root(), "", document.root().position, &log);
  root.Map([&](MapReader& map) {
    map.Required("steps", "[{replay: {capture: clients.pcap}}]", &scenario.steps, config::ListOf(ReadStep));
  });
  CompletePaths(std::filesystem::path(path).parent_path(), &scenario);
  CheckOutputs(scenario, &log);
  if (const absl::Status status = log.ToStatus(); !status.ok()) return status;
  return scenario;
}

}  // namespace sluice::replay
