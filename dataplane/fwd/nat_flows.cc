#include "dataplane/fwd/nat_flows.h"

#include <algorithm>

namespace sluice::fwd {
namespace {

uint64_t HashOf(const ForwardingState& state, const lb::NatTuple& tuple) {
  const lb::FlowTuple flow = tuple.ToFlowTuple();
  uint64_t hash = 0;
  lb::FlowHashes(*state.keys, &flow, 1, &hash);
  return hash;
}

// What the backend will send, but for its destination.
lb::NatTuple FromBackend(const BackendEntry& backend, const NatFlows::Opening& opening) {
  return {.source = lb::LoadNatAddress(backend.family, backend.address()),
          .destination = {},
          .source_port = opening.backend_port,
          .destination_port = {},
          .protocol = opening.from_client.protocol,
          .family = backend.family};
}

}  // namespace

NatFlows::NatFlows(size_t sessions, const NatSetup& setup, const TableMemory& memory)
    : setup_(setup),
      ports_(lb::PortsOfWorker(setup.ends, setup.worker, setup.worker_count)),
      table_(memory(lb::NatTable::BytesFor(sessions)), sessions) {}

bool NatFlows::IsCurrent(const lb::NatSession& session, const ForwardingState& state) {
  const std::vector<VipEntry>& vips = *state.vips;
  const BackendTable& backends = *state.backends;
  if (session.vip.index() >= vips.size() || vips[session.vip.index()].protocol == 0) return false;
  if (session.backend.index() >= backends.size()) return false;
  const BackendEntry& backend = backends[session.backend.index()];
  return backend.state != BackendState::kAbsent && backend.generation == session.generation;
}

bool NatFlows::IsOver(const lb::NatSession& session, const ForwardingState& state, uint32_t now_s) {
  return !IsCurrent(session, state) || lb::IsOver(session.tracking, (*state.vips)[session.vip.index()].timeouts, now_s);
}

lb::NatSession* NatFlows::FindReply(const ForwardingState& state, const lb::NatTuple& tuple, uint64_t hash,
                                    WorkerCounters& counters) {
  lb::NatSession* session = table_.FindByBackend(tuple, hash);
  if (session == nullptr || IsCurrent(*session, state)) return session;
  End(*session, counters);
  return nullptr;
}

lb::EndOffer NatFlows::OfferOf(const ForwardingState& state, const lb::NatTuple& from_backend, uint64_t hash,
                               uint32_t now_s, WorkerCounters& counters) {
  lb::NatSession* session = table_.FindByBackend(from_backend, hash);
  if (session == nullptr) return lb::kEndFree;
  if (!IsOver(*session, state, now_s)) {
    if (session->tracking.state == lb::NatState::kClosed) {
      return lb::kEndOfClosed + (now_s - session->tracking.last_seen_s);
    }
    return session->tracking.confirmed ? lb::kEndTaken : lb::kEndOfUnconfirmed + table_.AgeOf(*session);
  }
  End(*session, counters);
  return lb::kEndFree;
}

NatFlows::Opened NatFlows::OpenFull(const ForwardingState& state, const Opening& opening, uint32_t now_s,
                                    WorkerCounters& counters) {
  const BackendEntry& backend = (*state.backends)[opening.backend.index()];
  const lb::LocalAddresses& local = setup_.ends.of(backend.family);
  if (local.count == 0) return {.session = nullptr, .reason = DropReason::kNatNoLocalAddress};
  lb::NatTuple reply = FromBackend(backend, opening);
  const auto offer = [&](const lb::NatTuple& end) { return OfferOf(state, end, HashOf(state, end), now_s, counters); };
  const lb::EndOffer offered = lb::ChooseLocalEnd(local, ports_, opening.client_hash, setup_.steering, reply, offer);
  if (offered == lb::kEndTaken) return {.session = nullptr, .reason = DropReason::kNatPortsExhausted};
  if (offered != lb::kEndFree) {
    (offered >= lb::kEndOfClosed ? counters.table_nat.replaced : counters.table_nat.unconfirmed_full).Increment();
    End(*table_.FindByBackend(reply, HashOf(state, reply)), counters);
  }
  const Opened opened = Insert(state, opening, reply, HashOf(state, reply), counters);
  if (opened.session == nullptr) return opened;
  opened.session->source_translated = true;
  if (setup_.steering != nullptr &&
      !setup_.steering->ArrivesHere(reply.family, setup_.steering->HashWithoutPort(reply), reply.destination_port)) {
    counters.nat.unsteered.Increment();
  }
  return opened;
}

NatFlows::Opened NatFlows::OpenDestination(const ForwardingState& state, const Opening& opening, uint32_t now_s,
                                           WorkerCounters& counters) {
  lb::NatTuple reply = FromBackend((*state.backends)[opening.backend.index()], opening);
  reply.destination = opening.from_client.source;
  reply.destination_port = opening.from_client.source_port;
  const uint64_t hash = HashOf(state, reply);
  if (OfferOf(state, reply, hash, now_s, counters) != lb::kEndFree) {
    return {.session = nullptr, .reason = DropReason::kNatTupleInUse};
  }
  const Opened opened = Insert(state, opening, reply, hash, counters);
  if (opened.session != nullptr) ++destination_sessions_;
  return opened;
}

NatFlows::Opened NatFlows::Insert(const ForwardingState& state, const Opening& opening,
                                  const lb::NatTuple& from_backend, uint64_t hash, WorkerCounters& counters) {
  lb::NatSession* session = table_.Insert(opening.from_client, opening.vip, opening.client_hash, from_backend, hash,
                                          [&](lb::NatSession& old) {
                                            if (!IsOver(old, state, old.tracking.last_seen_s)) {
                                              counters.table_nat.unconfirmed_full.Increment();
                                            }
                                            End(old, counters);
                                          });
  if (session == nullptr) {
    counters.table_nat.insert_full.Increment();
    return {.session = nullptr, .reason = DropReason::kNatTableFull};
  }
  session->backend = opening.backend;
  session->generation = (*state.backends)[opening.backend.index()].generation;
  counters.table_nat.inserted.Increment();
  counters.backends[opening.backend.index()].flows_started.Increment();
  counters.vips[opening.vip.index()].new_flows.Increment();
  return {.session = session, .reason = DropReason::kCount};
}

void NatFlows::End(lb::NatSession& session, WorkerCounters& counters) {
  counters.table_nat.expired.Increment();
  counters.backends[session.backend.index()].flows_ended.Increment();
  if (!session.source_translated) --destination_sessions_;
  table_.Remove(session);
}

void NatFlows::Sweep(size_t first, size_t count, uint32_t now_s, const ForwardingState& state,
                     WorkerCounters& counters) {
  const size_t end = std::min(first + count, table_.highest());
  for (size_t i = first; i < end; ++i) {
    lb::NatSession& session = table_.at(static_cast<uint32_t>(i));
    if (session.tracking.state != lb::NatState::kFree && IsOver(session, state, now_s)) End(session, counters);
  }
}

}  // namespace sluice::fwd
