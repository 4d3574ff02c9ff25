#include "dataplane/stage/group_by_kind.h"

#include <emmintrin.h>

#include <algorithm>
#include <array>

#include "dataplane/base/check.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/packet.h"

namespace sluice::stage {
namespace {

// A number for each kind, of eight bits each in one register, where they wait for each other least. A kind is told by
// the place of its number.
using Numbers = uint64_t;
constexpr unsigned kBits = 8;
constexpr uint64_t kOne = 1;
constexpr Numbers kOneOfEach = 0x01'01'01'01'01'01;  // and of the end
uint8_t NumberOf(Numbers numbers, unsigned kind) { return static_cast<uint8_t>(numbers >> kind); }

// Where a frame says what it is. Shorter ones are of no known kind.
constexpr size_t kType = offsetof(net::EtherHeader, ether_type);
constexpr size_t kProtocolV4 = kL3 + offsetof(net::Ipv4Header, protocol);
constexpr size_t kProtocolV6 = kL3 + offsetof(net::Ipv6Header, next_header);
constexpr size_t kTold = std::max(kProtocolV4, kProtocolV6) + 1;

// As it stands in the frame.
constexpr int32_t TypeAndProtocol(Be16 type, uint8_t protocol) { return type.raw() | protocol << 16; }

constexpr size_t kKnownKinds = 4;
// By which of the known kinds a frame is, a bit for each.
constexpr auto kKindOf = [] {
  std::array<uint8_t, 1 << kKnownKinds> kinds;
  kinds.fill(kKnownKinds * kBits);
  for (size_t kind = 0; kind < kKnownKinds; ++kind) kinds[1 << kind] = static_cast<uint8_t>(kind * kBits);
  return kinds;
}();

// Without branches, which here would be as hard to guess as those that it saves.
inline uint8_t PlaceOfKind(const uint8_t* whole, size_t bytes) {
  static constexpr std::array<uint8_t, kTold> kNothing{};
  constexpr Be16 kIpv4 = Be16::FromHost(net::kEtherTypeIpv4), kIpv6 = Be16::FromHost(net::kEtherTypeIpv6);
  const uint8_t* const frame = bytes >= kTold ? whole : kNothing.data();
  const auto type = net::Load<Be16>(frame + kType);
  const size_t protocol = kProtocolV6 + size_t{type == kIpv4} * (kProtocolV4 - kProtocolV6);
  const __m128i known =
      _mm_setr_epi32(TypeAndProtocol(kIpv4, net::kProtocolTcp), TypeAndProtocol(kIpv4, net::kProtocolUdp),
                     TypeAndProtocol(kIpv6, net::kProtocolTcp), TypeAndProtocol(kIpv6, net::kProtocolUdp));
  const __m128i alike = _mm_cmpeq_epi32(known, _mm_set1_epi32(TypeAndProtocol(type, frame[protocol])));
  return kKindOf[static_cast<unsigned>(_mm_movemask_ps(_mm_castsi128_ps(alike)))];
}

}  // namespace

PacketKind KindOf(const uint8_t* frame, size_t bytes) {
  return static_cast<PacketKind>(PlaceOfKind(frame, bytes) / kBits);
}

KindGroups GroupByKind(rte_mbuf** mbufs, size_t first, size_t count) {
  SLUICE_DCHECK(first < count && count <= kBurstSize);
  std::array<uint8_t, kBurstSize> kinds;
  Numbers counts = 0;
  for (size_t i = first; i < count; ++i) {
    kinds[i] = PlaceOfKind(FrameOf(mbufs[i]), rte_pktmbuf_data_len(mbufs[i]));
    counts += kOne << kinds[i];
  }
  Numbers begins = kOneOfEach * first + (counts * kOneOfEach << kBits);  // each behind those before it
  const KindGroups groups(begins);
  if (NumberOf(counts, kinds[first]) == count - first) return groups;
  std::array<rte_mbuf*, kBurstSize> grouped;
  for (size_t i = first; i < count; ++i) {
    grouped[NumberOf(begins, kinds[i])] = mbufs[i];
    begins += kOne << kinds[i];
  }
  std::copy(&grouped[first], grouped.data() + count, mbufs + first);
  return groups;
}

}  // namespace sluice::stage
