#ifndef SLUICE_DATAPLANE_STAGE_FAST_RUN_H_
#define SLUICE_DATAPLANE_STAGE_FAST_RUN_H_

#include <immintrin.h>
#include <rte_mbuf.h>

#include <bit>
#include <cstddef>

#include "dataplane/base/prefetch.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_frame.h"
#include "dataplane/stage/fast_parse.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/martian.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

// What the first pass's loops over packets of one kind have in common.
namespace sluice::stage {

// Prefetches the line in front of the frame, where a tunnel's headers go: the buffer comes from a device, so none of
// its lines is in this core's cache, and a store to a missing line would hold up those behind it.
inline void PrefetchHeadroom(const uint8_t* frame, const fwd::FastPathVip& vip) {
  if (vip.mode != fwd::ForwardingMode::kL2) PrefetchLine(frame - 1);
}

// The first pass of packets from `first` on that are of Parsed::eights_of the kind and suit, to VIPs that have address
// and port for themselves; makes the records that are not made yet. Returns the first of another kind, of which nothing
// is known yet.
//   second_half                            of TCP over IPv4: as WriteRecord has it
//   suits(place, vip, frame)               whether the loop is for the packet
//   note(place, packet, vip, tuple, hash)  what else is fetched and noted; the packet has VIP and hash
template <net::Family family, uint8_t protocol, typename Suits, typename Note>
SLUICE_FAST_PATH __attribute__((always_inline)) inline size_t LookUpRun(rte_mbuf* const* mbufs, size_t first,
                                                                        const Parsed& parsed, Burst& burst,
                                                                        const StageEnv& env, __m256i second_half,
                                                                        const Suits& suits, const Note& note) {
  const auto exact_vips = VipFinderOf<family>(*env.state);
  const lb::AesFlowKeys keys = lb::LoadFlowKeys(*env.state->keys);
  const fwd::FastPathVip* const vips = env.state->fast_path_vips->data();
  const fwd::VipCounters* const counters = env.counters->vips.get();
  const size_t end = first + static_cast<size_t>(std::countr_one(parsed.eights_of<family, protocol>() >> first));
  size_t i = first;
  for (; i < end; ++i) {
    const VipKey<family> key = VipKeyOfEight<family, protocol>(parsed, i);
    const VipId vip = exact_vips.FindIn(parsed.slot[i], key.key, key.address, key.service);
    if (!vip.valid()) [[unlikely]]
      break;
    const fwd::FastPathVip& entry = vips[vip.index()];
    const uint8_t* const frame = parsed.frame[i];
    if (!suits(i, entry, frame)) [[unlikely]]
      break;
    Packet& packet = burst.packets[i];
    if constexpr (family == net::Family::kIpv4 && protocol == net::kProtocolTcp) {
      WriteRecordOfEight<family, protocol>(packet, mbufs[i], frame, parsed.ip_bytes[i], second_half);
    } else if (family == net::Family::kIpv6 && IsMartian(family, frame + kSource<family>, frame + kDestination<family>))
        [[unlikely]] {
      break;
    }
    PrefetchLine(&counters[vip.index()]);
    const Tuple<family, protocol> tuple(frame + kSource<family>);
    const uint64_t hash = HashOf(tuple, keys);
    packet.flow_hash = hash;
    packet.vip = vip;
    note(i, packet, entry, tuple, hash);
  }
  return i;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_RUN_H_
