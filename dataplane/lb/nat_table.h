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
// backend's. One hash table of chains over one array of sessions, in which each session is twice, once for either side,
// or not at all, so that an insertion fails only when every session is in use. With eight heads for each session a
// lookup follows a chain of one in most cases. What a chain links says the side too, so that a packet's session is
// found before it is known where the packet came from. Hashes are keyed flow hashes, so nobody outside can lengthen a
// chain.
//
// Sessions begin unconfirmed (NatTracking), and a quarter of them may be so at a time: each takes the next place of a
// ring, and the one that had it before, a whole ring ago, is ended if it still shows no life. So a flood of spoofed
// packets pushes out its own sessions, oldest first; a real client has as long to answer as the flood needs to fill the
// ring, and what it confirmed is safe.
//
// 193 bytes for each session. 28 of them lie apart and are touched only where its timestamps carry a cookie, as 64 that
// are touched where a side is of IPv6.
class NatTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  static constexpr size_t BytesFor(size_t sessions) {
    return sessions * (sizeof(NatSession) + sizeof(NatStamps)) +
           (HeadsFor(sessions) + UnconfirmedFor(sessions) + sessions) * sizeof(uint32_t);
  }
  // How many may be unconfirmed at a time.
  static constexpr size_t UnconfirmedFor(size_t sessions) {
    return sessions == 0 ? 0 : std::max<size_t>(1, sessions / 4);
  }

  // `memory`: BytesFor(sessions) bytes, zeroed, aligned to 64, that outlive the table. `sessions` may be 0.
  NatTable(void* memory, size_t sessions);

  size_t capacity() const { return capacity_; }
  size_t in_use() const { return in_use_; }

  // A session as a chain links it: of one side.
  class Link {
   public:
    constexpr Link() = default;
    Link(uint32_t number, NatSide side) : raw_(number * 2 + static_cast<uint32_t>(IndexOf(side)) + 1) {}
    static Link FromRaw(uint32_t raw) {
      Link link;
      link.raw_ = raw;
      return link;
    }
    static Link EndOf(uint32_t chain) { return FromRaw(kEnd | chain); }

    // False: the chain ends here.
    bool valid() const { return raw_ - 1 < kEnd - 1; }
    uint32_t number() const { return (raw_ - 1) / 2; }
    NatSide side() const { return static_cast<NatSide>((raw_ - 1) % 2); }
    uint32_t chain() const { return raw_ & ~kEnd; }  // of an end
    uint32_t raw() const { return raw_; }
    friend bool operator==(const Link&, const Link&) = default;

   private:
    static constexpr uint32_t kEnd = uint32_t{1} << 31;
    uint32_t raw_ = 0;
  };

  void Prefetch(uint64_t hash) const { PrefetchLine(&heads_[Chain(hash)]); }

  // What a loop over packets finds sessions by: see ExactVips::Finder.
  class Finder {
   public:
    // Where the first link of a hash is.
    const uint32_t* HeadOf(uint64_t hash) const { return &heads_[ChainOf(hash, head_count_)]; }
    NatSession* at(uint32_t number) const { return sessions_ + number; }
    uint32_t NumberOf(const NatSession* session) const { return static_cast<uint32_t>(session - sessions_); }

   private:
    friend NatTable;
    Finder(const uint32_t* heads, size_t head_count, NatSession* sessions)
        : heads_(heads), head_count_(head_count), sessions_(sessions) {}

    const uint32_t* heads_;
    size_t head_count_;
    NatSession* sessions_;
  };
  Finder finder() { return Finder(heads_, head_count_, sessions_); }

  // For look-ups in great numbers, in steps between which memory has time to answer.
  Link First(uint64_t hash) const { return Link::FromRaw(heads_[Chain(hash)]); }
  Link Next(Link link) const { return Link::FromRaw(sessions_[link.number()].next[IndexOf(link.side())]); }

  // The first session of a hash that is linked by `side` and `is_it(session)`; null: there is none.
  template <typename IsIt>
  NatSession* Find(NatSide side, uint64_t hash, IsIt&& is_it) {
    for (Link link = First(hash); link.valid(); link = Next(link)) {
      NatSession& session = sessions_[link.number()];
      if (link.side() == side && is_it(static_cast<const NatSession&>(session))) return &session;
    }
    return nullptr;
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
    return (next_slot_ + ring - places_[NumberOf(session)] - 1) % ring;
  }
  // Sessions from this number on were never in use: a sweep need not look at them.
  size_t highest() const { return never_used_; }

 private:
  // So many of the oldest unconfirmed sessions are looked at when all sessions are in use.
  static constexpr size_t kRoomProbes = 16;

  // Eight for each session, in whole cache lines: with four, twice as many flows are the second of their chain, of
  // which each costs a wrong guess and a line more.
  static constexpr size_t HeadsFor(size_t sessions) { return std::max<size_t>(16, (sessions * 8 + 15) / 16 * 16); }

  static uint32_t ChainOf(uint64_t hash, size_t head_count) {
    return static_cast<uint32_t>(((hash & 0xffff'ffff) * head_count) >> 32);
  }
  uint32_t Chain(uint64_t hash) const { return ChainOf(hash, head_count_); }
  // The session that took this place of the ring, if it is in use and still not confirmed.
  NatSession* UnconfirmedAt(size_t slot);
  void Enter(Link link, uint32_t chain);
  void Leave(Link link);
  NatSession& Take(const NatTuple& from_client, VipId vip, uint64_t client_hash, const NatTuple& from_backend,
                   uint64_t backend_hash);

  NatSession* sessions_;
  uint32_t* heads_;        // by chain: its first link; 0: none
  uint32_t* unconfirmed_;  // the ring: numbers plus 1
  uint32_t* places_;       // by number: where in the ring
  NatStamps* stamps_;
  size_t capacity_;
  size_t head_count_;
  size_t in_use_ = 0;
  size_t never_used_ = 0;  // the first session that was never in use
  uint32_t free_ = 0;      // chain of ended sessions by the client's side, number plus 1
  uint32_t next_slot_ = 0;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_TABLE_H_
