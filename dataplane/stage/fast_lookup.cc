#include <immintrin.h>
#include <rte_mbuf.h>

#include "dataplane/base/prefetch.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_cookies.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_nat.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/fast_run.h"
#include "dataplane/stage/fast_sessions.h"
#include "dataplane/stage/fast_tracked.h"
#include "dataplane/stage/fast_tracked_burst.h"
#include "dataplane/stage/fast_tuple.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/martian.h"
#include "dataplane/stage/nat.h"
#include "dataplane/stage/stages.h"

// The fast path's first pass: its second half, and the first one's caller.
namespace sluice::stage {
namespace {

using net::Family;
using net::Load;
using Way = fwd::FastPathVip::Way;

// What has a loop of its own. Packets behind one of such a kind most often are of it too.
enum class Loop : uint8_t { kNone, kTracked, kClaims };

// What all packets of a burst are looked up with. Local to the loop and read once: see ExactVips::Finder.
struct Lookup {
  lb::AesFlowKeys keys;
  lb::ExactVips<lb::VipAddressV4>::Finder v4;
  lb::ExactVips<lb::VipAddressV6>::Finder v6;
  const fwd::FastPathVip* vips;
  fwd::VipCounters* counters;
  const Packet* packets;  // the burst's
  WantedEntries& wanted;
  bool drops_strangers;  // packets to no VIP's address are nobody else's either

