#include "dataplane/lb/fragment_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::lb {
namespace {

size_t AddressBytes(net::Family family) { return family == net::Family::kIpv4 ? 4 : 16; }

}  // namespace

FragmentTable::FragmentTable(size_t packets, size_t held, uint32_t timeout_s)
    : timeout_s_(timeout_s), buckets_(std::bit_ceil(packets), kNone), entries_(packets), slots_(held) {
  SLUICE_CHECK(packets >= 1 && packets < kNone && held < kNone && timeout_s >= 1);
  for (size_t i = packets; i-- > 0;) {
    entries_[i].next_in_bucket = free_entry_;
    free_entry_ = static_cast<uint32_t>(i);
  }
  for (size_t i = held; i-- > 0;) {
    slots_[i].next = free_slot_;
    free_slot_ = static_cast<uint32_t>(i);
  }
}

FragmentTable::Entry* FragmentTable::Find(const FragmentId& id, uint64_t hash, uint32_t now_s) {
  const size_t size = AddressBytes(id.family);
  for (uint32_t i = buckets_[hash & (buckets_.size() - 1)]; i != kNone; i = entries_[i].next_in_bucket) {
    Entry& entry = entries_[i];
    if (entry.id != id.id || entry.protocol != id.protocol || entry.family != id.family ||
        std::memcmp(entry.source.data(), id.source, size) != 0 ||
        std::memcmp(entry.destination.data(), id.destination, size) != 0) {
      continue;
    }
    if (now_s < entry.deadline_s) return &entry;
    // A sender may use the id again by now: this is another packet.
    Remove(entry);
    return nullptr;
  }
  return nullptr;
}

FragmentTable::Entry* FragmentTable::Insert(const FragmentId& id, uint64_t hash, State state, uint32_t now_s) {
  if (free_entry_ == kNone) Expire(now_s);
  if (free_entry_ == kNone || (state == State::kWaiting && waiting_ >= std::max<size_t>(1, entries_.size() / 2)))
    return nullptr;
  const uint32_t index = free_entry_;
  Entry& entry = entries_[index];
  free_entry_ = entry.next_in_bucket;
  entry = Entry();
  const size_t size = AddressBytes(id.family);
  std::memcpy(entry.source.data(), id.source, size);
  std::memcpy(entry.destination.data(), id.destination, size);
  entry.id = id.id;
  entry.protocol = id.protocol;
  entry.family = id.family;
  entry.state = state;
  entry.deadline_s = now_s + timeout_s_;
  entry.bucket = static_cast<uint32_t>(hash & (buckets_.size() - 1));
  entry.next_in_bucket = buckets_[entry.bucket];
  buckets_[entry.bucket] = index;
  entry.older = youngest_;
  if (youngest_ != kNone) entries_[youngest_].younger = index;
  youngest_ = index;
  if (oldest_ == kNone) oldest_ = index;
  ++size_;
  if (state == State::kWaiting) ++waiting_;
  return &entry;
}

void FragmentTable::Remove(Entry& entry) {
  ReleaseHeld(entry, DropFor(DropReason::kFragmentTimeout));
  const uint32_t index = IndexOf(entry);
  uint32_t* link = &buckets_[entry.bucket];
  while (*link != index) link = &entries_[*link].next_in_bucket;
  *link = entry.next_in_bucket;
  (entry.older == kNone ? oldest_ : entries_[entry.older].younger) = entry.younger;
  (entry.younger == kNone ? youngest_ : entries_[entry.younger].older) = entry.older;
  if (entry.state == State::kWaiting) --waiting_;
  --size_;
  entry.next_in_bucket = free_entry_;
  free_entry_ = index;
}

DropReason FragmentTable::AddRange(Entry& entry, const FragmentSpan& span) {
  const auto begin = span.offset;
  const auto end = static_cast<uint16_t>(span.end());
  Range* const ranges = entry.ranges.data();
  // The first range that ends behind the span's beginning, or touches it.
  size_t at = 0;
  while (at < entry.range_count && ranges[at].end < begin) ++at;
  const bool touches = at < entry.range_count && ranges[at].end == begin;
  const size_t next = touches ? at + 1 : at;
  if (next < entry.range_count && ranges[next].begin < end) {
    const bool nothing_new = ranges[next].begin <= begin && end <= ranges[next].end;
    return nothing_new ? DropReason::kFragmentDuplicate : DropReason::kFragmentOverlap;
  }
  const bool touches_next = next < entry.range_count && ranges[next].begin == end;
  if (touches && touches_next) {
    ranges[at].end = ranges[next].end;
    std::copy(ranges + next + 1, ranges + entry.range_count, ranges + next);
    --entry.range_count;
  } else if (touches) {
    ranges[at].end = end;
  } else if (touches_next) {
    ranges[next].begin = begin;
  } else {
    if (entry.range_count == kMaxRanges) return DropReason::kFragmentTableFull;
    std::copy_backward(ranges + at, ranges + entry.range_count, ranges + entry.range_count + 1);
    ranges[at] = {begin, end};
    ++entry.range_count;
  }
  return DropReason::kCount;
}

