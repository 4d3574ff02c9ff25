#include "tools/sim/first_tier.h"

#include <string>

#include "dataplane/base/check.h"
#include "dataplane/fwd/resolve.h"
#include "dataplane/net/headers.h"

namespace sluice::sim {
namespace {

const VipId kFirstTierVip(0);
const PoolId kDirectors(0);
constexpr uint32_t kDirectorsTableSize = 6553;  // prime; a hundred slots for each of the most directors

}  // namespace

FirstTier::FirstTier(const lb::CookieLayout& layout, const lb::AesBlock& secret, SelectFunction select)
    : director_(1, 1, select) {
  spec_.seed = {0x53, 0x69, 0x6d, 0x31};
  spec_.cookie_keys[0] = secret;
  spec_.pools.push_back({.id = kDirectors, .table_size = kDirectorsTableSize, .members = {}});
  fwd::VipSpec vip = MakeVip(kFirstTierVip, kDirectors);
  vip.entry.tracked = false;
  vip.entry.cookies = true;
  vip.entry.first_tier = true;
  vip.entry.cookie_layout = layout;
  spec_.vips.push_back(vip);
}

void FirstTier::SetDirectors(const std::vector<bool>& up) {
  spec_.backends.clear();
  std::vector<fwd::PoolTable::Member>& members = spec_.pools[0].members;
  members.clear();
  for (size_t i = 0; i < up.size(); ++i) {
    if (!up[i]) continue;
    const BackendId id(static_cast<uint16_t>(i));
    const std::string host = std::to_string(i + 1);
    spec_.backends.push_back({.id = id,
                              .info = {.address = *net::IpAddress::Parse("192.0.2." + host),
                                       .state = fwd::BackendState::kActive,
                                       .pool = kDirectors,
                                       .cookie_id = static_cast<uint16_t>(i)}});
    members.push_back({.backend = id, .name = "director-" + host, .weight = 1});
  }
  const auto state = fwd::BuildState(spec_, ++generation_, state_.get());
  SLUICE_CHECK(state.ok());
  fwd::NextHop hop;
  hop.port = PortId(0);
  hop.on_link = hop.resolved = true;
  state_ = fwd::ResolveNextHops(**state, [&hop](const net::IpAddress&) { return hop; });
  director_.TakeUp(state_);
}

size_t FirstTier::Send(const SimFlow& flow, uint8_t tcp_flags, uint32_t now_s) {
  const fwd::Selection selection = director_.Send(flow, kFirstTierVip, tcp_flags, now_s);
  SLUICE_CHECK(selection.backend.valid());
  return selection.backend.index();
}

}  // namespace sluice::sim