  template <Family family>
  const auto& vips_of() const {
    if constexpr (family == Family::kIpv4) {
      return v4;
    } else {
      return v6;
    }
  }
};

// Of a SYN to a VIP with cookies whose connections begin by the pool's table: with timestamps they will be told by
// cookies, and without they are entered. Not inline, so that loops over cookies keep their registers.
template <Family family>
SLUICE_FAST_PATH __attribute__((noinline)) void BeginWithCookies(Packet& packet, uint64_t hash, const uint8_t* frame,
                                                                 const Tuple<family, net::kProtocolTcp>& tuple,
                                                                 const fwd::FastPathVip& entry, const Lookup& lookup,
                                                                 StageEnv& env) {
  auto& wanted = lookup.wanted.of<family>()[static_cast<size_t>(&packet - lookup.packets)];
  Want(tuple, hash, TableOf<family>(*env.tables).table.finder(), packet.vip, wanted);
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  wanted.slot = &env.state->pools[vip.pool.index()]->slots[lb::SlotOf(hash, entry.slot_count)];
  PrefetchLine(wanted.slot);
  const bool has_timestamps =
      net::FindTimestamps(frame + kL4<family>, packet.headers.ip_length - kIpBytes<family>).has_value();
  packet.past = has_timestamps ? kPassingLookup<family> : kBeginningLookup<family>;
}

// Fetches what the second pass will need of a packet whose way is none of a session, or begins to read its cookie.
// `loop`: set to the loop that packets of its kind have for themselves. Always inline: a call would cost more than what
// it does, because the loop's constants are in registers.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void Prepare(Packet& packet, uint64_t hash, const uint8_t* frame,
                                                                    const Tuple<family, protocol>& tuple,
                                                                    const fwd::FastPathVip& entry, const Lookup& lookup,
                                                                    Loop& loop, Claims& claims, StageEnv& env) {
  if (entry.way == Way::kHash) {
    PrefetchSlot(entry, hash);
    return;
  }
  if constexpr (protocol == net::kProtocolTcp) {
    static_assert(static_cast<int>(Way::kHash) + 1 == static_cast<int>(Way::kCookie),
                  "the comparison with kHash tells this one, too");
    if (entry.way > Way::kHash) [[likely]] {
      // What TurnTo turned to suits: it is asked again for `tcp`.
      __m256i tcp;
      const auto suits = [&]() SLUICE_FAST_PATH __attribute__((always_inline)) {
        return claims.usual.Suits<family>(frame, packet.headers.ip_length, entry, tcp);
      };
      if (!suits()) [[unlikely]] {
        if (entry.slot_count != 0 && ChangeBy(packet) == net::kTcpSyn) {
          BeginWithCookies<family>(packet, hash, frame, tuple, entry, lookup, env);
          return;
        }
        if (!TurnTo(packet, entry, claims, env) || !suits()) {
          PrefetchForSelection(packet, env);
          return;
        }
      }
      AddClaim(packet, tuple, entry, tcp, claims);
      if (family == Family::kIpv4) loop = Loop::kClaims;
      return;
    }
  }
  if (entry.way == Way::kTable) {
    Track(tuple, hash, entry, TableOf<family>(*env.tables).table.finder(), packet,
          lookup.wanted.of<family>()[static_cast<size_t>(&packet - lookup.packets)]);
    loop = Loop::kTracked;
    return;
  }
  if constexpr (protocol == net::kProtocolTcp) {
    if (entry.way == Way::kSlot && MayClaim(frame + kL4<family>)) [[likely]] {
      env.tables->slots().table.Prefetch(hash, SlotOfClaim(packet, frame + kL4<family>));
      return;
    }
    if (entry.way == Way::kSlot && ChangeBy(packet) == net::kTcpSyn) env.tables->slots().table.PrefetchFree(hash);
  }
  PrefetchForSelection(packet, env);
}

// Where no VIP has address and port for itself. Where no VIP has the address, the packet may be a backend's answer that
// is translated (then Packet::direction says so, or it is the stages'); without translation it is the host's, and its
// fate is decided.
template <Family family, uint8_t protocol>
inline VipId FindVipByRange(const uint8_t* frame, Packet& packet, StageEnv& env) {
  const uint8_t* const destination = frame + kDestination<family>;
  const Be16 port = packet.headers.destination_port;
  const lb::VipTable& table = *env.state->vip_table;
  bool is_vip = false;
  VipId vip;
  if constexpr (family == Family::kIpv4) {
    if (table.exact_v4().MayHave(VipKey<family>(frame, protocol).address)) {
      vip = table.LookupV4(Load<Be32>(destination), protocol, port);
      is_vip = vip.valid() || table.DescribeV4(Load<Be32>(destination)).is_vip;
    }
  } else {
    if (table.exact_v6().MayHave(VipKey<family>(frame, protocol).address)) {
      vip = table.LookupV6(destination, protocol, port);
      is_vip = vip.valid() || table.DescribeV6(destination).is_vip;
    }
  }
  if (is_vip) return vip;
  if (Translates(env)) {
    RecogniseSessionReply(packet, env);
    return vip;
  }
  // Settle would come to the same, a pass later.
  if (env.node->ports[packet.in_port.index()].has_exception_port) {
    packet.fate = Fate::kPunted;
  } else {
    Drop(packet, DropReason::kPuntNoHost);
  }
  return vip;
}

// The rest of the look-up of a packet whose `vip` is of the way kNone or kSession, or that is to none that has its
// address and port for itself. Returns the VIP with which the look-up goes on; invalid: it is over, and Packet::past
// says how. Reads from the frame again what the caller has in registers, which would otherwise be saved for every
// packet.
template <Family family, uint8_t protocol>
SLUICE_FAST_PATH __attribute__((noinline)) VipId LookUpOther(Packet& packet, const uint8_t* frame, VipId vip,
                                                             const Lookup& lookup, StageEnv& env) {
  lb::NatTable& sessions = env.tables->nat().table();
  if (!vip.valid()) {
    vip = FindVipByRange<family, protocol>(frame, packet, env);
    if (!vip.valid()) {
      if (packet.direction != Direction::kToClient || packet.fate != Fate::kPending) return vip;
      packet.flow_hash = HashOf<family, protocol>(frame + kSource<family>, lookup.keys);
      packet.past = Past::kSessionLookup;
      sessions.Prefetch(packet.flow_hash);
      return vip;
    }
  }
  const Way way = lookup.vips[vip.index()].way;
  if (way == Way::kNone) return VipId();
  if (way != Way::kSession) return vip;
  if (IsMartian(family, frame + kSource<family>, frame + kDestination<family>)) return VipId();
  packet.vip = vip;
  if (env.worker_count > 1) {
    FindOwner(packet, env);
    if (packet.fate != Fate::kPending) return VipId();
  }
  packet.flow_hash = HashOf<family, protocol>(frame + kSource<family>, lookup.keys);
  packet.past = Past::kSessionLookup;
  sessions.Prefetch(packet.flow_hash);
  PrefetchLine(&lookup.counters[vip.index()]);
  return VipId();
}

// A packet whose record is whole, and the slot in which its VIP may be. True: it is looked up. `source_is_checked`: it
// is no martian.
template <Family family, uint8_t protocol, bool source_is_checked>
SLUICE_FAST_PATH __attribute__((always_inline)) inline bool LookUpPacket(Packet& packet, const uint8_t* frame,
                                                                         const void* slot, const VipKey<family>& wanted,
                                                                         const Lookup& lookup, Loop& loop,
                                                                         Claims& claims, StageEnv& env) {
  const auto& finder = lookup.vips_of<family>();
  VipId vip = finder.FindIn(slot, wanted.key, wanted.address, wanted.service);
  if (!vip.valid()) [[unlikely]] {
    // A flood of what is no VIP's ends here, without a call: that would cost as much as all the rest of it.
    if (lookup.drops_strangers && !finder.MayHave(wanted.address)) [[likely]] {
      Drop(packet, DropReason::kPuntNoHost);
      return false;
    }
    vip = LookUpOther<family, protocol>(packet, frame, vip, lookup, env);
    if (!vip.valid()) return packet.past != Past::kNothing;
  }
  const fwd::FastPathVip& entry = lookup.vips[vip.index()];
  static_assert(Way::kNone < Way::kSession && Way::kSession < Way::kLadder, "one comparison tells the first two");
  if (entry.way <= Way::kSession) [[unlikely]] {
    LookUpOther<family, protocol>(packet, frame, vip, lookup, env);
    return packet.past != Past::kNothing;
  }
  if (!source_is_checked && IsMartian(family, frame + kSource<family>, frame + kDestination<family>)) return false;
  const Tuple<family, protocol> tuple(frame + kSource<family>);
  const uint64_t hash = HashOf(tuple, lookup.keys);
  packet.vip = vip;
  packet.flow_hash = hash;
  packet.past = Past::kLookup;
  PrefetchHeadroom(frame, entry);
  PrefetchLine(&lookup.counters[vip.index()]);
  Prepare(packet, hash, frame, tuple, entry, lookup, loop, claims, env);
  return true;
}

// Both at once: they lie side by side in the record.
constexpr uint16_t FamilyAndProtocol(Family family, uint8_t protocol) {
  return static_cast<uint16_t>(static_cast<uint8_t>(family) | protocol << 8);
}
inline uint16_t FamilyAndProtocol(const Packet& packet) {
  static_assert(offsetof(net::ParsedHeaders, protocol) == offsetof(net::ParsedHeaders, family) + 1);
  return Load<uint16_t>(reinterpret_cast<const uint8_t*>(&packet.headers.family));
}

SLUICE_FAST_PATH __attribute__((always_inline)) inline bool LookUpAny(Packet& packet, const void* slot,
                                                                      const Lookup& lookup, Loop& loop, Claims& claims,
                                                                      StageEnv& env) {
  const uint8_t* const frame = FrameOf(packet);
  const auto as = [&]<Family family, uint8_t protocol>() SLUICE_FAST_PATH __attribute__((always_inline)) {
    return LookUpPacket<family, protocol, false>(packet, frame, slot, VipKey<family>(frame, protocol), lookup, loop,
                                                 claims, env);
  };
  const uint16_t kind = FamilyAndProtocol(packet);
  if (kind == FamilyAndProtocol(Family::kIpv4, net::kProtocolTcp))
    return as.template operator()<Family::kIpv4, net::kProtocolTcp>();
  if (kind == FamilyAndProtocol(Family::kIpv4, net::kProtocolUdp))
    return as.template operator()<Family::kIpv4, net::kProtocolUdp>();
  if (kind == FamilyAndProtocol(Family::kIpv6, net::kProtocolTcp))
    return as.template operator()<Family::kIpv6, net::kProtocolTcp>();
  return as.template operator()<Family::kIpv6, net::kProtocolUdp>();
}

// LookUpTrackedRun of the kind of which the packet `first` is, which is of the eights.
size_t LookUpTracked(rte_mbuf* const* mbufs, PortId port, size_t first, const Parsed& parsed, Burst& burst,
                     WantedEntries& wanted, const StageEnv& env) {
  const auto is_of = [first](Places eights) { return (eights >> first & 1) != 0; };
  const Parsed::Eights& eights = parsed.eights;
  const auto run = is_of(eights.tcp_v4)   ? LookUpTrackedRun<Family::kIpv4, net::kProtocolTcp>
                   : is_of(eights.udp_v4) ? LookUpTrackedRun<Family::kIpv4, net::kProtocolUdp>
                   : is_of(eights.tcp_v6) ? LookUpTrackedRun<Family::kIpv6, net::kProtocolTcp>
                                          : LookUpTrackedRun<Family::kIpv6, net::kProtocolUdp>;
  return run(mbufs, port, first, parsed, burst, wanted, env);
}

// Whether the burst begins with a packet that has such a loop.
bool StartsTracked(const Parsed& parsed, const fwd::ForwardingState& state) {
  return StartsTracked<Family::kIpv4, net::kProtocolTcp>(parsed, state) ||
         StartsTracked<Family::kIpv4, net::kProtocolUdp>(parsed, state) ||
         StartsTracked<Family::kIpv6, net::kProtocolTcp>(parsed, state) ||
         StartsTracked<Family::kIpv6, net::kProtocolUdp>(parsed, state);
}

}  // namespace

