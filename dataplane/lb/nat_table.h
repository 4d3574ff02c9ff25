#ifndef SLUICE_DATAPLANE_LB_NAT_TABLE_H_
#define SLUICE_DATAPLANE_LB_NAT_TABLE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/base/prefetch.h"
#include "dataplane/lb/nat_session.h"
#include "dataplane/lb/nat_stamps.h"

namespace sluice::lb {

// The translated flows of one worker, found from either side: by the tuple of the client's packets and by that of the
// backend's. Two hash tables of chains over one array of sessions, so that a session is either in both or in none, and
// an insertion fails only when every session is in use. With two heads for each session a lookup follows a chain of one
// in most cases. Hashes are keyed flow hashes, so nobody outside can lengthen a chain.
//
// Sessions begin unconfirmed (NatTracking), and a quarter of them may be so at a time: each takes the next place of a
// ring, and the one that had it before, a whole ring ago, is ended if it still shows no life. So a flood of spoofed
// packets pushes out its own sessions, oldest first; a real client has as long to answer as the flood needs to fill the
// ring, and what it confirmed is safe.
//
// 173 bytes for each session; 28 of them lie apart and are touched only where its timestamps carry a cookie.
class NatTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  static constexpr size_t BytesFor(size_t sessions) {
    return sessions * (sizeof(NatSession) + sizeof(NatStamps)) +
           (2 * HeadsFor(sessions) + UnconfirmedFor(sessions)) * sizeof(uint32_t);
  }
  // How many may be unconfirmed at a time.
  static constexpr size_t UnconfirmedFor(size_t sessions) {
    return sessions == 0 ? 0 : std::max<size_t>(1, sessions / 4);
  }

  // `memory`: BytesFor(sessions) bytes, zeroed, aligned to 64, that outlive the table. `sessions` may be 0.
  NatTable(void* memory, size_t sessions);

  size_t capacity() const { return capacity_; }
  size_t in_use() const { return in_use_; }

  void PrefetchByClient(uint64_t hash) const { PrefetchLine(&by_client_[Chain(hash)]); }
  void PrefetchByBackend(uint64_t hash) const { PrefetchLine(&by_backend_[Chain(hash)]); }

  // For look-ups in great numbers (lb/find_session.h), in steps between which memory has time to answer: the number of
  // a chain's first session plus 1 (0: none), and that session's lines.
  uint32_t FirstByClient(uint64_t hash) const { return by_client_[Chain(hash)]; }
  uint32_t FirstByBackend(uint64_t hash) const { return by_backend_[Chain(hash)]; }
  uint32_t First(bool by_client, uint64_t hash) const { return (by_client ? by_client_ : by_backend_)[Chain(hash)]; }
  void PrefetchSession(uint32_t number_plus_1) const {
    const NatSession* const session = &sessions_[number_plus_1 == 0 ? 0 : number_plus_1 - 1];
    PrefetchLine(session);
    PrefetchLine(&session->local_address);
  }
  // The session of a client's packet to a VIP, or null. `hash` is the keyed flow hash of the tuple.
  NatSession* FindByClient(const NatTuple& tuple, VipId vip, uint64_t hash);
  // The session of a backend's packet, or null.
  NatSession* FindByBackend(const NatTuple& tuple, uint64_t hash);

  // Takes a session into use, for a flow of whose two tuples none has one yet; all but tuples and VIP is as in a new
  // NatSession, and the caller sets it. `end(session)` is called for an unconfirmed session that has to make room; it
  // must Remove it. Null when every session is in use and none of the oldest unconfirmed ones can go.
  template <typename End>
  NatSession* Insert(const NatTuple& from_client, VipId vip, uint64_t client_hash, const NatTuple& from_backend,
                     uint64_t backend_hash, End&& end) {
    if (capacity_ == 0) return nullptr;
    if (NatSession* old = UnconfirmedAt(next_slot_)) end(*old);
    for (size_t i = 0; in_use_ == capacity_ && i < kRoomProbes; ++i) {
      if (NatSession* old = UnconfirmedAt((next_slot_ + i) % UnconfirmedFor(capacity_))) end(*old);
    }
    if (in_use_ == capacity_) return nullptr;
    return &Take(from_client, vip, client_hash, from_backend, backend_hash);
  }
  void Remove(NatSession& session);

  // Sessions by number, below capacity(): for packets on their way through the stages, and for sweeps. One that is not
  // in use has the state kFree.
  NatSession& at(uint32_t number) { return sessions_[number]; }
  const NatSession& at(uint32_t number) const { return sessions_[number]; }
  // Belongs to the session of this number while that is `stamped`.
  NatStamps& stamps(uint32_t number) { return stamps_[number]; }
  uint32_t NumberOf(const NatSession& session) const { return static_cast<uint32_t>(&session - sessions_); }
  // How many sessions began since an unconfirmed one did, counted within a ring.
  size_t AgeOf(const NatSession& session) const {
    const size_t ring = UnconfirmedFor(capacity_);
    return (next_slot_ + ring - session.unconfirmed_slot - 1) % ring;
  }
  // Sessions from this number on were never in use: a sweep need not look at them.
  size_t highest() const { return never_used_; }

 private:
  // So many of the oldest unconfirmed sessions are looked at when all sessions are in use.
  static constexpr size_t kRoomProbes = 16;

  // Two for each session, in whole cache lines.
  static constexpr size_t HeadsFor(size_t sessions) { return std::max<size_t>(16, (sessions * 2 + 15) / 16 * 16); }

  uint32_t Chain(uint64_t hash) const { return static_cast<uint32_t>(((hash & 0xffff'ffff) * head_count_) >> 32); }
  // The session that took this place of the ring, if it is in use and still not confirmed.
  NatSession* UnconfirmedAt(size_t slot);
  NatSession& Take(const NatTuple& from_client, VipId vip, uint64_t client_hash, const NatTuple& from_backend,
                   uint64_t backend_hash);

  NatSession* sessions_;
  uint32_t* by_client_;  // by chain: the number of its first session plus 1, 0: none
  uint32_t* by_backend_;
  uint32_t* unconfirmed_;  // the ring: numbers plus 1
  NatStamps* stamps_;
  size_t capacity_;
  size_t head_count_;
  size_t in_use_ = 0;
  size_t never_used_ = 0;  // the first session that was never in use
  uint32_t free_ = 0;      // chain of ended sessions by next_by_client, number plus 1
  uint32_t next_slot_ = 0;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_TABLE_H_
