#include "controlplane/preflight/system_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <filesystem>
#include <iterator>
#include <sstream>
#include <system_error>

#include "dataplane/base/cpu_list.h"

namespace sluice::preflight {
namespace {

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const size_t first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

}  // namespace

std::string SystemFiles::Text(const std::string& path) const {
  // By system calls: files of /sys may refuse to be read (the carrier of an interface that is down), and a stream's
  // buffer throws then.
  std::string text;
  const int fd = open(Full(path).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return text;
  std::array<char, 65536> part;
  ssize_t got = 0;
  while ((got = read(fd, part.data(), part.size())) > 0) text.append(part.data(), static_cast<size_t>(got));
  close(fd);
  return got < 0 ? std::string() : text;
}

std::string SystemFiles::Line(const std::string& path) const {
  const std::string text = Text(path);
  return std::string(Trimmed(std::string_view(text).substr(0, text.find('\n'))));
}

std::optional<uint64_t> SystemFiles::Number(const std::string& path) const {
  const std::string line = Line(path);
  char* end = nullptr;
  const int base = line.substr(0, 2) == "0x" ? 16 : 10;
  const uint64_t value = std::strtoull(line.c_str(), &end, base);
  // A negative number is the kernel's way to say that it does not know.
  if (end == line.c_str() || line.front() == '-') return std::nullopt;
  return value;
}

std::vector<uint32_t> SystemFiles::CpuList(const std::string& path) const {
  return ParseCpuList(Line(path)).value_or(std::vector<uint32_t>());
}

std::vector<std::string> SystemFiles::Names(const std::string& directory) const {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator entry(Full(directory), error), end; !error && entry != end;
       entry.increment(error)) {
    names.push_back(entry->path().filename());
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::string SystemFiles::LinkName(const std::string& path) const {
  std::error_code error;
  const std::filesystem::path target = std::filesystem::read_symlink(Full(path), error);
  return error ? std::string() : target.filename().string();
}

bool SystemFiles::Exists(const std::string& path) const {
  std::error_code error;
  return std::filesystem::exists(Full(path), error);
}

bool SystemFiles::Accessible(const std::string& path, int mode) const { return access(Full(path).c_str(), mode) == 0; }

std::string_view FieldOf(std::string_view text, std::string_view key) {
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    const size_t colon = line.find(':');
    if (colon != std::string_view::npos && Trimmed(line.substr(0, colon)) == key) {
      return Trimmed(line.substr(colon + 1));
    }
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return {};
}

std::vector<std::string> Words(std::string_view text) {
  std::istringstream in{std::string(text)};
  return {std::istream_iterator<std::string>(in), std::istream_iterator<std::string>()};
}

std::vector<std::string> Lines(std::string_view text) {
  std::vector<std::string> lines;
  std::istringstream in{std::string(text)};
  for (std::string line; std::getline(in, line);) lines.push_back(std::move(line));
  return lines;
}

}  // namespace sluice::preflight
