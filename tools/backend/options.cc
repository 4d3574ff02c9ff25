#include "tools/backend/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <fstream>
#include <sstream>
#include <utility>

#include "config/problem.h"
#include "config/problem_log.h"
#include "config/text.h"
#include "config/yaml_document.h"
#include "config/yaml_reader.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::MapReader;
using config::Quote;
using config::YamlValue;

constexpr std::array<std::pair<std::string_view, TunnelKind>, 4> kTunnelNames = {
    {{"ipip", kTunnelIpip}, {"gue", kTunnelGue}, {"gue-direct", kTunnelGueDirect}, {"gre", kTunnelGre}}};

constexpr std::array<std::pair<std::string_view, FamilyChangeOption>, 3> kFamilyChangeNames = {
    {{"auto", FamilyChangeOption::kAuto},
     {"flag", FamilyChangeOption::kFlag},
     {"redirect", FamilyChangeOption::kRedirect}}};

template <typename Table>
auto ReadWord(const Table& table) {
  return [&table](const YamlValue& value, auto* out) { value.Word(std::vector(table.begin(), table.end()), out); };
}

void ReadFields(MapReader& map, Options* out) {
  map.Optional("interfaces", &out->interfaces, config::ListOf(config::ReadText));
  map.Optional("addresses", &out->addresses, config::ListOf(config::ReadAddress));
  map.Optional("directors", &out->directors, config::ListOf(config::ReadAddressOrPrefix));
  map.Optional("peers", &out->peers, config::ListOf(config::ReadAddressOrPrefix));
  map.Optional("vips", &out->vips, config::ListOf(config::ReadAddressOrPrefix));
  map.Optional("tunnels", &out->tunnels, config::ListOf(ReadWord(kTunnelNames)));
  map.Optional("gue_port", &out->gue_port, config::Number(config::limits::kL4Port));
  map.Optional("clamp_mss", &out->clamp_mss, config::ReadBool);
  map.Optional("mtu", &out->mtu, config::Number(limits::kMtu));
  map.Optional("family_change", &out->family_change, ReadWord(kFamilyChangeNames));
  map.Optional("cookies", &out->cookies, ReadCookies);
}

// ---- Single values of the command line; each returns false for a value that is none.

bool ParseElement(std::string_view text, std::string* out) {
  out->assign(text);
  return !text.empty();
}

bool ParseElement(std::string_view text, net::IpAddress* out) {
  const auto address = net::IpAddress::Parse(text);
  if (address) *out = *address;
  return address.has_value();
}

bool ParseElement(std::string_view text, net::IpPrefix* out) {
  const auto prefix = net::IpPrefix::Parse(text);
  if (prefix) *out = *prefix;
  return prefix.has_value();
}

bool ParseElement(std::string_view text, TunnelKind* out) {
  const auto kind = TunnelByName(text);
  if (kind) *out = *kind;
  return kind.has_value();
}

template <typename T>
absl::Status SetList(std::string_view name, std::string_view value, std::string_view expected, bool fresh,
                     std::vector<T>* out) {
  if (fresh) out->clear();
  while (true) {
    const size_t comma = value.find(',');
    const std::string_view element = value.substr(0, comma);
    if (!ParseElement(element, &out->emplace_back())) {
      return absl::InvalidArgumentError(Cat("--", name, ": ", Quote(element), " is not ", expected));
    }
    if (comma == std::string_view::npos) return absl::OkStatus();
    value.remove_prefix(comma + 1);
  }
}

template <typename T>
absl::Status SetNumber(std::string_view name, std::string_view value, const config::Range& range, T* out) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  if (error != std::errc() || end != value.data() + value.size() || !range.Contains(number)) {
    return absl::InvalidArgumentError(
        Cat("--", name, ": ", Quote(value), " is not a whole number from ", range.min, " to ", range.max));
  }
  *out = static_cast<T>(number);
  return absl::OkStatus();
}

absl::Status SetFamilyChange(std::string_view value, Options* options) {
  for (const auto& [name, choice] : kFamilyChangeNames) {
    if (name == value) {
      options->family_change = choice;
      return absl::OkStatus();
    }
  }
  return absl::InvalidArgumentError(Cat("--family-change: ", Quote(value), " is not auto, flag or redirect"));
}

absl::Status TooMany(std::string_view field, size_t count, size_t most) {
  return absl::InvalidArgumentError(
      Cat(field, ": ", count, " of them; the program's table holds ", most, ": give prefixes that cover several"));
}

}  // namespace

std::string_view TunnelName(TunnelKind kind) {
  for (const auto& [name, each] : kTunnelNames) {
    if (each == kind) return name;
  }
  return "unknown";
}

