#ifndef SLUICE_TOOLS_SIM_FIRST_TIER_H_
#define SLUICE_TOOLS_SIM_FIRST_TIER_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/fwd/state_builder.h"
#include "dataplane/lb/aes128.h"
#include "dataplane/lb/cookie_layout.h"
#include "tools/sim/director.h"

namespace sluice::sim {

// A director of tier 1, by the production ladder: it sends to tier-2 directors, whose ids are their indexes, and keeps
// no state, so that one stands for any number.
class FirstTier {
 public:
  FirstTier(const lb::CookieLayout& layout, const lb::AesBlock& secret, SelectFunction select);

  // Which tier-2 directors there are; at least one.
  void SetDirectors(const std::vector<bool>& up);
  // The index of the director that the packet goes to.
  size_t Send(const SimFlow& flow, uint8_t tcp_flags, uint32_t now_s);

 private:
  fwd::StateSpec spec_;
  std::shared_ptr<const fwd::ForwardingState> state_;
  uint64_t generation_ = 0;
  Director director_;
};

}  // namespace sluice::sim

#endif  // SLUICE_TOOLS_SIM_FIRST_TIER_H_
