#ifndef SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_
#define SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "tools/replay/engine.h"

// What the text and the JSON report have in common.
namespace sluice::replay {

// The names that ids have in the state in force; a step may change them.
class NameTable {
 public:
  void Refresh(Engine& engine) {
    const std::shared_ptr<const model::Registry> registry = engine.reconciler().Current().registry;
    vips_ = Make(VipNames(*registry));
    backends_ = Make(BackendNames(*registry));
  }

  std::string Of(VipId id) const { return NameOf(vips_, id.value()); }
  std::string Of(BackendId id) const { return NameOf(backends_, id.value()); }

 private:
  using Names = std::map<uint16_t, std::string>;

  static Names Make(const std::vector<Named>& list) {
    Names names;
    for (const Named& n : list) names[n.id] = n.name;
    return names;
  }
  static std::string NameOf(const Names& names, uint16_t id) {
    const auto found = names.find(id);
    return found != names.end() ? found->second : "";
  }

  Names vips_, backends_;
};

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_
