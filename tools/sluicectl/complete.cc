#include "tools/sluicectl/complete.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>

#include "config/text.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/command.h"
#include "tools/sluicectl/print.h"

namespace sluice::ctl {
namespace {

using config::Cat;
using Stub = v1::Inspector::Stub;

std::vector<std::string> Split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in{std::string(text)};
  for (std::string part; std::getline(in, part, separator);) {
    if (!part.empty()) parts.push_back(part);
  }
  return parts;
}

const FlagSpec* FlagOf(const std::string& word) {
  for (const FlagSpec& flag : Flags()) {
    const bool is_long = word.starts_with("--") && word.substr(2) == flag.name;
    const bool is_short = word.size() == 2 && word[0] == '-' && flag.letter != 0 && word[1] == flag.letter;
    if (is_long || is_short) return &flag;
  }
  return nullptr;
}

std::vector<std::string> ValuesOf(const FlagSpec& flag) {
  if (flag.name == "output") return {"table", "wide", "json", "yaml"};
  if (flag.value_name == "FILE") return {kFilesFit};
  return {};
}

// What can stand for one operand of a command, by what the help calls it.
std::vector<std::string> OperandValues(const Command& command, const std::vector<std::string>& operands,
                                       const ParsedArguments& parsed, const NameSource& names) {
  if (command.words == "get vips") return names(parsed, NameKind::kVips, "");
  if (command.words == "get pools") return names(parsed, NameKind::kPools, "");
  if (command.words == "get ports") return names(parsed, NameKind::kPorts, "");
  if (command.words == "get workers") return names(parsed, NameKind::kWorkers, "");
  if (command.words == "get backends") return names(parsed, NameKind::kPoolsAndBackends, "");
  if (command.words == "describe") {
    if (operands.empty()) return {"backend", "pool", "vip"};
    if (operands.size() > 1) return {};
    if (operands[0] == "vip") return names(parsed, NameKind::kVips, "");
    return names(parsed, operands[0] == "pool" ? NameKind::kPools : NameKind::kBackends, "");
  }
  const std::vector<std::string> wanted = Split(command.operands, ' ');
  if (operands.size() >= wanted.size()) return {};
  const std::string& operand = wanted[operands.size()];
  if (operand == "POOL/BACKEND") return names(parsed, NameKind::kBackends, "");
  if (operand == "POOL") return names(parsed, NameKind::kPools, "");
  if (operand == "NAME" && !operands.empty() && wanted[operands.size() - 1] == "POOL") {
    // A new backend's name is not there yet.
    if (command.words == "backend add") return {};
    return names(parsed, NameKind::kBackendsOfPool, operands.back());
  }
  if (operand == "VIP:PORT") return names(parsed, NameKind::kVipServices, "");
  if (operand.find('|') != std::string::npos) return Split(operand, '|');
  return {};
}

std::vector<std::string> WordsAfter(const std::vector<std::string>& words, const ParsedArguments& parsed,
                                    const NameSource& names) {
  std::vector<std::string> next;
  for (const Command& command : Commands()) {
    const std::vector<std::string> own = Split(command.words, ' ');
    const size_t common = std::min(own.size(), words.size());
    if (!std::equal(own.begin(), own.begin() + static_cast<std::ptrdiff_t>(common), words.begin())) continue;
    if (words.size() < own.size()) {
      next.push_back(own[words.size()]);
    } else {
      const std::vector<std::string> operands(words.begin() + static_cast<std::ptrdiff_t>(own.size()), words.end());
      const std::vector<std::string> values = OperandValues(command, operands, parsed, names);
      next.insert(next.end(), values.begin(), values.end());
    }
  }
  return next;
}

std::vector<std::string> FlagsFor(const std::vector<std::string>& words) {
  const absl::StatusOr<Found> found =
      words.empty() ? absl::StatusOr<Found>(absl::NotFoundError("")) : FindCommand(words);
  std::vector<std::string> flags;
  for (const FlagSpec& flag : Flags()) {
    const bool own = found.ok() && std::find(found->command->flags.begin(), found->command->flags.end(), flag.name) !=
                                       found->command->flags.end();
    if (flag.global || own) flags.push_back(Cat("--", flag.name));
  }
  return flags;
}

}  // namespace

std::vector<std::string> NamesAt(const std::string& server, const TlsFiles& tls, NameKind kind,
                                 const std::string& pool) {
  absl::StatusOr<Client> client = Client::Connect(server, tls);
  if (!client.ok()) return {};
  std::set<std::string> names;
  if (kind == NameKind::kVips || kind == NameKind::kVipServices) {
    v1::ListVipsResponse vips;
    if (!client->Call(&Stub::ListVips, v1::ListVipsRequest(), &vips).ok()) return {};
    for (const v1::VipStatus& vip : vips.vips()) {
      const std::string service = ServiceText(vip.vip());
      names.insert(kind == NameKind::kVips ? vip.vip().name() : service.substr(0, service.rfind('/')));
    }
  } else if (kind == NameKind::kPorts) {
    v1::ListPortsResponse ports;
    if (!client->Call(&Stub::ListPorts, v1::ListPortsRequest(), &ports).ok()) return {};
    for (const v1::PortStatus& port : ports.ports()) names.insert(port.name());
  } else if (kind == NameKind::kWorkers) {
    v1::ListWorkersResponse workers;
    if (!client->Call(&Stub::ListWorkers, v1::ListWorkersRequest(), &workers).ok()) return {};
    for (const v1::WorkerStatus& worker : workers.workers()) names.insert(std::to_string(worker.id()));
  } else {
    v1::ListBackendsResponse backends;
    if (!client->Call(&Stub::ListBackends, v1::ListBackendsRequest(), &backends).ok()) return {};
    for (const v1::BackendStatus& backend : backends.backends()) {
      if (kind == NameKind::kBackendsOfPool) {
        if (backend.pool() == pool) names.insert(backend.backend().name());
        continue;
      }
      if (kind != NameKind::kBackends) names.insert(backend.pool());
      if (kind != NameKind::kPools) names.insert(Cat(backend.pool(), "/", backend.backend().name()));
    }
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> Complete(const std::vector<std::string>& line, const NameSource& names) {
  const std::string current = line.empty() ? "" : line.back();
  const std::vector<std::string> before(line.begin(), line.empty() ? line.end() : line.end() - 1);
  std::vector<std::string> candidates;
  if (const FlagSpec* flag = before.empty() ? nullptr : FlagOf(before.back());
      flag != nullptr && !flag->value_name.empty()) {
    candidates = ValuesOf(*flag);
  } else {
    const absl::StatusOr<ParsedArguments> parsed = ParseArguments(before, Flags());
    if (!parsed.ok()) return {};
    candidates = current.starts_with('-') ? FlagsFor(parsed->words) : WordsAfter(parsed->words, *parsed, names);
  }
  std::set<std::string> fitting;
  for (const std::string& candidate : candidates) {
    if (candidate == kFilesFit || candidate.starts_with(current)) fitting.insert(candidate);
  }
  return {fitting.begin(), fitting.end()};
}

}  // namespace sluice::ctl
