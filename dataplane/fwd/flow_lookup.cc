#include "dataplane/fwd/flow_lookup.h"

#include "dataplane/fwd/cookies.h"
#include "dataplane/fwd/homes.h"
#include "dataplane/fwd/second_chance.h"
#include "dataplane/fwd/slots.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/nat_session.h"
#include "dataplane/net/headers.h"

namespace sluice::fwd {
namespace {

void LookUpSession(const ForwardingState& state, const FlowView& flow, FlowTables& tables, FlowFinding& finding) {
  const lb::NatTuple tuple = {.source = lb::LoadNatAddress(flow.family, flow.client),
                              .destination = lb::LoadNatAddress(flow.family, flow.destination),
                              .source_port = flow.client_port,
                              .destination_port = flow.destination_port,
                              .protocol = flow.protocol,
                              .family = flow.family};
  const lb::NatSession* session = tables.nat().table().FindByClient(tuple, flow.vip, flow.hash);
  if (session == nullptr || !NatFlows::IsCurrent(*session, state)) return;
  if (!(*state.backends)[session->backend.index()].keeps_flows()) {
    // As the ladder has it: a translated TCP connection cannot go on with another backend, other flows can.
    if (flow.protocol != net::kProtocolTcp) return;
    finding.has_session = true;
    finding.backend = BackendId();
    finding.refusal = Refusal::kReset;
    finding.rung = Rung::kConnectionTable;
    return;
  }
  finding.has_session = true;
  finding.by_policy = false;
  finding.source_translated = session->source_translated;
  finding.local = net::IpAddress::FromBytes(session->backend_family, session->local_address.data());
  finding.local_port = session->local_port;
  finding.backend = session->backend;
  finding.rung = Rung::kConnectionTable;
}

// The flow goes on with the backend that `rung` knows, or is reset, unless the backend is down and gives it away.
void Follow(const ForwardingState& state, const FlowView& flow, BackendId known, Rung rung, FlowFinding& finding) {
  const BackendEntry& backend = (*state.backends)[known.index()];
  const bool reset = IsResetByDown(backend, flow.protocol, net::kTcpAck);
  if (!backend.keeps_flows() && !reset) return;
  finding.by_policy = false;
  finding.backend = reset ? BackendId() : known;
  finding.refusal = reset ? Refusal::kReset : Refusal::kDrop;
  finding.rung = rung;
}

}  // namespace

FlowFinding LookUpFlow(const ForwardingState& state, const FlowQuestion& question, uint32_t now_s, FlowTables& tables,
                       const WorkerCounters& counters) {
  FlowFinding finding;
  finding.generation = state.generation;
  const bool v4 = question.destination.is_v4();
  const lb::VipTable& table = *state.vip_table;
  finding.vip = v4 ? table.LookupV4(question.destination.v4(), question.protocol, question.destination_port)
                   : table.LookupV6(question.destination.data(), question.protocol, question.destination_port);
  finding.is_vip_address =
      v4 ? table.DescribeV4(question.destination.v4()).is_vip : table.DescribeV6(question.destination.data()).is_vip;
  if (!finding.vip.valid()) return finding;

  const lb::FlowTuple tuple = {.source = question.client.data(),
                               .destination = question.destination.data(),
                               .source_port = question.client_port,
                               .destination_port = question.destination_port,
                               .protocol = question.protocol,
                               .family = question.client.family()};
  lb::FlowHashes(*state.keys, &tuple, 1, &finding.hash);
  // The first packet of TCP is a SYN.
  const bool begins = question.protocol == net::kProtocolTcp && !question.has_echo;
  const FlowView flow = {.client = tuple.source,
                         .destination = tuple.destination,
                         .family = tuple.family,
                         .protocol = tuple.protocol,
                         .tcp_flags = begins ? net::kTcpSyn : uint8_t{0},
                         .has_timestamps = question.has_echo,
                         .has_echo = question.has_echo,
                         .client_port = tuple.source_port,
                         .destination_port = tuple.destination_port,
                         .vip = finding.vip,
                         .echo = question.echo,
                         .hash = finding.hash};
  const ScheduledSlot scheduled = ScheduleSlot(state, flow);
  finding.scheduled = finding.backend = scheduled.backend;
  finding.slot = scheduled.slot;
  finding.slots = scheduled.slots;

  const VipEntry& vip = (*state.vips)[finding.vip.index()];
  const bool by_cookies = vip.cookies && !vip.quic && question.has_echo;
  // What is to come back by its cookie is not remembered.
  const bool remembered =
      vip.mode == ForwardingMode::kFullNat || vip.nat_sessions || (vip.tracked && (!by_cookies || vip.slots));
  if (finding.backend.valid()) finding.rung = remembered ? Rung::kScheduler : Rung::kHashOnly;
  if (finding.backend.valid() && remembered && !question.has_echo && GoesByPolicy(state, vip) &&
      (!vip.cookies || vip.slots)) {
    finding.by_policy = true;
    finding.backend = PeekPlace(state, flow, now_s, tables, counters);
  }
  if (vip.unsafe_only && remembered) {
    const Home home = HomeOf(state, flow);
    finding.home = home.backend;
    if (home.safe) finding.rung = Rung::kSafe;
  }
  if (!finding.backend.valid()) finding.refusal = vip.no_backend;
  finding.tracked = FindTracked(state, flow, now_s, tables);
  if (finding.tracked.exists && finding.tracked.backend_exists) {
    Follow(state, flow, finding.tracked.backend, finding.tracked.in_slot ? Rung::kSlot : Rung::kConnectionTable,
           finding);
  }
  if (by_cookies) finding.cookie = vip.slots ? PeekSlot(state, flow, tables) : CookieBackend(state, flow);
  if (finding.cookie.valid()) {
    Follow(state, flow, finding.cookie, vip.slots ? Rung::kSlot : Rung::kCookie, finding);
  }
  if (IsNat(vip.mode)) LookUpSession(state, flow, tables, finding);
  const bool named = vip.second_chance && finding.backend.valid() && MayBeElsewhere(finding.rung);
  // A SYN names nobody; what is asked about is what follows it.
  if (named) finding.second = SecondChanceOf(state, vip, finding.hash, finding.backend);
  return finding;
}

}  // namespace sluice::fwd
