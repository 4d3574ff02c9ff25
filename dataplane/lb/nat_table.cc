#include "dataplane/lb/nat_table.h"

#include "dataplane/base/check.h"

namespace sluice::lb {
namespace {

// Takes `session` out of the chain that begins at `head` and goes on by `next`.
void Unlink(NatSession* sessions, uint32_t* head, uint32_t NatSession::*next, const NatSession& session) {
  const auto number = static_cast<uint32_t>(&session - sessions) + 1;
  uint32_t* link = head;
  while (*link != number) {
    SLUICE_DCHECK(*link != 0);
    link = &(sessions[*link - 1].*next);
  }
  *link = session.*next;
}

}  // namespace

NatTable::NatTable(void* memory, size_t sessions)
    : sessions_(static_cast<NatSession*>(memory)),
      by_client_(reinterpret_cast<uint32_t*>(sessions_ + sessions)),
      by_backend_(by_client_ + HeadsFor(sessions)),
      unconfirmed_(by_backend_ + HeadsFor(sessions)),
      stamps_(reinterpret_cast<NatStamps*>(unconfirmed_ + UnconfirmedFor(sessions))),
      capacity_(sessions),
      head_count_(HeadsFor(sessions)) {
  static_assert(alignof(NatStamps) <= alignof(uint32_t), "they lie behind numbers of 32 bits");
  SLUICE_CHECK(reinterpret_cast<uintptr_t>(memory) % alignof(NatSession) == 0);
  SLUICE_CHECK(sessions < kNone && head_count_ <= UINT32_MAX);
}

NatSession* NatTable::FindByClient(const NatTuple& tuple, VipId vip, uint64_t hash) {
  for (uint32_t number = by_client_[Chain(hash)]; number != 0; number = sessions_[number - 1].next_by_client) {
    NatSession& session = sessions_[number - 1];
    if (session.client_port == tuple.source_port && session.client == tuple.source && session.vip == vip &&
        session.vip_port == tuple.destination_port && session.vip_address == tuple.destination &&
        session.protocol == tuple.protocol && session.client_family == tuple.family) {
      return &session;
    }
  }
  return nullptr;
}

NatSession* NatTable::FindByBackend(const NatTuple& tuple, uint64_t hash) {
  for (uint32_t number = by_backend_[Chain(hash)]; number != 0; number = sessions_[number - 1].next_by_backend) {
    NatSession& session = sessions_[number - 1];
    if (session.local_port == tuple.destination_port && session.backend_address == tuple.source &&
        session.local_address == tuple.destination && session.backend_port == tuple.source_port &&
        session.protocol == tuple.protocol && session.backend_family == tuple.family) {
      return &session;
    }
  }
  return nullptr;
}

NatSession* NatTable::UnconfirmedAt(size_t slot) {
  const uint32_t number = unconfirmed_[slot];
  if (number == 0) return nullptr;
  NatSession& session = sessions_[number - 1];
  const bool is_its = session.tracking.state != NatState::kFree && session.unconfirmed_slot == slot;
  return is_its && !session.tracking.confirmed ? &session : nullptr;
}

NatSession& NatTable::Take(const NatTuple& from_client, VipId vip, uint64_t client_hash, const NatTuple& from_backend,
                           uint64_t backend_hash) {
  uint32_t index = 0;
  if (free_ != 0) {
    index = free_ - 1;
    free_ = sessions_[index].next_by_client;
  } else {
    index = static_cast<uint32_t>(never_used_++);
  }
  ++in_use_;
  NatSession& session = sessions_[index];
  const auto use = static_cast<uint8_t>(session.use + 1);
  session = NatSession();
  session.use = use;
  session.client = from_client.source;
  session.vip_address = from_client.destination;
  session.client_port = from_client.source_port;
  session.vip_port = from_client.destination_port;
  session.client_family = from_client.family;
  session.protocol = from_client.protocol;
  session.vip = vip;
  session.backend_address = from_backend.source;
  session.local_address = from_backend.destination;
  session.backend_port = from_backend.source_port;
  session.local_port = from_backend.destination_port;
  session.backend_family = from_backend.family;
  session.client_chain = Chain(client_hash);
  session.next_by_client = by_client_[session.client_chain];
  by_client_[session.client_chain] = index + 1;
  session.backend_chain = Chain(backend_hash);
  session.next_by_backend = by_backend_[session.backend_chain];
  by_backend_[session.backend_chain] = index + 1;
  session.unconfirmed_slot = next_slot_;
  unconfirmed_[next_slot_] = index + 1;
  next_slot_ = static_cast<uint32_t>((next_slot_ + 1) % UnconfirmedFor(capacity_));
  return session;
}

void NatTable::Remove(NatSession& session) {
  Unlink(sessions_, &by_client_[session.client_chain], &NatSession::next_by_client, session);
  Unlink(sessions_, &by_backend_[session.backend_chain], &NatSession::next_by_backend, session);
  session.tracking.state = NatState::kFree;
  session.next_by_client = free_;
  free_ = NumberOf(session) + 1;
  --in_use_;
}

}  // namespace sluice::lb