DropReason FragmentTable::NoteSpan(Entry& entry, const FragmentSpan& span) {
  const uint32_t seen_end = entry.range_count == 0 ? 0 : entry.ranges[entry.range_count - 1u].end;
  // The last fragment says where the packet ends; what lies beyond it, or a second end, is a lie.
  if (span.more ? entry.total != 0 && span.end() >= entry.total
                : span.end() < seen_end || (entry.total != 0 && span.end() != entry.total)) {
    return DropReason::kFragmentOverlap;
  }
  const DropReason reason = AddRange(entry, span);
  if (reason == DropReason::kCount && !span.more) entry.total = static_cast<uint16_t>(span.end());
  return reason;
}

FragmentVerdict FragmentTable::Refuse(Entry& entry, DropReason reason) {
  // Of these the packet can do without this one; an overlap taints all of it.
  if (reason != DropReason::kFragmentOverlap) return DropFor(reason);
  if (entry.state == State::kWaiting) --waiting_;
  entry.state = State::kRefused;
  ReleaseHeld(entry, DropFor(reason));
  return DropFor(reason);
}

FragmentVerdict FragmentTable::First(const FragmentId& id, uint64_t hash, const FragmentSpan& span,
                                     const FlowPorts& ports, uint32_t now_s) {
  const FragmentVerdict follow = {.kind = FragmentVerdict::Kind::kFollow, .reason = DropReason::kCount, .ports = ports};
  Entry* entry = Find(id, hash, now_s);
  if (entry == nullptr) {
    entry = Insert(id, hash, State::kFollowed, now_s);
    // Without its followers the packet is lost, so the first one need not pass either.
    if (entry == nullptr) return DropFor(DropReason::kFragmentTableFull);
    entry->ports = ports;
  }
  if (entry->state == State::kRefused) return DropFor(DropReason::kFragmentOverlap);
  if (const DropReason reason = NoteSpan(*entry, span); reason != DropReason::kCount) return Refuse(*entry, reason);
  if (entry->state == State::kWaiting) {
    --waiting_;
    entry->state = State::kFollowed;
    entry->ports = ports;
    ReleaseHeld(*entry, follow);
  }
  ForgetIfComplete(*entry);
  return follow;
}

FragmentVerdict FragmentTable::Later(const FragmentId& id, uint64_t hash, const FragmentSpan& span, void* packet,
                                     uint32_t now_s) {
  Entry* entry = Find(id, hash, now_s);
  if (entry == nullptr) entry = Insert(id, hash, State::kWaiting, now_s);
  if (entry == nullptr) return DropFor(DropReason::kFragmentTableFull);
  if (entry->state == State::kRefused) return DropFor(DropReason::kFragmentOverlap);
  // Before it is noted as seen: what cannot wait may come again.
  const bool waits = entry->state == State::kWaiting;
  const bool has_room = free_slot_ != kNone && entry->held_count < kMaxHeldPerPacket;
  if (waits && !has_room) {
    if (entry->range_count == 0) Remove(*entry);
    return DropFor(DropReason::kFragmentBufferFull);
  }
  if (const DropReason reason = NoteSpan(*entry, span); reason != DropReason::kCount) return Refuse(*entry, reason);
  if (!waits) {
    const FlowPorts ports = entry->ports;
    ForgetIfComplete(*entry);
    return {.kind = FragmentVerdict::Kind::kFollow, .reason = DropReason::kCount, .ports = ports};
  }
  const uint32_t slot = free_slot_;
  free_slot_ = slots_[slot].next;
  slots_[slot] = {.packet = packet, .next = kNone, .verdict = {}};
  (entry->held_last == kNone ? entry->held_first : slots_[entry->held_last].next) = slot;
  entry->held_last = slot;
  ++entry->held_count;
  ++held_;
  return {.kind = FragmentVerdict::Kind::kHold, .reason = DropReason::kCount, .ports = {}};
}

void FragmentTable::ReleaseHeld(Entry& entry, const FragmentVerdict& verdict) {
  if (entry.held_first == kNone) return;
  for (uint32_t i = entry.held_first; i != kNone; i = slots_[i].next) slots_[i].verdict = verdict;
  (released_last_ == kNone ? released_first_ : slots_[released_last_].next) = entry.held_first;
  released_last_ = entry.held_last;
  entry.held_first = entry.held_last = kNone;
  entry.held_count = 0;
}

void FragmentTable::ForgetIfComplete(Entry& entry) {
  const bool complete = entry.total != 0 && entry.range_count == 1 && entry.ranges[0].begin == 0 &&
                        entry.ranges[0].end == entry.total && entry.state == State::kFollowed;
  if (complete) Remove(entry);
}

void FragmentTable::Expire(uint32_t now_s) {
  // The timeout is the same for all, so they end in the order of their beginning.
  while (oldest_ != kNone && now_s >= entries_[oldest_].deadline_s) Remove(entries_[oldest_]);
}

void FragmentTable::Clear() {
  while (oldest_ != kNone) Remove(entries_[oldest_]);
}

bool FragmentTable::Release(Released& out) {
  if (released_first_ == kNone) return false;
  const uint32_t slot = released_first_;
  Held& held = slots_[slot];
  out = {.packet = held.packet, .verdict = held.verdict};
  released_first_ = held.next;
  if (released_first_ == kNone) released_last_ = kNone;
  held.next = free_slot_;
  free_slot_ = slot;
  --held_;
  return true;
}

}  // namespace sluice::lb
