#include "dataplane/lb/slot_table.h"

#include "dataplane/base/check.h"

namespace sluice::lb {

SlotTable::SlotTable(void* memory, size_t connections)
    : slots_(static_cast<ConnectionSlot*>(memory)),
      free_(reinterpret_cast<FreeSlots*>(slots_ + BlocksFor(connections) * kBlockSlots)),
      block_count_(BlocksFor(connections)),
      capacity_(connections) {
  constexpr uintptr_t kCacheLine = 64;
  SLUICE_CHECK(reinterpret_cast<uintptr_t>(memory) % kCacheLine == 0);
  SLUICE_CHECK(block_count_ <= UINT32_MAX);
}

const ConnectionSlot* SlotTable::Search(uint64_t hash, VipId vip) const {
  if (block_count_ == 0) return nullptr;
  const ConnectionSlot* newest = nullptr;
  for (size_t i = IndexOf(hash, 0); i < IndexOf(hash, 0) + kBlockSlots; ++i) {
    const ConnectionSlot& slot = slots_[i];
    if (slot.state == FlowState::kFree || slot.check != hash || slot.vip != vip) continue;
    // A SYN that was sent again has left slots of which nothing more is heard.
    const bool more = newest == nullptr || slot.packets > newest->packets ||
                      (slot.packets == newest->packets && slot.began_s > newest->began_s);
    if (more) newest = &slot;
  }
  return newest;
}

void SlotTable::PrefetchRoom(uint64_t hash) const {
  if (block_count_ == 0) return;
  const FreeSlots& free = free_[BlockOf(hash)];
  if (free.any()) PrefetchLine(&slots_[IndexOf(hash, free.next())]);
}

std::optional<uint8_t> SlotTable::Insert(uint64_t hash, VipId vip, FlowState first, uint32_t now_s) {
  if (block_count_ == 0) return std::nullopt;
  FreeSlots& free = free_[BlockOf(hash)];
  if (!free.any()) return std::nullopt;
  const uint8_t number = free.next();
  free.Take();
  ConnectionSlot slot;
  slot.check = hash;
  slot.vip = vip;
  slot.state = first;
  slot.began_s = now_s;
  slot.last_seen_s = static_cast<uint16_t>(now_s);
  slots_[IndexOf(hash, number)] = slot;
  ++in_use_;
  return number;
}

void SlotTable::Remove(ConnectionSlot& slot) {
  FreeSlots& free = free_[BlockOf(slot.check)];
  free.stack[free.stacked++] = static_cast<uint8_t>(static_cast<size_t>(&slot - slots_) % kBlockSlots);
  slot.state = FlowState::kFree;
  --in_use_;
}

}  // namespace sluice::lb
