#include "dataplane/stage/fast_cookies.h"

#include "dataplane/base/prefetch.h"

namespace sluice::stage {

SLUICE_FAST_PATH size_t ReadClaims(const Claims& claims, StageEnv& env) {
  const lb::CookieReader* const readers = env.state->cookie_readers.data();
  // Read once: see CountForwarded.
  const fwd::BackendEntry* const backend_lines = env.state->backends->data();
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  size_t selected = 0;
  const Claims::Claim* const end = claims.end;
  for (const Claims::Claim* claim = claims.claims.data(); claim != end; ++claim) {
    const fwd::FastPathVip& vip = *claim->vip;
    const lb::CookieReader& reader = readers[vip.cookie_reader];
    const uint64_t plain = lb::PlainOf(reader, claim->tweak);
    if (!lb::MayName(reader, plain)) [[unlikely]]
      continue;
    const BackendId backend(vip.slots[lb::IdIn(reader, plain)]);
    if (!backend.valid()) [[unlikely]]
      continue;
    Packet& packet = *claim->packet;
    packet.backend = backend;
    packet.rung = fwd::Rung::kCookie;
    packet.past = Past::kSelection;
    // What the pass behind the selection reads and writes first.
    PrefetchLine(&backend_lines[backend.index()]);
    PrefetchLine(&backend_counters[backend.index()]);
    ++selected;
  }
  env.counters->rungs[static_cast<size_t>(fwd::Rung::kCookie)].Add(selected);
  return selected;
}

}  // namespace sluice::stage
