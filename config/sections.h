#ifndef SLUICE_CONFIG_SECTIONS_H_
#define SLUICE_CONFIG_SECTIONS_H_

#include "config/schema.h"
#include "config/validate.h"
#include "config/yaml_reader.h"

// The readers of the two parts of the configuration: which keys there are, which must be there, and where they go. The
// ranges they name are for the messages; validation enforces them.
namespace sluice::config {

void ReadNode(const YamlValue& value, NodeConfig* out);

void ReadServices(const YamlValue& value, SeedRule seed, ServiceConfig* out);

// A port, a range of them ("8000-8999"), or "all".
void ReadPorts(const YamlValue& value, PortRange* out);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_SECTIONS_H_
