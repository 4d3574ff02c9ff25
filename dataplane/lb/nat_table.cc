#include "dataplane/lb/nat_table.h"

#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::lb {
namespace {

// The four bytes of an IPv4 address; of others 0.
uint32_t V4Of(net::Family family, const NatAddress& address) {
  uint32_t v4 = 0;
  if (family == net::Family::kIpv4) std::memcpy(&v4, address.data(), sizeof(v4));
  return v4;
}

}  // namespace

NatTable::NatTable(void* memory, size_t sessions)
    : sessions_(static_cast<NatSession*>(memory)),
      heads_(reinterpret_cast<uint32_t*>(sessions_ + sessions)),
      unconfirmed_(heads_ + HeadsFor(sessions)),
      places_(unconfirmed_ + UnconfirmedFor(sessions)),
      stamps_(reinterpret_cast<NatStamps*>(places_ + sessions)),
      capacity_(sessions),
      head_count_(HeadsFor(sessions)) {
  static_assert(alignof(NatStamps) <= alignof(uint32_t), "they lie behind numbers of 32 bits");
  SLUICE_CHECK(reinterpret_cast<uintptr_t>(memory) % alignof(NatSession) == 0);
  SLUICE_CHECK(Link::FromRaw(static_cast<uint32_t>(head_count_)).valid() && sessions < head_count_);
}

NatSession* NatTable::FindByClient(const NatTuple& tuple, VipId vip, uint64_t hash) {
  return Find(NatSide::kClient, hash, [&](const NatSession& session) {
    return session.client_port == tuple.source_port && session.client == tuple.source && session.vip == vip &&
           session.vip_port == tuple.destination_port && session.vip_address == tuple.destination &&
           session.tracking.protocol == tuple.protocol && session.client_family == tuple.family;
  });
}

NatSession* NatTable::FindByBackend(const NatTuple& tuple, uint64_t hash) {
  return Find(NatSide::kBackend, hash, [&](const NatSession& session) {
    return session.local_port == tuple.destination_port && session.backend_address == tuple.source &&
           session.local_address == tuple.destination && session.backend_port == tuple.source_port &&
           session.tracking.protocol == tuple.protocol && session.backend_family == tuple.family;
  });
}

NatSession* NatTable::UnconfirmedAt(size_t slot) {
  const uint32_t number = unconfirmed_[slot];
  if (number == 0) return nullptr;
  NatSession& session = sessions_[number - 1];
  const bool is_its = session.tracking.state != NatState::kFree && places_[number - 1] == slot;
  return is_its && !session.tracking.confirmed ? &session : nullptr;
}

NatSession& NatTable::Take(const NatTuple& from_client, VipId vip, uint64_t client_hash, const NatTuple& from_backend,
                           uint64_t backend_hash) {
  uint32_t index = 0;
  if (free_ != 0) {
    index = free_ - 1;
    free_ = sessions_[index].next[IndexOf(NatSide::kClient)];
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
  session.client_v4 = V4Of(from_client.family, from_client.source);
  session.vip_v4 = V4Of(from_client.family, from_client.destination);
  session.tracking.protocol = from_client.protocol;
  session.vip = vip;
  session.backend_address = from_backend.source;
  session.local_address = from_backend.destination;
  session.backend_port = from_backend.source_port;
  session.local_port = from_backend.destination_port;
  session.backend_family = from_backend.family;
  session.backend_v4 = V4Of(from_backend.family, from_backend.source);
  session.local_v4 = V4Of(from_backend.family, from_backend.destination);
  Enter(Link(index, NatSide::kClient), Chain(client_hash));
  Enter(Link(index, NatSide::kBackend), Chain(backend_hash));
  places_[index] = next_slot_;
  unconfirmed_[next_slot_] = index + 1;
  next_slot_ = static_cast<uint32_t>((next_slot_ + 1) % UnconfirmedFor(capacity_));
  return session;
}

void NatTable::Enter(Link link, uint32_t chain) {
  const Link behind = Link::FromRaw(heads_[chain]);
  sessions_[link.number()].next[IndexOf(link.side())] = (behind.valid() ? behind : Link::EndOf(chain)).raw();
  heads_[chain] = link.raw();
}

void NatTable::Leave(Link link) {
  const Link behind = Next(link);
  // A chain's end says which one it is.
  Link end = behind;
  while (end.valid()) end = Next(end);
  uint32_t* at = &heads_[end.chain()];
  if (*at == link.raw()) {
    *at = behind.valid() ? behind.raw() : 0;
    return;
  }
  while (*at != link.raw()) {
    const Link before = Link::FromRaw(*at);
    SLUICE_DCHECK(before.valid());
    at = &sessions_[before.number()].next[IndexOf(before.side())];
  }
  *at = behind.raw();
}

void NatTable::Remove(NatSession& session) {
  const uint32_t number = NumberOf(session);
  Leave(Link(number, NatSide::kClient));
  Leave(Link(number, NatSide::kBackend));
  session.tracking.state = NatState::kFree;
  session.next[IndexOf(NatSide::kClient)] = free_;
  free_ = number + 1;
  --in_use_;
}

}  // namespace sluice::lb
