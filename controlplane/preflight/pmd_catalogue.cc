#include "controlplane/preflight/pmd_catalogue.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <system_error>
#include <utility>

namespace sluice::preflight {
namespace {

constexpr std::string_view kMark = "PMD_INFO_STRING= ";

// The text of `"key": "value"`, and nothing if the key is not there.
std::optional<std::string_view> StringOf(std::string_view json, std::string_view key) {
  const std::string quoted = "\"" + std::string(key) + "\": \"";
  const size_t begin = json.find(quoted);
  if (begin == std::string_view::npos) return std::nullopt;
  const std::string_view value = json.substr(begin + quoted.size());
  const size_t end = value.find('"');
  if (end == std::string_view::npos) return std::nullopt;
  return value.substr(0, end);
}

// "[[32902, 4150, 65535, 65535], ...": vendor and device of each.
std::vector<PciId> IdsOf(std::string_view json) {
  std::vector<PciId> ids;
  constexpr std::string_view kKey = "\"pci_ids\": [";
  size_t at = json.find(kKey);
  if (at == std::string_view::npos) return ids;
  at += kKey.size();
  while (at < json.size() && json[at] == '[') {
    const char* const end = json.data() + json.size();
    PciId id;
    const auto vendor = std::from_chars(json.data() + at + 1, end, id.vendor);
    if (vendor.ec != std::errc() || end - vendor.ptr < 3 || vendor.ptr[0] != ',') break;
    if (std::from_chars(vendor.ptr + 2, end, id.device).ec != std::errc()) break;
    ids.push_back(id);
    at = json.find(']', at);
    if (at == std::string_view::npos) break;
    at = json.find_first_not_of("], ", at);
    if (at == std::string_view::npos) break;
  }
  return ids;
}

// "* igb_uio | uio_pci_generic | vfio-pci"
std::set<std::string> DriversOf(std::string_view text) {
  std::set<std::string> drivers;
  while (!text.empty()) {
    const size_t begin = text.find_first_not_of(" *|&()");
    if (begin == std::string_view::npos) break;
    text.remove_prefix(begin);
    const size_t end = std::min(text.find_first_of(" *|&()"), text.size());
    drivers.insert(std::string(text.substr(0, end)));
    text.remove_prefix(end);
  }
  return drivers;
}

}  // namespace

bool PmdInfo::Knows(uint16_t vendor, uint16_t device) const {
  return std::any_of(ids.begin(), ids.end(), [vendor, device](const PciId& id) {
    return (id.vendor == vendor || id.vendor == PciId::kAny) && (id.device == device || id.device == PciId::kAny);
  });
}

std::vector<PmdInfo> ParsePmdInfo(std::string_view object) {
  std::vector<PmdInfo> found;
  for (size_t at = object.find(kMark); at != std::string_view::npos; at = object.find(kMark, at + kMark.size())) {
    std::string_view json = object.substr(at + kMark.size());
    json = json.substr(0, json.find('\0'));
    const std::optional<std::string_view> name = StringOf(json, "name");
    if (!name) continue;
    found.push_back({std::string(*name), DriversOf(StringOf(json, "kmod").value_or("")), IdsOf(json)});
  }
  return found;
}

std::vector<PmdInfo> ReadPmdDirectory(const SystemFiles& files, const std::string& directory) {
  constexpr std::string_view kNetworkDriver = "librte_net_";
  std::vector<PmdInfo> all;
  for (const std::string& name : files.Names(directory)) {
    const std::string path = directory + "/" + name;
    // "librte_net_ixgbe.so.23.0"; what else is there are links to it.
    if (name.substr(0, kNetworkDriver.size()) != kNetworkDriver || !files.LinkName(path).empty()) continue;
    for (PmdInfo& info : ParsePmdInfo(files.Text(path))) all.push_back(std::move(info));
  }
  return all;
}

}  // namespace sluice::preflight
