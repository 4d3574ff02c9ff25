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
#include "dataplane/stage/wide.h"

namespace sluice::stage {
namespace {

using lb::NatSide;
using net::Family;
using net::Load;

using Link = lb::NatTable::Link;

// Memory has so many packets' time to answer for the head of a chain, before it is asked for the session: six cost
// three cycles more (row NAT, 1 M flows), 24 and 32 gain nothing.
constexpr size_t kHeadsAhead = 16;

// What sessions of a family look like whose packets of one side need nothing but to be translated, under the
// configuration of a number.
class Looks {
 public:
  Looks(Family family, NatSide side, uint8_t protocol, uint32_t number) {
    lb::NatTracking mask, value;
    mask.state = static_cast<lb::NatState>(0xff);
    mask.protocol = 0xff;
    value.state = MiddleStateOf(protocol);
    value.protocol = protocol;
    mask.known_v6 = true;
    value.known_v6 = family == Family::kIpv6;
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
LooksBySide LooksOf(Family family, uint8_t protocol, uint32_t number) {
  return {Looks(family, NatSide::kClient, protocol, number), Looks(family, NatSide::kBackend, protocol, number)};
}

template <Family family>
uint8_t ProtocolOf(const uint8_t* frame) {
  return frame[kL3 + (family == Family::kIpv4 ? offsetof(net::Ipv4Header, protocol)
                                              : offsetof(net::Ipv6Header, next_header))];
}

// Whether a packet of this kind changes nothing in a session but what it acknowledges.
bool IsMiddle(uint8_t protocol, uint8_t tcp_flags) {
  constexpr uint8_t kAsked = net::kTcpSyn | net::kTcpFin | net::kTcpRst | net::kTcpAck;
  return protocol != net::kProtocolTcp || (tcp_flags & kAsked) == net::kTcpAck;
}

// The head of no chain.
constexpr uint32_t kNoLink = 0;

// What sessions are looked for with. Local to the loop and read once: see ExactVips::Finder.
template <Family family>
struct Search {
  explicit Search(const StageEnv& env)
      : keys(lb::LoadFlowKeys(*env.state->keys)),
        exact(VipFinderOf<family>(*env.state)),
        vips(env.state->fast_path_vips->data()),
        sessions(env.tables->nat().table().finder()) {}

  // Where the chain begins in which the session of the packet is. Of one that is of none that is known, or to a VIP
  // without translation, kNoLink.
  template <uint8_t protocol>
  SLUICE_FAST_PATH __attribute__((always_inline)) const uint32_t* HeadOf(size_t place, const Parsed& parsed,
                                                                         const VipKey<family>& key,
                                                                         uint64_t& hash) const {
    const uint8_t* const frame = parsed.frame[place];
    if (!IsMiddle(protocol, TcpFlagsOf(frame + kL4<family>, protocol))) [[unlikely]]
      return &kNoLink;
    const auto [vip, is_vip] = exact.FindEvenlyIn(parsed.slot[place], key.key, key.address, key.service);
    constexpr auto kSession = static_cast<uint64_t>(fwd::FastPathVip::Way::kSession);
    if (((static_cast<uint64_t>(vips[vip].way) ^ kSession) & is_vip) != 0) return &kNoLink;
    hash = HashOf<family, protocol>(frame + kSource<family>, keys);
    return sessions.HeadOf(hash);
  }

  lb::AesFlowKeys keys;
  VipFinder<family> exact;
  const fwd::FastPathVip* vips;
  lb::NatTable::Finder sessions;
};

// HeadOf of a packet that is none of the eights of TCP; of one that may have a session it notes what these have.
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) const uint32_t* HeadOfOther(size_t place, const Burst& burst, Parsed& parsed,
                                                                       uint64_t& hash, const StageEnv& env) {
  const Packet& packet = burst.packets[place];
  // Of TCP over IPv4 there is no record yet.
  const bool has_record = (parsed.eights.tcp_v4 >> place & 1) == 0;
  if (!has_record || parsed.slot[place] == nullptr || packet.headers.family != family) return &kNoLink;
  const uint8_t* const frame = FrameOf(packet);
  parsed.frame[place] = frame;
  parsed.ip_bytes[place] = packet.headers.ip_length;
  const VipKey<family> key(frame, packet.headers.protocol);
  const Search<family> search(env);
  return packet.headers.protocol == net::kProtocolTcp
             ? search.template HeadOf<net::kProtocolTcp>(place, parsed, key, hash)
             : search.template HeadOf<net::kProtocolUdp>(place, parsed, key, hash);
}

template <Family family>
SLUICE_FAST_PATH inline bool HasEnds(const lb::NatSession& session, uint64_t side, const uint8_t* frame) {
  if constexpr (family == Family::kIpv4) {
    const uint8_t* const ends = session.TupleOf(NatSide::kClient) + side * lb::NatSession::kTupleBytes;
    const __m128i differs = _mm_xor_si128(lb::LoadBlock(ends), lb::LoadBlock(frame + kSource<family>));
    return _mm_testz_si128(differs, _mm_set_epi32(0, -1, -1, -1)) != 0;
  } else {
    const __m256i differs = XorAnywhere32(LoadAligned32(AddressesV6(session, side)), frame + kSource<family>);
    const uint32_t ports = Load<uint32_t>(PortsOf(session, side)) ^ Load<uint32_t>(frame + kL4<family>);
    return ports == 0 && _mm256_testz_si256(differs, differs) != 0;
  }
}

// Fetches what HasEnds and TranslateKnown read.
template <Family family>
void PrefetchSession(const lb::NatSession* session) {
  PrefetchLine(session);
  if constexpr (family == Family::kIpv6) PrefetchLine(&session->client);
}

// The first session of the chain.
template <Family family>
__attribute__((always_inline)) inline void ReadHead(const uint32_t* head, const Search<family>& search,
                                                    FoundSession& found) {
  const Link link = Link::FromRaw(*head);
  if (!link.valid()) [[unlikely]] {
    found.session = nullptr;
    return;
  }
  found = {.session = search.sessions.at(link.number()), .side = lb::IndexOf(link.side())};
  PrefetchSession<family>(found.session);
}

}  // namespace

template <Family family>
SLUICE_FAST_PATH void FindKnownSessions(const Burst& burst, Parsed& parsed, KnownSessions& known, StageEnv& env) {
  const Search<family> search(env);
  std::array<const uint32_t*, kBurstSize> heads;
  const Places tcp = parsed.eights_of<family, net::kProtocolTcp>();
  const size_t count = burst.count;
  for (size_t i = 0; i < count; ++i) {
    heads[i] = (tcp >> i & 1) != 0
                   ? search.template HeadOf<net::kProtocolTcp>(
                         i, parsed, VipKeyOfEight<family, net::kProtocolTcp>(parsed, i), known.hashes[i])
                   : HeadOfOther<family>(i, burst, parsed, known.hashes[i], env);
    PrefetchLine(heads[i]);
    if (i >= kHeadsAhead) ReadHead(heads[i - kHeadsAhead], search, known.found[i - kHeadsAhead]);
  }
  for (size_t i = count - std::min(count, kHeadsAhead); i < count; ++i) ReadHead(heads[i], search, known.found[i]);

  const uint32_t number = env.tables->nat().NumberFor(*env.state);
  const LooksBySide of_tcp = LooksOf(family, net::kProtocolTcp, number);
  const LooksBySide of_udp = LooksOf(family, net::kProtocolUdp, number);
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
      const LooksBySide& looks = ProtocolOf<family>(frame) == net::kProtocolTcp ? of_tcp : of_udp;
      if (!HasEnds<family>(session, found.side, frame) || !looks[found.side].Fit(session.tracking)) [[unlikely]] {
        const Link next = Link::FromRaw(session.next[found.side]);
        found.session = nullptr;
        if (!next.valid()) continue;
        found = {.session = search.sessions.at(next.number()), .side = lb::IndexOf(next.side())};
        PrefetchSession<family>(found.session);
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

template SLUICE_FAST_PATH void FindKnownSessions<Family::kIpv4>(const Burst&, Parsed&, KnownSessions&, StageEnv&);
template SLUICE_FAST_PATH void FindKnownSessions<Family::kIpv6>(const Burst&, Parsed&, KnownSessions&, StageEnv&);

}  // namespace sluice::stage
