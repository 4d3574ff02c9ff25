#include "tests/unit/controlplane/recorded_machine.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

namespace sluice {

RecordedMachine::RecordedMachine(const std::string& name) {
  std::ifstream recording(std::string(SLUICE_MACHINES) + "/" + name + ".txt");
  EXPECT_TRUE(recording.is_open()) << name;
  for (std::string line; std::getline(recording, line);) {
    if (line.empty() || line[0] == '#') continue;
    if (const size_t arrow = line.find(" -> "); arrow != std::string::npos) {
      Link(line.substr(0, arrow), line.substr(arrow + 4));
    } else if (line.size() > 3 && line.compare(line.size() - 3, 3, " <<") == 0) {
      std::string text;
      for (std::string more; std::getline(recording, more) && more != ">>";) text += more + "\n";
      Write(line.substr(0, line.size() - 3), text);
    } else if (const size_t colon = line.find(": "); colon != std::string::npos) {
      Write(line.substr(0, colon), line.substr(colon + 2) + "\n");
    } else {
      ADD_FAILURE() << name << ": not a line of a recording: " << line;
    }
  }
}

void RecordedMachine::Write(const std::string& path, const std::string& text) const {
  const std::filesystem::path full(root_ + path);
  std::filesystem::create_directories(full.parent_path());
  std::ofstream(full) << text;
}

void RecordedMachine::Link(const std::string& path, const std::string& target) const {
  const std::filesystem::path full(root_ + path);
  std::filesystem::create_directories(full.parent_path());
  std::filesystem::remove(full);
  std::filesystem::create_symlink(target, full);
}

}  // namespace sluice
