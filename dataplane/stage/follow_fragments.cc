#include <rte_mbuf.h>

#include <algorithm>

#include "dataplane/lb/fragment_table.h"
#include "dataplane/lb/owner.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/ip_fragment.h"
#include "dataplane/stage/flow_view.h"
#include "dataplane/stage/stages.h"
#include "dataplane/stage/travel_note.h"

namespace sluice::stage {
namespace {

struct Addresses {
  const uint8_t* source;
  const uint8_t* destination;
};

Addresses AddressesOf(const Packet& packet) {
  const auto* l3 = rte_pktmbuf_mtod_offset(packet.mbuf, const uint8_t*, packet.headers.l3_offset);
  if (packet.headers.family == net::Family::kIpv4) {
    return {l3 + offsetof(net::Ipv4Header, source), l3 + offsetof(net::Ipv4Header, destination)};
  }
  return {l3 + offsetof(net::Ipv6Header, source), l3 + offsetof(net::Ipv6Header, destination)};
}

bool HasPorts(uint8_t protocol) { return protocol == net::kProtocolTcp || protocol == net::kProtocolUdp; }

enum class Party : uint8_t {
  kVip,     // addressed to a VIP
  kReply,   // may be from a backend to a client, by way of the NAT
  kOthers,  // the host's, as far as one can tell
};

Party PartyOf(const Packet& packet, const Addresses& addresses, const StageEnv& env) {
  const fwd::ForwardingState& state = *env.state;
  const bool v4 = packet.headers.family == net::Family::kIpv4;
  const lb::VipAddressInfo vip = v4 ? state.vip_table->DescribeV4(net::Load<Be32>(addresses.destination))
                                    : state.vip_table->DescribeV6(addresses.destination);
  if (vip.is_vip) return Party::kVip;
  if (env.tables->nat().setup().ends.HasAddress(packet.headers.family, addresses.destination)) return Party::kReply;
  const lb::ReturnTable& returns = *state.returns;
  const bool from_backend =
      v4 ? returns.HasSourceV4(net::Load<Be32>(addresses.source)) : returns.HasSourceV6(addresses.source);
  return from_backend ? Party::kReply : Party::kOthers;
}

// What the first one tells the others. Its TCP header may end in a later one, which then hides the timestamps.
lb::FlowPorts Told(const net::FragmentPorts& found, const uint8_t* frame, uint32_t contiguous,
                   const net::FragmentInfo& info) {
  lb::FlowPorts told = {.protocol = found.protocol, .source = found.source, .destination = found.destination};
  if (found.protocol != net::kProtocolTcp) return told;
  const uint32_t end = std::min(contiguous, uint32_t{info.payload_offset} + info.payload_length);
  told.echo = EchoOf(frame + found.l4_offset, end - found.l4_offset);
  return told;
}

// From here on it is a packet of a flow, as LookupVip looks for them.
void SetPorts(Packet& packet, const lb::FlowPorts& ports, bool is_first, uint16_t l4_offset) {
  net::ParsedHeaders& h = packet.headers;
  h.l4_status = net::L4Status::kPorts;
  h.protocol = ports.protocol;
  h.source_port = ports.source;
  h.destination_port = ports.destination;
  h.l4_offset = l4_offset;
  packet.part = is_first ? FragmentPart::kFirst : FragmentPart::kLater;
  if (is_first && ports.protocol == net::kProtocolTcp) {
    h.tcp_flags = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*)[l4_offset + offsetof(net::TcpHeader, flags)];
  }
}

void Buffer(Packet& packet) {
  WriteTravelNote(packet.mbuf, {.in_port = packet.in_port, .hops = packet.hops, .asked = packet.asked});
  packet.fate = Fate::kBuffered;
}

// One that has its ports already: from another worker, or released by the first one. Its bytes were checked then.
void Recall(Packet& packet, const net::FragmentInfo& info, const TravelNote& note) {
  const lb::FlowPorts ports = {
      .protocol = note.protocol, .source = note.source_port, .destination = note.destination_port};
  uint16_t l4_offset = info.payload_offset;
  if (info.is_first()) {
    const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
    const auto found = net::ParseFragmentPorts(frame, rte_pktmbuf_data_len(packet.mbuf), packet.headers, info);
    if (found) l4_offset = found->l4_offset;
  }
  SetPorts(packet, ports, info.is_first(), l4_offset);
}

void Follow(Packet& packet, const net::FragmentInfo& info, const lb::FragmentId& id, uint64_t hash, StageEnv& env) {
  const lb::FragmentSpan span = {.offset = info.offset, .length = info.payload_length, .more = info.more};
  lb::FragmentVerdict verdict;
  uint16_t l4_offset = info.payload_offset;
  if (info.is_first()) {
    const auto* frame = rte_pktmbuf_mtod(packet.mbuf, const uint8_t*);
    const auto ports = net::ParseFragmentPorts(frame, rte_pktmbuf_data_len(packet.mbuf), packet.headers, info);
    if (!ports) {
      Drop(packet, DropReason::kFragmentTiny);
      return;
    }
    l4_offset = ports->l4_offset;
    const lb::FlowPorts told = Told(*ports, frame, rte_pktmbuf_data_len(packet.mbuf), info);
    verdict = env.fragments->First(id, hash, span, told, env.now_s);
  } else if (info.protocol == net::kProtocolTcp && info.offset < sizeof(net::TcpHeader)) {
    Drop(packet, DropReason::kFragmentTiny);
    return;
  } else {
    verdict = env.fragments->Later(id, hash, span, packet.mbuf, env.now_s);
  }
  switch (verdict.kind) {
    case lb::FragmentVerdict::Kind::kFollow:
      SetPorts(packet, verdict.ports, info.is_first(), l4_offset);
      if (!info.is_first()) WriteFirstEcho(packet.mbuf, verdict.ports.echo);
      break;
    case lb::FragmentVerdict::Kind::kHold:
      Buffer(packet);
      break;
    case lb::FragmentVerdict::Kind::kDrop:
      Drop(packet, verdict.reason);
      break;
  }
}

void FollowFragment(Packet& packet, StageEnv& env) {
  const Addresses addresses = AddressesOf(packet);
  const Party party = PartyOf(packet, addresses, env);
  if (party == Party::kOthers) return;
  const bool v4 = packet.headers.family == net::Family::kIpv4;
  const auto info = net::ParseFragment(rte_pktmbuf_mtod(packet.mbuf, const uint8_t*), rte_pktmbuf_data_len(packet.mbuf),
                                       packet.headers);
  const bool has_no_ports = info && (v4 ? !HasPorts(info->protocol) : info->protocol == net::kProtocolIcmpv6);
  if (party == Party::kReply && (!info || has_no_ports)) return;  // no answer of a flow, so the host's
  if (!info || has_no_ports) {
    Drop(packet, info ? DropReason::kFragment : DropReason::kFragmentBad);
    return;
  }
  if (packet.resumed) {
    const TravelNote note = ReadTravelNote(packet.mbuf);
    if (note.protocol != 0) {
      Recall(packet, *info, note);
      return;
    }
  }
  const lb::FragmentId id = {.family = packet.headers.family,
                             .protocol = v4 ? info->protocol : uint8_t{0},
                             .id = info->id,
                             .source = addresses.source,
                             .destination = addresses.destination};
  const uint64_t hash = lb::FragmentHash(env.state->keys->owner, id);
  const WorkerId owner = lb::OwnerOfFragments(hash, env.worker_count);
  if (owner != env.worker) {
    HandOver(packet, owner);
    return;
  }
  Follow(packet, *info, id, hash, env);
}

}  // namespace

void FollowFragments(Burst& burst, StageEnv& env) {
  bool any = false;
  for (Packet& packet : burst) {
    if (packet.fate != Fate::kPending || packet.past != Past::kNothing ||
        packet.headers.l4_status != net::L4Status::kFragment)
      continue;
    FollowFragment(packet, env);
    any = true;
  }
  if (any) env.counters->fragments_held.Set(env.fragments->held());
}

}  // namespace sluice::stage
