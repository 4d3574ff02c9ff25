#ifndef SLUICE_DATAPLANE_STAGE_FAST_MARKS_H_
#define SLUICE_DATAPLANE_STAGE_FAST_MARKS_H_

#include <cstdint>

#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/lb/connection_entry.h"

// What the fast path asks of a connection's entry, and notes in it.
namespace sluice::stage {

// All backends' marks. Local to a loop and read once: to the compiler, a byte written into a packet may be where they
// are.
struct Marks {
  explicit Marks(const fwd::ForwardingState& state)
      : marks(state.backend_marks.data()), count(static_cast<uint16_t>(state.backend_marks.size())) {}

  // Whether the connection's backend is there still, and up.
  bool IsUp(const lb::ConnectionValue& value) const { return IsUp(value.backend.index(), value.generation); }
  bool IsUp(size_t backend, uint8_t generation) const { return backend < count && marks[backend].is_up == generation; }
  bool Keeps(BackendId backend, uint8_t generation) const {
    const size_t i = backend.index();
    return i < count && marks[i].keeps_flows == generation;
  }
  // Of one that is there.
  uint8_t GenerationOf(BackendId backend) const { return marks[backend.index()].generation(); }

  const fwd::BackendMark* marks;
  uint16_t count;  // as wide as ids: the compiler sees that one below it is valid, and does not ask again
};

// Notes that the connection lives. The line is written once a second.
inline void NoteSeen(lb::ConnectionValue& value, uint16_t now_s) {
  if (value.last_seen_s != now_s) [[unlikely]]
    value.last_seen_s = now_s;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_FAST_MARKS_H_
