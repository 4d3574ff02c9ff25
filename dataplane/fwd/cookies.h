#ifndef SLUICE_DATAPLANE_FWD_COOKIES_H_
#define SLUICE_DATAPLANE_FWD_COOKIES_H_

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "dataplane/base/ids.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/lb/nat_stamps.h"

// What of a state belongs to cookies.
namespace sluice::fwd {

struct ForwardingState;
struct FlowView;
struct StateSpec;
struct VipEntry;

using CookieSecrets = std::array<std::optional<lb::AesBlock>, lb::CookieKeys::kSlots>;  // by number

// The backends of a pool by the ids that cookies name them by; invalid where no backend has the id. What a cookie says
// is looked up here and nowhere else, so it never leads out of the pool.
struct CookieIds {
  std::vector<uint16_t> backends;  // BackendId values, as in PoolTable::slots
  // The same of the backends that keep their flows; as many as the next power of two, of which the fast path takes as
  // many bits as an id.
  std::vector<uint16_t> keeping = {BackendId().value()};
  friend bool operator==(const CookieIds&, const CookieIds&) = default;

  BackendId Find(uint32_t id) const { return id < backends.size() ? BackendId(backends[id]) : BackendId(); }
};

// Stands for a secret where it is compared or shown: AES-128(secret, "sluice key print").
lb::AesBlock KeyPrint(const lb::AesBlock& secret);

// The live keys, with their prints.
struct CookieKeySet {
  explicit CookieKeySet(const CookieSecrets& secrets);
  lb::CookieKeys keys;
  std::array<std::optional<lb::AesBlock>, lb::CookieKeys::kSlots> prints;
};

// What directors must have in common for cookies to mean the same everywhere, as two numbers that differ, but for
// chance, where anything of it does. They tell nothing of the secrets.
struct CookieDigest {
  uint64_t ids = 0;   // VIPs with cookies, their layouts, and their backends' addresses and ids; likewise with QUIC
  uint64_t keys = 0;  // numbers and prints of the keys; configurations of QUIC
  friend bool operator==(const CookieDigest&, const CookieDigest&) = default;
};

// Fills the state's cookie_ids, cookie_keys and cookie_digest; its VIPs and backends are there. Control thread.
void BuildCookies(const StateSpec& spec, const ForwardingState* previous, ForwardingState& state);

// Whom of the VIP's pool the echoed timestamp of a packet names: its backend, or at the first tier its tier-2 director.
// Invalid otherwise: no such key, check bits that are not zero, an id that nobody has now. Changes nothing.
BackendId CookieBackend(const ForwardingState& state, const FlowView& flow);

// Begins the stamps of a connection to a VIP with kNat and cookies, which are to name the backend, by the VIP's key for
// new ones. False: there is no such key, or the backend has no id. Some hundred cycles.
bool BeginStamps(const ForwardingState& state, const VipEntry& vip, const lb::FlowTuple& tuple, BackendId backend,
                 lb::NatStamps& stamps);

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_COOKIES_H_
