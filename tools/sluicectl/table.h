#ifndef SLUICE_TOOLS_SLUICECTL_TABLE_H_
#define SLUICE_TOOLS_SLUICECTL_TABLE_H_

#include <ostream>
#include <string>
#include <vector>

namespace sluice::ctl {

enum class Align { kLeft, kRight };

struct Column {
  std::string title;
  Align align = Align::kLeft;
};

// Rows under titles, each column as wide as its widest cell, two spaces between them, no spaces at the ends of lines.
class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  // As many cells as columns; an empty one is shown as "-", so that a row can be split at blanks.
  void AddRow(std::vector<std::string> cells);
  bool empty() const { return rows_.empty(); }
  void Print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_TABLE_H_
