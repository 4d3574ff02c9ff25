#ifndef SLUICE_CONFIG_PROBLEM_LOG_H_
#define SLUICE_CONFIG_PROBLEM_LOG_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "config/problem.h"
#include "config/text.h"
#include "config/yaml_document.h"

namespace sluice::config {

// Collects what is wrong with one file while it is read, and remembers where each value stands, so that validation,
// which knows fields and no lines, gets its lines from here.
class ProblemLog {
 public:
  explicit ProblemLog(std::string file_name) : file_name_(std::move(file_name)) {}

  // The value of `field` stands here.
  void SetPosition(std::string_view field, Position position) { positions_.emplace(field, position); }

  // Something is wrong at `position`. `field` may be empty: the document as a whole.
  void Add(Position position, std::string_view field, std::string message);
  // The same, and `field` has no usable value: what validation says about it later is not worth printing.
  void AddUnreadable(Position position, std::string_view field, std::string message);
  // Only that: the reason is in another problem already.
  void MarkUnreadable(std::string_view field) { unreadable_.emplace(field); }
  // A problem that validation found. Its position is that of the field or, when the file does not have the field, of
  // the nearest part around it. Ignored when the field could not be read.
  void AddFromValidation(const Problem& problem);

  // OK when nothing is wrong, else kInvalidArgument with one line "file:line:column: field: message" for each problem,
  // in the order of the file.
  absl::Status ToStatus() const;

 private:
  struct Located {
    Position position;
    Problem problem;
  };

  std::string file_name_;
  std::vector<Located> problems_;
  size_t not_kept_ = 0;
  StringMap<Position> positions_;
  StringSet unreadable_;
};

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_PROBLEM_LOG_H_
