#include "dataplane/stage/fast_known.h"

#include <immintrin.h>

#include <algorithm>
#include <array>
#include <bit>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/exact_vips.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/lb/nat_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"

namespace sluice::stage {
namespace {

using lb::NatSide;
using net::Load;

using Link = lb::NatTable::Link;

// Memory has so many packets' time to answer for the head of a chain, before it is asked for the session: six cost
// three cycles more (row NAT, 1 M flows), 24 and 32 gain nothing.
constexpr size_t kHeadsAhead = 16;

// What sessions look like whose packets of one side need nothing but to be translated, under the configuration of a
// number.
class Looks {
 public:
  Looks(NatSide side, uint8_t protocol, uint32_t number) {
    lb::NatTracking mask, value;
    mask.state = static_cast<lb::NatState>(0xff);
    mask.protocol = 0xff;
    value.state = MiddleStateOf(protocol);
    value.protocol = protocol;
    for (lb::NatTracking* each : {&mask, &value}) {
      each->confirmed = each->answered = true;
      each->known = static_cast<uint8_t>(1u << lb::IndexOf(side)) & 3;
    }
    static_assert(offsetof(lb::NatTracking, state) == 0 && offsetof(lb::NatTracking, known_in) == sizeof(uint32_t));
    mask_ = StartOf<uint32_t>(mask) | uint64_t{UINT32_MAX} << 32;
    value_ = StartOf<uint32_t>(value) | uint64_t{number} << 32;
  }
  bool Fit(const lb::NatTracking& tracking) const { return (StartOf<uint64_t>(tracking) & mask_) == value_; }

 private:
  template <typename T>
  static T StartOf(const lb::NatTracking& tracking) {
    return Load<T>(reinterpret_cast<const uint8_t*>(&tracking));
  }

  uint64_t mask_;
  uint64_t value_;
};
using LooksBySide = std::array<Looks, 2>;
LooksBySide LooksOf(uint8_t protocol, uint32_t number) {
  return {Looks(NatSide::kClient, protocol, number), Looks(NatSide::kBackend, protocol, number)};
}

uint8_t ProtocolOf(const uint8_t* frame) { return frame[kL3 + offsetof(net::Ipv4Header, protocol)]; }

// Whether a packet of this kind changes nothing in a session but what it acknowledges.
bool IsMiddle(uint8_t protocol, uint8_t tcp_flags) {
  constexpr uint8_t kAsked = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  return protocol != net::kProtocolTcp || (tcp_flags & kAsked) == net::kTcpAck;
}

// The head of no chain.
constexpr uint32_t kNoLink = 0;

// What sessions are looked for with. Local to the loop and read once: see ExactVips::Finder.
struct Search {
  explicit Search(const StageEnv& env)
      : keys(lb::LoadFlowKeys(*env.state->keys)),
        vips_v4(env.state->vip_table->exact_v4().finder()),
        vips(env.state->fast_path_vips->data()),
        sessions(env.tables->nat().table().finder()) {}

  // Where the chain begins in which the session of the packet is. Of one that is of none that is known, or to a VIP
  // without translation, kNoLink.
  template <uint8_t protocol>
  SLUICE_FAST_PATH __attribute__((always_inline)) const uint32_t* HeadOf(size_t place, const Parsed& parsed,
                                                                         uint64_t& hash) const {
    const uint8_t* const frame = parsed.frame[place];
    if (!IsMiddle(protocol, TcpFlagsOf(frame, protocol))) [[unlikely]]
      return &kNoLink;
    const VipKey<kKnownFamily> key(parsed.vip_key[place]);
    const auto [vip, is_vip] = vips_v4.FindEvenlyIn(parsed.slot[place], key.key, key.address, key.service);
    constexpr auto kSession = static_cast<uint64_t>(fwd::FastPathVip::Way::kSession);
    if (((static_cast<uint64_t>(vips[vip].way) ^ kSession) & is_vip) != 0) return &kNoLink;
    hash = HashOf<kKnownFamily, protocol>(frame + kSource<kKnownFamily>, keys);
    return sessions.HeadOf(hash);
  }

