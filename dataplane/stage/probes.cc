#include "dataplane/stage/probes.h"

#include <cstring>
#include <optional>

#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/nat_table.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/parser.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/stages.h"

namespace sluice::stage {
namespace {

constexpr size_t kEchoIdOffset = 4;  // RFC 792, RFC 4443: type, code, checksum, identifier

// What tells one check's packets from another's.
std::optional<Be16> SourceOf(const rte_mbuf* mbuf, const net::ParsedHeaders& h) {
  if (h.status != net::ParseStatus::kOk) return std::nullopt;
  if (h.l4_status == net::L4Status::kPorts) return h.source_port;
  if (h.l4_status != net::L4Status::kOther) return std::nullopt;
  if (!net::IsEchoRequest(FrameOf(mbuf), rte_pktmbuf_data_len(mbuf), h)) return std::nullopt;
  return Be16::FromRaw(net::Load<uint16_t>(FrameOf(mbuf) + h.l4_offset + kEchoIdOffset));
}

bool IsForVip(const uint8_t* destination, net::Family family, const lb::VipTable& table) {
  return family == net::Family::kIpv4 ? table.DescribeV4(net::Load<Be32>(destination)).is_vip
                                      : table.DescribeV6(destination).is_vip;
}

void FillPacket(Packet& packet, rte_mbuf* mbuf, PortId port, const net::ParsedHeaders& headers,
                const fwd::ProbeTarget& target, const StageEnv& env) {
  packet = Packet{};
  packet.mbuf = mbuf;
  packet.headers = headers;
  packet.vip = target.vip;
  packet.backend = target.backend;
  packet.in_port = port;
  packet.fate = Fate::kPending;
  packet.reason = DropReason::kCount;
  packet.part = FragmentPart::kWhole;
  packet.direction = Direction::kToBackend;
  packet.session = lb::NatTable::kNone;
  const bool v4 = headers.family == net::Family::kIpv4;
  packet.client_offset = static_cast<uint16_t>(
      headers.l3_offset + (v4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source)));
  packet.vip_offset = static_cast<uint16_t>(
      headers.l3_offset + (v4 ? offsetof(net::Ipv4Header, destination) : offsetof(net::Ipv6Header, destination)));
  const lb::FlowTuple tuple = {.source = FrameOf(mbuf) + packet.client_offset,
                               .destination = FrameOf(mbuf) + packet.vip_offset,
                               .source_port = headers.source_port,
                               .destination_port = headers.destination_port,
                               .protocol = headers.protocol,
                               .family = headers.family};
  lb::FlowHashes(*env.state->keys, &tuple, 1, &packet.flow_hash);
}

// The state may be newer or older than the check: what it does not have gets nothing.
void CheckTarget(Packet& packet, const fwd::ProbeTarget& target, const StageEnv& env) {
  const std::vector<fwd::VipEntry>& vips = *env.state->vips;
  const fwd::BackendTable& backends = *env.state->backends;
  if (target.vip.index() >= vips.size() || vips[target.vip.index()].protocol == 0 ||
      target.backend.index() >= backends.size() ||
      backends[target.backend.index()].state == fwd::BackendState::kAbsent ||
      backends[target.backend.index()].generation != target.generation || fwd::IsNat(vips[target.vip.index()].mode)) {
    Drop(packet, DropReason::kProbeOutdated);
    return;
  }
  const fwd::BackendEntry& backend = backends[target.backend.index()];
  // The host is told the MTU by the route to the VIP; an ICMP error to it would have to be another port's packet.
  if (backend.resolved && packet.headers.ip_length + MostEncapsulationBytes(vips[target.vip.index()], backend.family) >
                              env.node->ports[backend.port.index()].mtu_bytes) {
    Drop(packet, DropReason::kTooBig);
  }
}

}  // namespace

size_t TakeProbes(rte_mbuf** mbufs, size_t count, PortId port, StageEnv& env, Burst& burst) {
  burst.count = 0;
  if (env.probes == nullptr) return count;
  size_t left = 0;
  for (size_t i = 0; i < count; ++i) {
    rte_mbuf* mbuf = mbufs[i];
    const net::ParsedHeaders headers =
        net::ParseFrame(FrameOf(mbuf), rte_pktmbuf_data_len(mbuf), rte_pktmbuf_pkt_len(mbuf));
    const std::optional<Be16> source = SourceOf(mbuf, headers);
    const std::optional<fwd::ProbeTarget> target = source ? env.probes->Find(*source) : std::nullopt;
    const size_t destination = headers.family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, destination)
                                                                    : offsetof(net::Ipv6Header, destination);
    if (!target || !IsForVip(FrameOf(mbuf) + headers.l3_offset + destination, headers.family, *env.state->vip_table)) {
      mbufs[left++] = mbuf;
      continue;
    }
    Packet& packet = burst.packets[burst.count++];
    FillPacket(packet, mbuf, port, headers, *target, env);
    CheckTarget(packet, *target, env);
  }
  if (burst.count == 0) return left;
  env.counters->probes.Add(burst.count);
  Rewrite(burst, env);
  return left;
}

}  // namespace sluice::stage
