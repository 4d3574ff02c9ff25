#ifndef SLUICE_DATAPLANE_LB_FRAGMENT_TABLE_H_
#define SLUICE_DATAPLANE_LB_FRAGMENT_TABLE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/drop_reason.h"
#include "dataplane/lb/owner.h"

namespace sluice::lb {

// Of a TCP segment: whether it has timestamps, and the one that it echoes, which a SYN does not.
struct TcpEcho {
  uint32_t value = 0;  // host byte order
  bool has_timestamps = false;
  bool has_echo = false;
  friend bool operator==(const TcpEcho&, const TcpEcho&) = default;
};

// What the first fragment tells of its packet's flow: TCP or UDP ports, and what TCP's timestamps say of the backend.
struct FlowPorts {
  uint8_t protocol = 0;
  Be16 source;
  Be16 destination;
  TcpEcho echo = {};
  friend bool operator==(const FlowPorts&, const FlowPorts&) = default;
};

// Where a fragment's payload lies in the whole packet's, in bytes.
struct FragmentSpan {
  uint16_t offset = 0;
  uint16_t length = 0;  // at least 1; offset + length is at most 65535
  bool more = false;    // others follow

  uint32_t end() const { return uint32_t{offset} + length; }
};

// What is to become of a fragment.
struct FragmentVerdict {
  enum class Kind : uint8_t {
    kFollow,  // goes where `ports` say
    kHold,    // waits for the first one; the table has it until Release returns it
    kDrop,    // for `reason`
  };
  Kind kind = Kind::kDrop;
  DropReason reason = DropReason::kCount;
  FlowPorts ports;
};

// Fragmented packets that pass through: the first fragment has ports and timestamps, and the others follow it. Those
// that come before it wait. What was seen of each packet is remembered, so that every byte of it passes once: fragments
// that overlap (RFC 1858, 3128, 5722) are no work of an honest sender, and end the packet; one that brings nothing new,
// as a network that doubles packets makes them, is dropped alone. The packet is forgotten when it passed completely, or
// after the timeout, which counts from its first fragment to arrive.
//
// Everything is bounded: packets that are followed; those of them whose first fragment is missing, half as many; and
// fragments that wait, altogether and for each packet. One thread; memory is taken at construction only.
class FragmentTable {
 public:
  // A packet whose fragments come in an order with more gaps at once than this is cut short (kFragmentTableFull).
  static constexpr size_t kMaxRanges = 12;
  // The largest packet has 45 fragments of an Ethernet's usual size.
  static constexpr size_t kMaxHeldPerPacket = 48;

  // `packets` and `timeout_s` are at least 1, `held` may be 0.
  FragmentTable(size_t packets, size_t held, uint32_t timeout_s);

  // The fragment at offset 0. `hash` is FragmentHash(id). If it may pass, those that waited for it are released.
  FragmentVerdict First(const FragmentId& id, uint64_t hash, const FragmentSpan& span, const FlowPorts& ports,
                        uint32_t now_s);
  // Any other. `packet`, which the table does not look at, is kept if the verdict is kHold.
  FragmentVerdict Later(const FragmentId& id, uint64_t hash, const FragmentSpan& span, void* packet, uint32_t now_s);
  // Forgets packets whose time is over, and releases what waited for them with kFragmentTimeout.
  void Expire(uint32_t now_s);

  struct Released {
    void* packet = nullptr;
    FragmentVerdict verdict;  // kFollow or kDrop
  };
  // Takes the next of those that wait no more, in the order of their arrival. False: there is none.
  bool Release(Released& out);
  // Lets all that wait go with kFragmentTimeout, and forgets everything.
  void Clear();

  // Fragments that wait, and those released that nobody has taken.
  size_t held() const { return held_; }
  // Packets that are followed.
  size_t size() const { return size_; }

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  enum class State : uint8_t { kWaiting, kFollowed, kRefused };
  struct Range {
    uint16_t begin = 0;
    uint16_t end = 0;
  };
  struct Entry {
    std::array<uint8_t, 16> source{};
    std::array<uint8_t, 16> destination{};
    uint32_t id = 0;
    uint8_t protocol = 0;  // as of FragmentId
    net::Family family = net::Family::kIpv4;
    State state = State::kWaiting;
    uint8_t range_count = 0;
    FlowPorts ports;
    uint16_t total = 0;  // bytes of the whole packet; 0: the last fragment has not come
    uint8_t held_count = 0;
    uint32_t deadline_s = 0;
    uint32_t bucket = 0;
    uint32_t next_in_bucket = kNone;  // or in the list of free entries
    uint32_t older = kNone;
    uint32_t younger = kNone;
    uint32_t held_first = kNone;
    uint32_t held_last = kNone;
    std::array<Range, kMaxRanges> ranges{};  // disjoint, ascending, not adjacent
  };
  struct Held {
    void* packet = nullptr;
    uint32_t next = kNone;
    FragmentVerdict verdict;
  };

  Entry* Find(const FragmentId& id, uint64_t hash, uint32_t now_s);
  // Null: there is no room.
  Entry* Insert(const FragmentId& id, uint64_t hash, State state, uint32_t now_s);
  void Remove(Entry& entry);
  // Notes what the fragment brings; otherwise returns why it must not pass, kCount if it may.
  DropReason NoteSpan(Entry& entry, const FragmentSpan& span);
  static DropReason AddRange(Entry& entry, const FragmentSpan& span);
  FragmentVerdict Refuse(Entry& entry, DropReason reason);
  // Moves what waits for the entry to the released ones.
  void ReleaseHeld(Entry& entry, const FragmentVerdict& verdict);
  void ForgetIfComplete(Entry& entry);
  uint32_t IndexOf(const Entry& entry) const { return static_cast<uint32_t>(&entry - entries_.data()); }
  static FragmentVerdict DropFor(DropReason reason) {
    return {.kind = FragmentVerdict::Kind::kDrop, .reason = reason, .ports = {}};
  }

  const uint32_t timeout_s_;
  std::vector<uint32_t> buckets_;  // a power of two
  std::vector<Entry> entries_;
  std::vector<Held> slots_;
  uint32_t free_entry_ = kNone;
  uint32_t free_slot_ = kNone;
  uint32_t oldest_ = kNone;
  uint32_t youngest_ = kNone;
  uint32_t released_first_ = kNone;
  uint32_t released_last_ = kNone;
  size_t size_ = 0;
  size_t waiting_ = 0;
  size_t held_ = 0;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FRAGMENT_TABLE_H_
