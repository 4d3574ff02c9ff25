#ifndef SLUICE_CONFIG_SECTIONS_H_
#define SLUICE_CONFIG_SECTIONS_H_

#include <initializer_list>
#include <string_view>
#include <utility>
#include <vector>

#include "config/schema.h"
#include "config/validate.h"
#include "config/yaml_reader.h"

// The readers of the two parts of the configuration: which keys there are, which must be there, and where they go. The
// ranges they name are for the messages; validation enforces them.
namespace sluice::config {

// Reads one of the words that `name_of` gives for `values`.
template <typename Enum, typename NameOf>
void ReadEnum(const YamlValue& value, std::initializer_list<Enum> values, NameOf name_of, Enum* out) {
  std::vector<std::pair<std::string_view, Enum>> words;
  for (const Enum each : values) words.emplace_back(name_of(each), each);
  value.Word(words, out);
}

void ReadNode(const YamlValue& value, NodeConfig* out);

void ReadServices(const YamlValue& value, SeedRule seed, ServiceConfig* out);

// How a pool is checked.
void ReadHealthCheck(const YamlValue& value, HealthCheckConfig* out);

// A port, a range of them ("8000-8999"), or "all".
void ReadPorts(const YamlValue& value, PortRange* out);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_SECTIONS_H_
