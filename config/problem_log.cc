#include "config/problem_log.h"

#include <algorithm>

namespace sluice::config {

void ProblemLog::Add(Position position, std::string_view field, std::string message) {
  if (problems_.size() >= limits::kProblems) {
    ++not_kept_;
    return;
  }
  problems_.push_back({position, {std::string(field), std::move(message)}});
}

void ProblemLog::AddUnreadable(Position position, std::string_view field, std::string message) {
  unreadable_.emplace(field);
  Add(position, field, std::move(message));
}

void ProblemLog::AddFromValidation(const Problem& problem) {
  if (unreadable_.contains("")) return;
  Position position;
  bool found = false;
  for (std::string_view path = problem.field; !path.empty(); path = ParentPath(path)) {
    if (unreadable_.contains(path)) return;
    if (const auto it = positions_.find(path); !found && it != positions_.end()) {
      position = it->second;
      found = true;
    }
  }
  Add(position, problem.field, problem.message);
}

absl::Status ProblemLog::ToStatus() const {
  if (problems_.empty()) return absl::OkStatus();
  std::vector<const Located*> sorted;
  for (const Located& located : problems_) sorted.push_back(&located);
  std::stable_sort(sorted.begin(), sorted.end(),
                   [](const Located* a, const Located* b) { return a->position < b->position; });
  std::string lines;
  for (const Located* located : sorted) {
    lines += Cat(lines.empty() ? "" : "\n", file_name_, ":", located->position.line, ":", located->position.column,
                 ": ", located->problem.field, located->problem.field.empty() ? "" : ": ", located->problem.message);
  }
  if (not_kept_ > 0) lines += Cat("\n", file_name_, ": ", not_kept_, " more problems are not shown");
  return absl::InvalidArgumentError(lines);
}

}  // namespace sluice::config
