#ifndef SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
#define SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_

#include <rte_mbuf.h>

#include <cstddef>
#include <cstdint>

namespace sluice::stage {

// What nearly all stages treat alike.
enum class PacketKind : uint8_t { kTcpV4, kUdpV4, kTcpV6, kUdpV6, kOther };

// `frame`: as much of it as its first buffer has.
PacketKind KindOf(const uint8_t* frame, size_t bytes);

// Where the packets of a kind are in a burst.
class KindGroups {
 public:
  explicit KindGroups(uint64_t begins) : begins_(begins) {}
  size_t begin(PacketKind kind) const { return Begin(static_cast<unsigned>(kind)); }
  size_t end(PacketKind kind) const { return Begin(static_cast<unsigned>(kind) + 1); }

 private:
  size_t Begin(unsigned kind) const { return static_cast<uint8_t>(begins_ >> 8 * kind); }

  uint64_t begins_;  // a byte for each kind, and one for the end
};

// Puts the packets of a burst behind each other that are of a kind, in the order of PacketKind, each in the order in
// which they came. Those before `first` are kTcpV4, and not looked at. So packets of a flow stay in order, also if they
// differ in IPv4 options or are fragments of IPv4. Of IPv6 those with extension headers, fragments among them, are
// kOther, and come behind others of their flow that have none.
//
// Traffic of several kinds comes in any order, and where every second packet is of another kind than the one before, a
// packet spends more time on wrong guesses of where the code goes on than on all else (row mixed). 1 to kBurstSize
// packets, `first` below `count`. Says where those from `first` on are then.
KindGroups GroupByKind(rte_mbuf** mbufs, size_t first, size_t count);

// A few packets are faster as they are.
inline constexpr size_t kLeastGrouped = 8;

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_GROUP_BY_KIND_H_
