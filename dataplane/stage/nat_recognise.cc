#include <rte_mbuf.h>

#include <cstring>
#include <optional>

#include "dataplane/lb/nat_ports.h"
#include "dataplane/lb/owner.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/stage/nat.h"

namespace sluice::stage {
namespace {

size_t AddressBytes(net::Family family) { return family == net::Family::kIpv4 ? 4 : 16; }

// An address of the host itself: what is sent there is the host's, whoever sent it. Health checks and the host's own
// connections to backends come back this way.
bool IsOwnAddress(const uint8_t* address, net::Family family, const StageEnv& env) {
  const fwd::ClientRoutes& routes = *env.state->client_routes;
  const fwd::ClientHop* hop =
      family == net::Family::kIpv4 ? routes.LookupV4(net::Load<Be32>(address), 0) : routes.LookupV6(address, 0);
  return hop != nullptr && hop->local;
}

// One end that sent a packet, or a quoted packet's other end: perhaps a backend.
lb::ReturnMatch FindService(const uint8_t* address, net::Family family, uint8_t protocol, Be16 port,
                            const StageEnv& env) {
  const lb::ReturnTable& returns = *env.state->returns;
  return family == net::Family::kIpv4 ? returns.LookupV4(net::Load<Be32>(address), protocol, port)
                                      : returns.LookupV6(address, protocol, port);
}

void GiveTo(Packet& packet, WorkerId owner, const StageEnv& env) {
  if (owner != env.worker) HandOver(packet, owner);
}

void GiveToOwnerOf(Packet& packet, const uint8_t* client, Be16 port, const StageEnv& env) {
  if (env.worker_count == 1) return;
  GiveTo(packet, lb::OwnerOfClient(env.state->keys->owner, packet.headers.family, client, port, env.worker_count), env);
}

// Of VIPs with destination NAT: something is remembered of their flows.
bool KeepsState(const fwd::VipEntry& vip) { return vip.tracked || vip.nat_sessions; }

// The flow that a packet, seen from the backend, belongs to: from the backend's end to the client's or a local one.
struct ReplyFlow {
  uint8_t protocol = 0;
  uint16_t backend_offset = 0;  // of the address in the frame
  uint16_t client_offset = 0;
  Be16 backend_port;
  Be16 client_port;
};

// Of a packet with ports: its own. Of an ICMP error: that of the packet it quotes, which went the other way.
ReplyFlow OwnFlowOf(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  return {.protocol = h.protocol,
          .backend_offset = packet.client_offset,
          .client_offset = packet.vip_offset,
          .backend_port = h.source_port,
          .client_port = h.destination_port};
}
std::optional<ReplyFlow> FlowOf(const Packet& packet) {
  const net::ParsedHeaders& h = packet.headers;
  const bool v4 = h.family == net::Family::kIpv4;
  if (h.l4_status == net::L4Status::kPorts) return OwnFlowOf(packet);
  if (h.l4_status != net::L4Status::kOther) return std::nullopt;
  if (h.protocol != (v4 ? net::kProtocolIcmp : net::kProtocolIcmpv6)) return std::nullopt;
  const uint8_t* frame = FrameOf(packet);
  const uint32_t contiguous = rte_pktmbuf_data_len(packet.mbuf);
  if (!net::IsIcmpError(frame, contiguous, h)) return std::nullopt;
  const auto quoted = net::ParseQuotedFlow(frame, contiguous, h);
  if (!quoted) return std::nullopt;
  // An error goes to whom the quoted packet came from.
  if (std::memcmp(frame + quoted->source_offset, frame + packet.vip_offset, AddressBytes(h.family)) != 0) {
    return std::nullopt;
  }
  return ReplyFlow{.protocol = quoted->protocol,
                   .backend_offset = quoted->destination_offset,
                   .client_offset = quoted->source_offset,
                   .backend_port = quoted->destination_port,
                   .client_port = quoted->source_port};
}

void Adopt(Packet& packet, const ReplyFlow& flow, Direction direction, StageEnv& env) {
  packet.direction = direction;
  packet.related = packet.headers.l4_status != net::L4Status::kPorts;
  if (packet.related && !packet.resumed) env.counters->related.Increment();
  packet.headers.protocol = flow.protocol;
  packet.headers.source_port = flow.backend_port;
  packet.headers.destination_port = flow.client_port;
  packet.client_offset = flow.client_offset;
  packet.vip_offset = flow.backend_offset;
}

// To an address that full NAT takes for its flows. Only the range of ports is NAT's, the rest is the host's.
void RecogniseLocal(Packet& packet, const std::optional<ReplyFlow>& flow, const lb::LocalEnds& ends, StageEnv& env) {
  if (!flow || !ends.HasPort(flow->client_port)) {
    packet.fate = Fate::kPunted;
    return;
  }
  Adopt(packet, *flow, Direction::kToClient, env);
  if (env.worker_count > 1) GiveTo(packet, lb::WorkerOfLocalPort(ends, flow->client_port, env.worker_count), env);
}

}  // namespace

const lb::ReturnService* RecogniseReply(Packet& packet, StageEnv& env) {
  const uint8_t* frame = FrameOf(packet);
  const net::Family family = packet.headers.family;
  const lb::LocalEnds& ends = env.tables->nat().setup().ends;
  if (ends.HasAddress(family, frame + packet.vip_offset)) {
    RecogniseLocal(packet, FlowOf(packet), ends, env);
    return nullptr;
  }
  packet.fate = Fate::kPunted;
  if (env.state->returns->empty()) return nullptr;
  const std::optional<ReplyFlow> flow = FlowOf(packet);
  if (!flow) return nullptr;
  const lb::ReturnMatch match =
      FindService(frame + flow->backend_offset, family, flow->protocol, flow->backend_port, env);
  if (match.kind == lb::ReturnMatch::Kind::kNone) return nullptr;
  if (IsOwnAddress(frame + packet.vip_offset, family, env)) return nullptr;
  packet.fate = Fate::kPending;
  const bool unique = match.kind == lb::ReturnMatch::Kind::kUnique;
  Adopt(packet, *flow, unique ? Direction::kToClientStateless : Direction::kToClient, env);
  if (unique) packet.vip = match.services->vip;
  // Only who keeps the flow's state, if anyone does, can refresh it.
  if (!unique || KeepsState((*env.state->vips)[packet.vip.index()])) {
    GiveToOwnerOf(packet, FrameOf(packet) + flow->client_offset, flow->client_port, env);
  }
  return unique ? match.services : nullptr;
}

void RecogniseSessionReply(Packet& packet, StageEnv& env) {
  const uint8_t* const frame = FrameOf(packet);
  const net::Family family = packet.headers.family;
  const ReplyFlow flow = OwnFlowOf(packet);
  const lb::LocalEnds& ends = env.tables->nat().setup().ends;
  if (ends.HasAddress(family, frame + flow.client_offset)) {
    RecogniseLocal(packet, flow, ends, env);
    return;
  }
  const lb::ReturnMatch match = FindService(frame + flow.backend_offset, family, flow.protocol, flow.backend_port, env);
  if (match.kind == lb::ReturnMatch::Kind::kUnique) return;
  if (match.kind == lb::ReturnMatch::Kind::kNone || IsOwnAddress(frame + flow.client_offset, family, env)) {
    packet.fate = Fate::kPunted;
    return;
  }
  Adopt(packet, flow, Direction::kToClient, env);
  GiveToOwnerOf(packet, frame + flow.client_offset, flow.client_port, env);
}

void FindOwner(Packet& packet, StageEnv& env) {
  const fwd::VipEntry& vip = (*env.state->vips)[packet.vip.index()];
  // With full NAT a flow is its own who gets its first packet; its replies are told by the local port.
  if (vip.mode != fwd::ForwardingMode::kNat || !KeepsState(vip)) return;
  GiveToOwnerOf(packet, FrameOf(packet) + packet.client_offset, packet.headers.source_port, env);
}

}  // namespace sluice::stage
