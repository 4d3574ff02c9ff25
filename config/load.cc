#include "config/load.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "absl/status/status.h"
#include "config/limits.h"
#include "config/problem_log.h"
#include "config/rules.h"
#include "config/sections.h"
#include "config/text.h"
#include "config/validate.h"
#include "config/validate_cookies.h"
#include "config/validate_quic.h"
#include "config/yaml_document.h"
#include "config/yaml_reader.h"

namespace sluice::config {
namespace {

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, Cat("cannot open the configuration file ", Quote(path)));
  std::string text;
  std::vector<char> buffer(64 << 10);
  // One byte more than allowed is enough to see that a file is too large; devices and pipes have no size to ask for.
  while (text.size() <= limits::kFileBytes) {
    const ssize_t n = read(fd, buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) {
      const int error = errno;
      close(fd);
      return absl::ErrnoToStatus(error, Cat("cannot read the configuration file ", Quote(path)));
    }
    if (n == 0) break;
    text.append(buffer.data(), static_cast<size_t>(n));
  }
  close(fd);
  return text;
}

// Parses the text and gives its root to `read(MapReader&)`; what is wrong goes to the log.
template <typename ReadFields>
void ReadDocument(std::string_view text, ProblemLog* log, const ReadFields& read) {
  YamlDocument document;
  if (const auto error = document.Parse(text)) {
    // Nothing was read, so nothing that validation could say would be about the file.
    log->AddUnreadable(error->position, "", error->message);
    return;
  }
  YamlValue(&document.root(), "", document.root().position, log).Map(read);
}

}  // namespace

absl::StatusOr<Config> LoadText(std::string_view text, std::string_view file_name) {
  Config config;
  ProblemLog log{std::string(file_name)};
  ReadDocument(text, &log, [&](MapReader& map) {
    map.Required("node", "{ports: [...]}", &config.node, ReadNode);
    map.Required("services", "{seed: ..., pools: [...], vips: [...]}", &config.services,
                 [](const YamlValue& value, ServiceConfig* out) { ReadServices(value, SeedRule::kRequired, out); });
  });
  for (const Problem& problem : ValidateConfig(config)) log.AddFromValidation(problem);
  ProblemList of_file;
  CheckCookieIdsOfFile(config.services, &of_file);
  CheckQuicIdsOfFile(config.services, &of_file);
  for (const Problem& problem : of_file.Take()) log.AddFromValidation(problem);
  if (const absl::Status status = log.ToStatus(); !status.ok()) return status;
  return config;
}

absl::StatusOr<ServiceConfig> LoadServicesText(std::string_view text, std::string_view file_name) {
  ServiceConfig services;
  ProblemLog log{std::string(file_name)};
  ReadDocument(text, &log, [&](MapReader& map) {
    map.Ignore("node");
    map.Required("services", "{pools: [...], vips: [...]}", &services,
                 [](const YamlValue& value, ServiceConfig* out) { ReadServices(value, SeedRule::kMayBeEmpty, out); });
  });
  for (const Problem& problem : ValidateServices(services, SeedRule::kMayBeEmpty)) log.AddFromValidation(problem);
  if (const absl::Status status = log.ToStatus(); !status.ok()) return status;
  return services;
}

absl::StatusOr<Config> LoadFile(const std::string& path) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  return LoadText(*text, path);
}

absl::StatusOr<ServiceConfig> LoadServicesFile(const std::string& path) {
  const auto text = ReadWholeFile(path);
  if (!text.ok()) return text.status();
  return LoadServicesText(*text, path);
}

}  // namespace sluice::config