std::optional<TunnelKind> TunnelByName(std::string_view name) {
  for (const auto& [each, kind] : kTunnelNames) {
    if (each == name) return kind;
  }
  return std::nullopt;
}

absl::Status ReadOptionsText(std::string_view text, std::string_view file_name, Options* options) {
  config::ProblemLog log{std::string(file_name)};
  config::YamlDocument document;
  if (const auto error = document.Parse(text)) {
    log.AddUnreadable(error->position, "", error->message);
    return log.ToStatus();
  }
  YamlValue(&document.root(), "", document.root().position, &log).Map([options](MapReader& map) {
    ReadFields(map, options);
  });
  // 0 is what stands for "not given".
  if (options->mtu != 0 && !limits::kMtu.Contains(options->mtu)) {
    log.AddFromValidation({"mtu", config::OutOfRange(std::to_string(options->mtu), limits::kMtu)});
  }
  if (!config::limits::kL4Port.Contains(options->gue_port)) {
    log.AddFromValidation({"gue_port", config::OutOfRange(std::to_string(options->gue_port), config::limits::kL4Port)});
  }
  return log.ToStatus();
}

absl::Status ReadOptionsFile(const std::string& path, Options* options) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return absl::ErrnoToStatus(errno, Cat("cannot open the configuration file ", Quote(path)));
  }
  std::string text(config::limits::kFileBytes + 1, '\0');
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (file.bad()) return absl::DataLossError(Cat("cannot read the configuration file ", Quote(path)));
  text.resize(static_cast<size_t>(file.gcount()));
  return ReadOptionsText(text, path, options);
}

absl::Status SetOption(std::string_view name, std::string_view value, bool fresh, Options* options) {
  if (name == "interface") {
    return SetList(name, value, "the name of an interface; see `ip link`", fresh, &options->interfaces);
  }
  if (name == "address") {
    return SetList(name, value, "an IP address; write it without a prefix length", fresh, &options->addresses);
  }
  if (name == "director") {
    return SetList(name, value, "an IP address or prefix, such as 192.0.2.0/28", fresh, &options->directors);
  }
  if (name == "peer") {
    return SetList(name, value, "an IP address or prefix, such as 192.0.2.0/24", fresh, &options->peers);
  }
  if (name == "vip") {
    return SetList(name, value, "an IP address or prefix, such as 203.0.113.10", fresh, &options->vips);
  }
  if (name == "tunnel") {
    return SetList(name, value, "a tunnel; there are ipip, gue, gue-direct and gre", fresh, &options->tunnels);
  }
  if (name == "gue-port") return SetNumber(name, value, config::limits::kL4Port, &options->gue_port);
  if (name == "mtu") return SetNumber(name, value, limits::kMtu, &options->mtu);
  if (name == "family-change") return SetFamilyChange(value, options);
  return absl::InvalidArgumentError(Cat("--", name, ": there is no such option; see sluice-backend --help"));
}

absl::Status ValidateOptions(const Options& options) {
  if (options.interfaces.empty()) {
    return absl::InvalidArgumentError(
        "interfaces: none; name those on which packets come from the directors, such as --interface eth0");
  }
  for (size_t i = 0; i < options.interfaces.size(); ++i) {
    const std::string& name = options.interfaces[i];
    if (name.empty() || name.size() > config::limits::kInterfaceNameLength || name.find('/') != std::string::npos) {
      return absl::InvalidArgumentError(
          Cat("interfaces: ", Quote(name), " cannot be the name of an interface; see `ip link`"));
    }
    if (std::count(options.interfaces.begin(), options.interfaces.end(), name) > 1) {
      return absl::InvalidArgumentError(Cat("interfaces: ", Quote(name), " is there twice; name it once"));
    }
  }
  if (options.tunnels.empty()) {
    return absl::InvalidArgumentError("tunnels: none; name one of ipip, gue, gue-direct and gre at least");
  }
  if (options.interfaces.size() > limits::kInterfaces) {
    return TooMany("interfaces", options.interfaces.size(), limits::kInterfaces);
  }
  if (options.addresses.size() > limits::kAddresses) {
    return TooMany("addresses", options.addresses.size(), limits::kAddresses);
  }
  if (options.directors.size() > limits::kDirectors) {
    return TooMany("directors", options.directors.size(), limits::kDirectors);
  }
  if (!options.peers.empty() && options.directors.empty()) {
    return absl::InvalidArgumentError(
        "peers: without directors anybody could have packets sent on to them; name the directors too");
  }
  if (options.peers.size() > limits::kDirectors) return TooMany("peers", options.peers.size(), limits::kDirectors);
  if (options.vips.size() > limits::kVips) return TooMany("vips", options.vips.size(), limits::kVips);
  return absl::OkStatus();
}

}  // namespace sluice::backend
