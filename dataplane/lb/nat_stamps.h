#ifndef SLUICE_DATAPLANE_LB_NAT_STAMPS_H_
#define SLUICE_DATAPLANE_LB_NAT_STAMPS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/lb/cookie_layout.h"

namespace sluice::lb {

// What is remembered of a translated connection whose backend's timestamps carry a cookie to the client, so that the
// backend gets back what it sent; what the agent on backends remembers in the other modes. All zero: the connection has
// no cookie, and its timestamps pass as they are. The layout is that which the connection began with.
class NatStamps {
 public:
  // Connections of which so many ticks were seen get back the very timestamps of these.
  static constexpr size_t kTicks = 8;

  // `cookie` has no more than the layout's bits.
  void Begin(const CookieLayout& layout, uint32_t cookie) {
    *this = {};
    bits_ = static_cast<uint8_t>(layout.bits());
    clock_bits_ = layout.clock_bits;
    cookie_ = cookie;
  }
  bool active() const { return bits_ != 0; }
  // Whether what a client echoes has this connection's cookie.
  bool IsOwn(uint32_t wire) const { return active() && (wire & ((uint32_t{1} << bits_) - 1)) == cookie_; }

  // What the client is to see for the backend's `timestamp`.
  uint32_t Send(uint32_t timestamp) {
    if (count_ == 0 || latest_ >> clock_bits_ != timestamp >> clock_bits_) {
      std::copy_backward(first_of_tick_.begin(), first_of_tick_.end() - 1, first_of_tick_.end());
      first_of_tick_[0] = static_cast<uint16_t>(timestamp);
      count_ = static_cast<uint8_t>(std::min<size_t>(count_ + size_t{1}, kTicks));
    }
    latest_ = timestamp;
    return timestamp >> clock_bits_ << bits_ | cookie_;
  }

  // The timestamp that the client means by what it echoes: the first one of its tick that was sent, where that is
  // remembered, else the tick's beginning, so that a round-trip time is never too short. 0, which says that there is no
  // echo, for what is not of this connection, and while nothing was seen of the backend (another director was on the
  // way until now).
  uint32_t Restore(uint32_t wire) const {
    if (count_ == 0 || !IsOwn(wire)) return 0;
    const CookieLayout layout = {
        .key_bits = 0, .tier_bits = 0, .backend_bits = bits_, .check_bits = 0, .clock_bits = clock_bits_};
    const uint32_t tick = TickOf(layout, wire, latest_);
    const uint32_t begin = tick << clock_bits_;
    for (size_t i = 0; i < count_; ++i) {
      const auto offset = static_cast<uint16_t>(first_of_tick_[i] - begin);
      if (offset >> clock_bits_ == 0) return begin + offset;
    }
    return begin;
  }

 private:
  uint32_t cookie_ = 0;
  uint32_t latest_ = 0;  // the last timestamp of the backend
  // The lower halves of the first timestamps of the latest ticks, the newest first.
  std::array<uint16_t, kTicks> first_of_tick_{};
  uint8_t count_ = 0;
  uint8_t bits_ = 0;
  uint8_t clock_bits_ = 0;
};
static_assert(sizeof(NatStamps) == 28);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_STAMPS_H_
