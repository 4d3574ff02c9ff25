#include "tools/sluicectl/table.h"

#include <algorithm>
#include <utility>

#include "dataplane/base/check.h"

namespace sluice::ctl {

void Table::AddRow(std::vector<std::string> cells) {
  SLUICE_CHECK(cells.size() == columns_.size());
  for (std::string& cell : cells) {
    if (cell.empty()) cell.assign(1, '-');
  }
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<size_t> widths;
  for (size_t c = 0; c < columns_.size(); ++c) {
    size_t width = columns_[c].title.size();
    for (const auto& row : rows_) width = std::max(width, row[c].size());
    widths.push_back(width);
  }
  const auto print_line = [&](auto cell_of) {
    std::string line;
    for (size_t c = 0; c < columns_.size(); ++c) {
      const std::string& cell = cell_of(c);
      const std::string padding(widths[c] - cell.size(), ' ');
      if (c > 0) line += "  ";
      line += columns_[c].align == Align::kRight ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << "\n";
  };
  print_line([&](size_t c) -> const std::string& { return columns_[c].title; });
  for (const auto& row : rows_) print_line([&](size_t c) -> const std::string& { return row[c]; });
}

}  // namespace sluice::ctl
