#ifndef SLUICE_DATAPLANE_STAGE_EXTRA_PACKETS_H_
#define SLUICE_DATAPLANE_STAGE_EXTRA_PACKETS_H_

#include <rte_mbuf.h>

#include <array>
#include <cstddef>

#include "dataplane/base/ids.h"

namespace sluice::stage {

// Packets that a stage made in addition to one of the burst: pieces of one that had to be fragmented, and copies of one
// for other backends. They leave right behind that one, in the order in which they were added; the pipeline counts them
// as originated.
class ExtraPackets {
 public:
  // The pieces of two or three of the largest packets; a burst that needs more drops the rest of them.
  static constexpr size_t kMax = 128;
  // A burst that needs more does without.
  static constexpr size_t kMaxCopies = 512;

  bool empty() const { return count_ == 0; }
  size_t room() const { return kMax - (count_ - copies_); }
  size_t room_for_copies() const { return kMaxCopies - copies_; }
  // `owner`: the packet of the burst behind which it leaves; added in the burst's order. There must be room.
  void Add(const void* owner, PortId port, rte_mbuf* mbuf) { extras_[count_++] = {owner, port, mbuf}; }
  void AddCopy(const void* owner, PortId port, rte_mbuf* mbuf) {
    ++copies_;
    Add(owner, port, mbuf);
  }

  // Calls fn(port, mbuf) for the extras of one packet. Asked for in the burst's order.
  template <typename Fn>
  void Take(const void* owner, Fn&& fn) {
    for (; next_ < count_ && extras_[next_].owner == owner; ++next_) fn(extras_[next_].port, extras_[next_].mbuf);
    if (next_ == count_) next_ = count_ = copies_ = 0;
  }

 private:
  struct Extra {
    const void* owner;
    PortId port;
    rte_mbuf* mbuf;
  };
  std::array<Extra, kMax + kMaxCopies> extras_;
  size_t count_ = 0;
  size_t copies_ = 0;
  size_t next_ = 0;
};

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_EXTRA_PACKETS_H_