  lb::AesFlowKeys keys;
  lb::ExactVips<lb::VipAddressV4>::Finder vips_v4;
  const fwd::FastPathVip* vips;
  lb::NatTable::Finder sessions;
};

// HeadOf of a packet that is none of Parsed::Eights::tcp_v4; of one that may have a session it notes what these have.
SLUICE_FAST_PATH __attribute__((noinline)) const uint32_t* HeadOfOther(size_t place, const Burst& burst, Parsed& parsed,
                                                                       uint64_t& hash, const StageEnv& env) {
  const Packet& packet = burst.packets[place];
  if (parsed.slot[place] == nullptr || packet.headers.family != kKnownFamily) return &kNoLink;
  const uint8_t* const frame = FrameOf(packet);
  parsed.frame[place] = frame;
  parsed.ip_bytes[place] = packet.headers.ip_length;
  parsed.vip_key[place] = VipKey<kKnownFamily>(frame, packet.headers.protocol).key;
  const Search search(env);
  return packet.headers.protocol == net::kProtocolTcp ? search.HeadOf<net::kProtocolTcp>(place, parsed, hash)
                                                      : search.HeadOf<net::kProtocolUdp>(place, parsed, hash);
}

SLUICE_FAST_PATH inline bool HasEnds(const lb::NatSession& session, uint64_t side, const uint8_t* frame) {
  const uint8_t* const ends = session.TupleOf(NatSide::kClient) + side * lb::NatSession::kTupleBytes;
  const __m128i differs = _mm_xor_si128(lb::LoadBlock(ends), lb::LoadBlock(frame + kSource<kKnownFamily>));
  return _mm_testz_si128(differs, _mm_set_epi32(0, -1, -1, -1)) != 0;
}

}  // namespace

SLUICE_FAST_PATH void FindKnownSessions(const Burst& burst, Parsed& parsed, KnownSessions& known, StageEnv& env) {
  const Search search(env);
  std::array<const uint32_t*, kBurstSize> heads;
  const auto read_head = [&](size_t i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    const Link link = Link::FromRaw(*heads[i]);
    if (!link.valid()) [[unlikely]] {
      known.found[i].session = nullptr;
      return;
    }
    known.found[i] = {.session = search.sessions.at(link.number()), .side = lb::IndexOf(link.side())};
    PrefetchLine(known.found[i].session);
  };
  const size_t count = burst.count;
  for (size_t i = 0; i < count; ++i) {
    heads[i] = (parsed.eights.tcp_v4 >> i & 1) != 0 ? search.HeadOf<net::kProtocolTcp>(i, parsed, known.hashes[i])
                                                    : HeadOfOther(i, burst, parsed, known.hashes[i], env);
    PrefetchLine(heads[i]);
    if (i >= kHeadsAhead) read_head(i - kHeadsAhead);
  }
  for (size_t i = count - std::min(count, kHeadsAhead); i < count; ++i) read_head(i);

  const uint32_t number = env.tables->nat().NumberFor(*env.state);
  const LooksBySide of_tcp = LooksOf(net::kProtocolTcp, number);
  const LooksBySide of_udp = LooksOf(net::kProtocolUdp, number);
  const auto backends = reinterpret_cast<uintptr_t>(env.state->backends->data());
  const fwd::BackendCounters* const backend_counters = env.counters->backends.get();
  const fwd::VipCounters* const vip_counters = env.counters->vips.get();
  // One flow in nine is the second of its chain: those are looked at again, when their next session is there.
  for (Places left = AllPlaces(count); left != 0;) {
    Places again = 0;
    for (; left != 0; left &= left - 1) {
      const auto i = static_cast<size_t>(std::countr_zero(left));
      FoundSession& found = known.found[i];
      if (found.session == nullptr) [[unlikely]]
        continue;
      const lb::NatSession& session = *found.session;
      const uint8_t* const frame = parsed.frame[i];
      const LooksBySide& looks = ProtocolOf(frame) == net::kProtocolTcp ? of_tcp : of_udp;
      if (!HasEnds(session, found.side, frame) || !looks[found.side].Fit(session.tracking)) [[unlikely]] {
        const Link next = Link::FromRaw(session.next[found.side]);
        found.session = nullptr;
        if (!next.valid()) continue;
        found = {.session = search.sessions.at(next.number()), .side = lb::IndexOf(next.side())};
        PrefetchLine(found.session);
        again |= Places{1} << i;
        continue;
      }
      known.places |= Places{1} << i;
      // Whether there is one is asked later.
      PrefetchLine(reinterpret_cast<const void*>(backends + session.backend.index() * sizeof(fwd::BackendEntry)));
      PrefetchLine(&vip_counters[session.vip.index()]);
      PrefetchLine(&backend_counters[session.backend.index()]);
    }
    left = again;
  }
}

}  // namespace sluice::stage
