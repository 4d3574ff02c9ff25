#ifndef SLUICE_DATAPLANE_LB_SLOT_TABLE_H_
#define SLUICE_DATAPLANE_LB_SLOT_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/ids.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/lb/flow_state.h"

namespace sluice::lb {

// A connection whose place the packet itself names. What is counted of it is what its owner adds.
struct ConnectionSlot {
  uint64_t check = 0;  // the flow's keyed hash
  uint64_t bytes = 0;
  uint32_t packets = 0;
  uint32_t began_s = 0;
  BackendId backend;
  VipId vip;
  uint16_t last_seen_s = 0;  // monotonic seconds modulo 2^16
  uint8_t generation = 0;    // low byte of the backend's
  FlowState state = FlowState::kFree;

  uint16_t IdleSeconds(uint32_t now_s) const { return static_cast<uint16_t>(now_s - last_seen_s); }
};
static_assert(sizeof(ConnectionSlot) == 32, "two share a cache line and none lies in two");

// What stands in a connection's packets for its slot: the number under a pad of the flow's keyed hash. It tells who has
// not the key nothing of the table, and no more is needed, since a slot has its connection's whole hash. Its own
// inverse.
constexpr uint8_t SlotCookie(uint64_t hash, uint8_t slot) {
  return static_cast<uint8_t>(slot ^ static_cast<uint8_t>(hash >> 8 ^ hash >> 40));
}

// The connections of one worker in slots that are found without a search (the stateful variant of Cheetah, Barbette et
// al., NSDI 2020, with small blocks). A keyed hash of the tuple chooses a block of 256 slots; a new connection takes
// the slot of that block that was freed last, and its number within the block goes into the cookie: 8 bits, whatever
// the number of connections. A later packet brings both back, hash and number, and so reads one cache line.
//
// The number is a claim: the slot also has the keyed hash of its connection's tuple (64 bits), and one that has another
// is not the packet's. Without the key nobody can choose a block, so nobody can aim at one; a block gets as many
// connections as chance gives it. Filled to three quarters, as it is sized for, fewer than one insertion in a million
// finds its block full; such a connection is for the caller's next rung. Nothing that lives is evicted.
//
// 33 bytes a slot and 44 a connection: ten million take 440 MB.
class SlotTable {
 public:
  static constexpr size_t kBlockSlots = 256;
  static constexpr int kSlotBits = 8;

  static constexpr size_t BlocksFor(size_t connections) {
    return connections == 0 ? 0 : (connections * 4 / 3 + kBlockSlots - 1) / kBlockSlots;
  }
  static constexpr size_t BytesFor(size_t connections) {
    return BlocksFor(connections) * (kBlockSlots * sizeof(ConnectionSlot) + sizeof(FreeSlots));
  }

  // `memory`: BytesFor(connections) bytes, zeroed, aligned to 64, that outlive the table. `connections` may be 0.
  SlotTable(void* memory, size_t connections);

  size_t in_use() const { return in_use_; }
  size_t capacity() const { return capacity_; }
  size_t slot_count() const { return block_count_ * kBlockSlots; }

  void Prefetch(uint64_t hash, uint8_t slot) const {
    if (block_count_ > 0) PrefetchLine(&slots_[IndexOf(hash, slot)]);
  }

  // Fetches what Insert reads first, and once that is there, what it reads and writes then, unless another connection
  // takes the slot before.
  void PrefetchFree(uint64_t hash) const {
    if (block_count_ > 0) PrefetchLine(&free_[BlockOf(hash)]);
  }
  void PrefetchRoom(uint64_t hash) const;

  // The connection that has this slot of its block, if it is the one with this hash; else null. `hash`: the flow's
  // keyed hash (flow_hash.h). O(1), one cache line.
  ConnectionSlot* Find(uint64_t hash, VipId vip, uint8_t slot) {
    if (block_count_ == 0) return nullptr;
    ConnectionSlot& found = slots_[IndexOf(hash, slot)];
    const bool is_it = found.check == hash && found.vip == vip && found.state != FlowState::kFree;
    return is_it ? &found : nullptr;
  }

  // The connection with this hash, whatever its slot; null when there is none. Looks at a whole block: 128 cache lines,
  // for whoever has not the packet's word.
  const ConnectionSlot* Search(uint64_t hash, VipId vip) const;

  // A slot for a connection that has none: its number within its block, or nothing when the block is full. The slot's
  // state is `first` (not kFree); the caller sets backend and generation. O(1).
  std::optional<uint8_t> Insert(uint64_t hash, VipId vip, FlowState first, uint32_t now_s);

  // Ends the connection of a slot in use. O(1).
  void Remove(ConnectionSlot& slot);

  // Looks at `count` slots from number `first` on (first + count <= slot_count()) and ends those for which
  // `ended(slot)` is true.
  template <typename Ended>
  void Sweep(size_t first, size_t count, Ended&& ended) {
    for (size_t i = first; i < first + count; ++i) {
      ConnectionSlot& slot = slots_[i];
      if (slot.state != FlowState::kFree && ended(slot)) Remove(slot);
    }
  }

 private:
  // The slots of a block that are free: a stack of those that were in use, and all from `never_used` on. Zeroed memory
  // is a block without connections.
  struct FreeSlots {
    uint16_t stacked = 0;
    uint16_t never_used = 0;
    std::array<uint8_t, kBlockSlots> stack{};

    bool any() const { return stacked > 0 || never_used < kBlockSlots; }
    // Of those that there are, the one to be taken next.
    uint8_t next() const { return stacked > 0 ? stack[stacked - 1u] : static_cast<uint8_t>(never_used); }
    void Take() { stacked > 0 ? --stacked : ++never_used; }
  };
  static_assert(sizeof(FreeSlots) == kBlockSlots + 4);

  // By the hash's lower half, as the connection table's buckets: the upper one chooses the Maglev slot.
  size_t BlockOf(uint64_t hash) const { return static_cast<size_t>(((hash & 0xffff'ffff) * block_count_) >> 32); }
  size_t IndexOf(uint64_t hash, uint8_t slot) const { return BlockOf(hash) * kBlockSlots + slot; }

  ConnectionSlot* slots_;
  FreeSlots* free_;
  size_t block_count_;
  size_t capacity_;
  size_t in_use_ = 0;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_SLOT_TABLE_H_