bool FastPathIsSupported() {
  static const bool supported = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("bmi") != 0 &&
                                __builtin_cpu_supports("bmi2") != 0 && __builtin_cpu_supports("aes") != 0 &&
                                __builtin_cpu_supports("pclmul") != 0;
  return supported;
}

SLUICE_FAST_PATH Looked LookUpOnFastPath(rte_mbuf** mbufs, PortId port, Burst& burst, WantedEntries& wanted,
                                         StageEnv& env) {
  Claims claims(burst);
  if (!env.state->cookie_readers.empty()) ExpectUsual(*env.state, claims);
  Parsed parsed;
  ParseOnFastPath(mbufs, port, burst, parsed, env);
  const size_t count = burst.count;
  CountReceived(count, parsed.frame_bytes, port, *env.counters);
  Places taken = 0;
  if (Translates(env)) {
    Looked looked;
    taken = TakeKnownSessions(mbufs, port, parsed, burst, looked.sent, env);
    if (taken == AllPlaces(count)) return looked;
  }
  // A burst of nothing else needs none of the tables below.
  size_t first = 0;
  if (const TrackedBurst kind = TrackedBurstOf(parsed, env); kind != TrackedBurst::kNone) {
    Unfinished unfinished;
    const Sent sent = SendTrackedBurst(mbufs, port, kind, parsed, burst, wanted, unfinished, env);
    if (sent.port.valid()) return {.sent = sent};
    first = unfinished.looked_up;
    if (first == count) return {.selected = unfinished.selected, .sent = {}};
  } else if (StartsTracked(parsed, *env.state)) {
    first = LookUpTracked(mbufs, port, 0, parsed, burst, wanted, env);
  } else if (claims.expects_any()) {
    first = AddClaimRun(mbufs, port, 0, parsed, burst, claims, env);
  }
  if (first == count) {
    if (claims.any()) ReadClaims(claims, env);
    return {.selected = claims.selected, .sent = {}};
  }
  const lb::VipTable& table = *env.state->vip_table;
  const Lookup lookup = {.keys = lb::LoadFlowKeys(*env.state->keys),
                         .v4 = table.exact_v4().finder(),
                         .v6 = table.exact_v6().finder(),
                         .vips = env.state->fast_path_vips->data(),
                         .counters = env.counters->vips.get(),
                         .packets = burst.begin(),
                         .wanted = wanted,
                         .drops_strangers = !env.node->ports[port.index()].has_exception_port && !Translates(env)};
  const __m256i in_port = InPort(port);
  // Loops are for packets of the eights.
  const Places eights = parsed.eights.all();
  Looked looked;
  for (size_t i = first; i < count;) {
    Loop loop = Loop::kNone;
    for (; i < count && (loop == Loop::kNone || (eights >> i & 1) == 0); ++i) {
      Packet& packet = burst.packets[i];
      bool found;
      if ((parsed.eights.tcp_v4 >> i & 1) != 0) [[likely]] {
        constexpr auto kV4 = Family::kIpv4;
        const uint8_t* const frame = parsed.frame[i];
        WriteRecordOfEight<kV4, net::kProtocolTcp>(packet, mbufs[i], frame, parsed.ip_bytes[i], in_port);
        found = LookUpPacket<kV4, net::kProtocolTcp, true>(packet, frame, parsed.slot[i],
                                                           VipKey<kV4>(parsed.vip_key[i]), lookup, loop, claims, env);
      } else if (parsed.slot[i] != nullptr) {
        found = LookUpAny(packet, parsed.slot[i], lookup, loop, claims, env);
      } else {
        looked.left += ~taken >> i & 1;
        continue;
      }
      if (found) [[likely]]
        continue;
      looked.left += packet.fate == Fate::kPending ? 1 : 0;
      looked.refused += packet.fate == Fate::kDropped ? 1 : 0;
    }
    if (i == count) break;
    i = loop == Loop::kClaims ? AddClaimRun(mbufs, port, i, parsed, burst, claims, env)
                              : LookUpTracked(mbufs, port, i, parsed, burst, wanted, env);
  }
  if (claims.any()) ReadClaims(claims, env);
  looked.selected = claims.selected;
  return looked;
}

}  // namespace sluice::stage
