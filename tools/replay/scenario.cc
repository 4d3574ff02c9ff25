#include "tools/replay/scenario.h"

#include "config/text.h"

namespace sluice::replay {
namespace {

using config::Cat;

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;  // clang 16 does not deduce it by itself

}  // namespace

bool Expectation::HoldsFor(uint64_t actual) const {
  switch (relation) {
    case Relation::kEqual:
      return actual == value;
    case Relation::kAtLeast:
      return actual >= value;
    case Relation::kAtMost:
      return actual <= value;
  }
  return false;
}

std::string Expectation::Expected() const {
  switch (relation) {
    case Relation::kEqual:
      return Cat(value);
    case Relation::kAtLeast:
      return Cat("at least ", value);
    case Relation::kAtMost:
      return Cat("at most ", value);
  }
  return "";
}

std::string_view KindOf(const Step& step) {
  return std::visit(Overloaded{[](std::monostate) -> std::string_view { return ""; },
                               [](const ReplayStep&) -> std::string_view { return "replay"; },
                               [](const ApplyStep&) -> std::string_view { return "apply"; },
                               [](const BackendStep&) -> std::string_view { return "backend"; },
                               [](const AdvanceStep&) -> std::string_view { return "advance"; },
                               [](const ExpectStep&) -> std::string_view { return "expect"; }},
                    step.action);
}

std::string Describe(const Step& step) {
  return std::visit(Overloaded{[](std::monostate) { return std::string(); },
                               [](const ReplayStep& s) { return Cat("replay ", s.capture); },
                               [](const ApplyStep& s) { return Cat("apply ", s.file); },
                               [](const BackendStep& s) {
                                 std::string text = Cat("backend ", s.name, ": ", ChangeName(s.change));
                                 if (s.address) text += Cat(" ", s.address->ToString());
                                 if (s.weight)
                                   text += s.change == BackendStep::Change::kAdd ? Cat(" weight ", *s.weight)
                                                                                 : Cat(" ", *s.weight);
                                 return text;
                               },
                               [](const AdvanceStep& s) { return Cat("advance ", s.seconds, " s"); },
                               [](const ExpectStep& s) { return Cat("expect ", s.expectations.size(), " counters"); }},
                    step.action);
}

std::string_view ChangeName(BackendStep::Change change) {
  switch (change) {
    case BackendStep::Change::kAdd:
      return "add";
    case BackendStep::Change::kDrain:
      return "drain";
    case BackendStep::Change::kUndrain:
      return "undrain";
    case BackendStep::Change::kWeight:
      return "weight";
    case BackendStep::Change::kRemove:
      return "remove";
    case BackendStep::Change::kDown:
      return "down";
    case BackendStep::Change::kUp:
      return "up";
  }
  return "";
}

}  // namespace sluice::replay
