#ifndef SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
#define SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

namespace sluice::stage {

// What nearly all stages treat alike.
enum class PacketKind : uint8_t { kTcpV4, kUdpV4, kTcpV6, kUdpV6, kOther };

// Where the packets of a kind are in a burst.
class KindGroups {
 public:
  KindGroups(uint64_t begins, uint64_t counts) : begins_(begins), counts_(counts) {}
  size_t begin(PacketKind kind) const { return Of(begins_, kind); }
  size_t end(PacketKind kind) const { return Of(begins_, kind) + Of(counts_, kind); }

 private:
  static size_t Of(uint64_t numbers, PacketKind kind) {
    return static_cast<uint8_t>(numbers >> 8 * static_cast<unsigned>(kind));
  }

  uint64_t begins_, counts_;  // a byte for each kind
};

// Puts the packets of a burst behind each other that are of a kind, that of the first one first, each in the order in
// which they came. Those before `first` are all of the first one's kind, and not looked at. So packets of a flow stay
// in order, and so do fragments and the packets of a flow that differ in IPv4 options or in the number of their
// buffers. Traffic of several kinds comes in any order, and where every second packet is of another kind than the one
// before, a packet spends more time on wrong guesses of where the code goes on than on all else (row mixed). 1 to
// kBurstSize packets, `first` below `count`. Says where those from `first` on are then.
KindGroups GroupByKind(rte_mbuf** mbufs, size_t first, size_t count);

// A few packets are faster as they are.
inline constexpr size_t kLeastGrouped = 8;

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
