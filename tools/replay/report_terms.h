#ifndef SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_
#define SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dataplane/fwd/interfaces.h"
#include "tools/replay/engine.h"

// What the text and the JSON report have in common.
namespace sluice::replay {

using Names = std::map<uint16_t, std::string>;

inline Names MakeNames(const std::vector<Named>& list) {
  Names names;
  for (const Named& n : list) names[n.id] = n.name;
  return names;
}

inline std::string NameOf(const Names& names, uint16_t id) {
  const auto found = names.find(id);
  return found != names.end() ? found->second : "";
}

// The terms of invariant 2 but the drops, in the order of the equation; those up to `originated` come in.
inline std::array<std::pair<std::string_view, uint64_t>, 8> Terms(const fwd::PacketTotals& t) {
  return {{{"received", t.received},
           {"from_host", t.from_host},
           {"originated", t.originated},
           {"forwarded", t.forwarded},
           {"answered", t.answered},
           {"punted", t.punted},
           {"sent_for_host", t.sent_for_host},
           {"held", t.held}}};
}

}  // namespace sluice::replay

#endif  // SLUICE_TOOLS_REPLAY_REPORT_TERMS_H_
