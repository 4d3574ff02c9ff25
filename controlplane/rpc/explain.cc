#include "controlplane/rpc/explain.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "controlplane/model/text.h"
#include "controlplane/rpc/convert.h"
#include "dataplane/net/headers.h"
#include "sluice/v1/sluice.pb.h"

namespace sluice::rpc {
namespace {

using model::Cat;

absl::StatusOr<net::IpAddress> ReadAddress(std::string_view field, const std::string& text) {
  const auto address = net::IpAddress::Parse(text);
  if (address) return *address;
  return absl::InvalidArgumentError(Cat(field, ": \"", text, "\" is no IPv4 or IPv6 address"));
}

absl::StatusOr<Be16> ReadPort(std::string_view field, uint32_t port) {
  if (port >= 1 && port <= 65535) return Be16::FromHost(static_cast<uint16_t>(port));
  return absl::InvalidArgumentError(Cat(field, ": ", port, " is no port; 1 to 65535"));
}

std::string_view StateName(lb::FlowState state) {
  switch (state) {
    case lb::FlowState::kNew:
      return "new";
    case lb::FlowState::kEstablished:
      return "established";
    case lb::FlowState::kClosing:
      return "closing";
    case lb::FlowState::kReset:
      return "reset";
    case lb::FlowState::kUdpNew:
      return "udp_new";
    case lb::FlowState::kUdp:
      return "udp";
    case lb::FlowState::kFree:
      break;
  }
  return "";
}

const model::VipRecord* FindVip(const model::Registry& registry, VipId id) {
  const auto it = std::find_if(registry.vips->begin(), registry.vips->end(),
                               [id](const model::VipRecord& vip) { return vip.id == id; });
  return it == registry.vips->end() ? nullptr : &*it;
}

const model::BackendRecord* FindBackend(const model::PoolRecord& pool, BackendId id) {
  const auto it = std::find_if(pool.backends.begin(), pool.backends.end(),
                               [id](const model::BackendRecord& backend) { return backend.id == id; });
  return it == pool.backends.end() ? nullptr : &*it;
}

void Dropped(DropReason reason, const std::string& explanation, v1::ExplainFlowResponse* response) {
  response->set_fate("dropped");
  response->set_drop_reason(std::string(DropReasonLabel(reason)));
  response->set_explanation(explanation);
}

void ExplainWithoutVip(const fwd::FlowQuestion& question, bool is_vip_address, v1::ExplainFlowResponse* response) {
  const std::string address = question.destination.ToString();
  if (is_vip_address) {
    return Dropped(DropReason::kVipNoService,
                   Cat("VIPs have the address ", address,
                       ", but none of them this protocol and port; `sluicectl get vips` lists what they serve"),
                   response);
  }
  response->set_fate("punted");
  response->set_explanation(Cat("no VIP has the address ", address, ": the packet is the host's"));
}

std::string_view DecidedBy(const fwd::FlowFinding& finding) {
  if (finding.has_session) return "session";
  return finding.rung == fwd::Rung::kNone ? "" : fwd::RungName(finding.rung);
}

bool ByCookie(const fwd::FlowFinding& finding) {
  return finding.rung == fwd::Rung::kCookie || finding.rung == fwd::Rung::kSlot;
}

std::string_view PolicyName(const model::PoolRecord& pool) { return config::SchedulingName(pool.policy.scheduling); }

// Why this backend of `pool` gets the packet, or does not.
std::string ReasonOf(const model::BackendRecord& backend, const model::BackendRecord* chosen,
                     const model::PoolRecord& pool, const fwd::FlowFinding& finding) {
  const bool panic = pool.is_in_panic();
  const bool by_hash =
      finding.rung == fwd::Rung::kScheduler || finding.rung == fwd::Rung::kHashOnly || finding.rung == fwd::Rung::kSafe;
  if (&backend == chosen) {
    if (finding.has_session) return "the flow has a session with it";
    if (ByCookie(finding)) return "the packet's cookie names it";
    if (!by_hash) return "the connection's entry names it";
    if (finding.by_policy) return Cat("policy ", PolicyName(pool), " chooses it for a connection that begins now");
    return Cat("slot ", finding.slot, " is its own");
  }
  if (!panic && !model::IsUsable(backend.health.value())) {
    const std::string& why = backend.health.reason;
    return Cat("down", why.empty() ? "" : Cat(" (", why, ")"), ": it gets nothing new");
  }
  if (backend.lifecycle == model::Lifecycle::kDraining) return "draining: it keeps what it has, and gets nothing new";
  if (backend.desired.weight == 0) return "weight 0: it keeps what it has, and gets nothing new";
  if (!backend.takes_new_flows()) return "it takes no new connections now";
  if (chosen == nullptr) return "no backend was chosen";
  if (ByCookie(finding)) return Cat("the packet's cookie names ", chosen->desired.name);
  if (!by_hash) {
    return Cat("the connection stays with ", chosen->desired.name,
               finding.scheduled == backend.id && pool.policy.scheduling == config::Scheduling::kMaglev
                   ? "; a new one would come here"
                   : "");
  }
  if (finding.by_policy) return Cat("policy ", PolicyName(pool), " chooses ", chosen->desired.name, " now");
  return Cat("slot ", finding.slot, " is ", chosen->desired.name, "'s");
}

void DescribeEntry(const model::PoolRecord& pool, const fwd::FlowFinding& finding, v1::ExplainFlowResponse* response) {
  if (!finding.tracked.exists) return;
  v1::FlowEntry* entry = response->mutable_entry();
  entry->set_worker(finding.worker.value());
  entry->set_state(std::string(StateName(finding.tracked.state)));
  entry->set_idle_s(finding.tracked.idle_s);
  entry->set_over(finding.tracked.over);
  if (finding.tracked.in_slot) {
    entry->mutable_counted()->set_packets(finding.tracked.packets);
    entry->mutable_counted()->set_bytes(finding.tracked.bytes);
    entry->mutable_counted()->set_age_s(finding.tracked.age_s);
  }
  if (!finding.tracked.backend_exists) return;
  if (const model::BackendRecord* backend = FindBackend(pool, finding.tracked.backend)) {
    entry->set_backend(backend->desired.name);
  }
}

std::string_view WhyThisOne(const model::VipRecord& vip, const fwd::FlowFinding& finding) {
  if (finding.has_session) return ", with which the flow has a session";
  if (ByCookie(finding)) return ", as the packet's cookie says";
  if (finding.rung == fwd::Rung::kConnectionTable) return ", as the connection's entry says";
  if (finding.rung == fwd::Rung::kSafe) {
    return ", whose slot the flow's hash chooses; no change of backends could move it, so nothing is remembered";
  }
  if (finding.by_policy) return ", which the pool's policy chooses now; it remembers nothing of this flow";
  if (vip.desired.mode == config::ForwardingMode::kFullNat) {
    return ", whose slot the flow's hash chooses; if it is TCP and began before, it is dropped (nat_no_session)";
  }
  return ", whose slot the flow's hash chooses";
}

void ExplainWithoutBackend(const model::PoolRecord& pool, const fwd::FlowFinding& finding,
                           v1::ExplainFlowResponse* response) {
  if (finding.has_session) {
    response->set_fate("answered");
    response->set_explanation(Cat("the backend of its session is down, and on_down of pool ", pool.name,
                                  " is not keep: a translated TCP connection cannot go on with another, and is reset"));
    return;
  }
  const bool known = finding.rung == fwd::Rung::kConnectionTable || ByCookie(finding);
  if (known && finding.refusal == fwd::Refusal::kReset) {
    response->set_fate("answered");
    response->set_explanation(Cat("its backend is down, and on_down of pool ", pool.name, " is reset: TCP is reset"));
    return;
  }
  const std::string why = Cat("no backend of pool ", pool.name, " takes new connections: add one, end a drain, or see ",
                              "why they are down");
  if (finding.refusal == fwd::Refusal::kDrop) return Dropped(DropReason::kNoBackend, why, response);
  response->set_fate("answered");
  response->set_explanation(
      Cat(why, "; by no_backend it is answered with ", config::NoBackendName(pool.policy.no_backend)));
}

// Says whether the packet can leave, and if not, why.
void JudgeNextHop(const model::VipRecord& vip, const model::BackendRecord& backend, const fwd::NextHop& hop,
                  const fwd::FlowQuestion& question, const fwd::FlowFinding& finding,
                  v1::ExplainFlowResponse* response) {
  const std::string& name = backend.desired.name;
  const config::ForwardingMode mode = vip.desired.mode;
  const bool l2 = mode == config::ForwardingMode::kL2;
  const bool nat = config::IsNat(mode);
  if (!hop.resolved) {
    return Dropped(DropReason::kNextHopUnresolved,
                   Cat("the MAC address on the way to ", name, " is not known: is ", backend.desired.address.ToString(),
                       " up, and is there a route to it?"),
                   response);
  }
  if (l2 && !hop.on_link) {
    return Dropped(DropReason::kBackendNotOnLink,
                   Cat("mode l2 reaches stations of a directly connected network only, and ", name,
                       " is behind a gateway: move it, or use a tunnel"),
                   response);
  }
  if ((l2 || mode == config::ForwardingMode::kNat) &&
      backend.desired.address.family() != question.destination.family()) {
    return Dropped(DropReason::kFamilyMismatch, Cat(name, " has an address of the other family, which the mode cannot"),
                   response);
  }
  if (!l2 && !nat && finding.tunnel_source.IsUnspecified()) {
    return Dropped(DropReason::kNoTunnelSource,
                   "the port has no address of the backend's family that tunnels could come from: add one to "
                   "node.ports[].addresses",
                   response);
  }
  response->set_fate("forwarded");
  response->set_explanation(Cat("to ", name, WhyThisOne(vip, finding)));
}

}  // namespace

absl::StatusOr<fwd::FlowQuestion> ReadQuestion(const v1::ExplainFlowRequest& request) {
  fwd::FlowQuestion question;
  switch (request.protocol()) {
    case v1::PROTOCOL_TCP:
      question.protocol = net::kProtocolTcp;
      break;
    case v1::PROTOCOL_UDP:
      question.protocol = net::kProtocolUdp;
      break;
    default:
      return absl::InvalidArgumentError("protocol: is missing; tcp or udp");
  }
  const auto client = ReadAddress("client", request.client());
  if (!client.ok()) return client.status();
  const auto address = ReadAddress("address", request.address());
  if (!address.ok()) return address.status();
  if (client->family() != address->family()) {
    return absl::InvalidArgumentError(Cat("client: ", client->ToString(), " and the address ", address->ToString(),
                                          " are of two IP versions; no packet has both"));
  }
  if (*client == *address || client->IsUnspecified() || client->IsMulticast() || client->IsLoopback()) {
    return absl::InvalidArgumentError(
        Cat("client: no client can have ", client->ToString(), "; its packets to VIPs are dropped (martian_source)"));
  }
  const auto client_port = ReadPort("client_port", request.client_port());
  if (!client_port.ok()) return client_port.status();
  const auto port = ReadPort("port", request.port());
  if (!port.ok()) return port.status();
  if (request.has_echo() && question.protocol != net::kProtocolTcp) {
    return absl::InvalidArgumentError("echo: only TCP has timestamps");
  }
  question.client = *client;
  question.destination = *address;
  question.client_port = *client_port;
  question.destination_port = *port;
  question.has_echo = request.has_echo();
  question.echo = request.echo();
  return question;
}

const fwd::FlowFinding& MostTelling(const std::vector<fwd::FlowFinding>& findings) {
  const auto rank = [](const fwd::FlowFinding& finding) {
    return finding.has_session || finding.cookie.valid()              ? 3
           : finding.tracked.exists && finding.tracked.backend_exists ? 2
                                                                      : finding.tracked.exists;
  };
  return *std::max_element(findings.begin(), findings.end(),
                           [&](const auto& a, const auto& b) { return rank(a) < rank(b); });
}

void Explain(const model::Snapshot& snapshot, const fwd::FlowQuestion& question, const fwd::FlowFinding& finding,
             const fwd::DataplaneView& view, v1::ExplainFlowResponse* response) {
  response->set_state_generation(finding.generation);
  const model::VipRecord* vip = FindVip(*snapshot.registry, finding.vip);
  const model::PoolRecord* pool = vip == nullptr ? nullptr : snapshot.registry->FindPool(vip->desired.pool);
  if (pool == nullptr) return ExplainWithoutVip(question, finding.is_vip_address, response);

  ToProto(vip->desired, response->mutable_vip());
  response->set_slot(finding.slot);
  response->set_slots(finding.slots);
  response->set_rung(std::string(DecidedBy(finding)));
  if (finding.by_policy) response->set_policy(std::string(PolicyName(*pool)));
  if (question.has_echo && vip->desired.cookies != config::Cookies::kNone) {
    const model::BackendRecord* named = finding.cookie.valid() ? FindBackend(*pool, finding.cookie) : nullptr;
    response->set_cookie_backend(named == nullptr ? "" : named->desired.name);
  }
  DescribeEntry(*pool, finding, response);
  const model::PoolRecord* backup = snapshot.registry->FindPool(pool->policy.backup);
  const model::BackendRecord* scheduled = FindBackend(*pool, finding.scheduled);
  if (scheduled == nullptr && backup != nullptr) scheduled = FindBackend(*backup, finding.scheduled);
  if (scheduled != nullptr) response->set_slot_backend(scheduled->desired.name);
  const model::BackendRecord* chosen = finding.backend.valid() ? FindBackend(*pool, finding.backend) : nullptr;
  const bool in_backup = chosen == nullptr && finding.backend.valid() && backup != nullptr;
  if (in_backup) chosen = FindBackend(*backup, finding.backend);
  for (const model::PoolRecord* each : {pool, in_backup ? backup : nullptr}) {
    if (each == nullptr) continue;
    for (const model::BackendRecord& backend : each->backends) {
      v1::BackendVerdict* verdict = response->add_backends();
      verdict->set_name(backend.desired.name);
      verdict->set_chosen(&backend == chosen);
      verdict->set_reason(ReasonOf(backend, chosen, *each, finding));
    }
  }
  if (chosen == nullptr) return ExplainWithoutBackend(*pool, finding, response);
  response->set_backend(chosen->desired.name);
  const bool is_known = finding.rung != fwd::Rung::kScheduler;
  if (finding.home.valid() && finding.home != chosen->id && !is_known) {
    const model::BackendRecord* home = FindBackend(*pool, finding.home);
    if (home != nullptr) response->set_home_backend(home->desired.name);
  }
  const fwd::NextHop hop = view.NextHopOf(chosen->id);
  JudgeNextHop(*vip, *chosen, hop, question, finding, response);
  if (response->fate() != "forwarded") return;
  if (!response->home_backend().empty()) {
    response->set_explanation(Cat(response->explanation(), "; if it began before its slot moved, to ",
                                  response->home_backend(), ", its home"));
  }
  for (const fwd::PortStats& port : view.Ports()) {
    if (hop.port.valid() && port.id == hop.port) response->set_egress_port(port.name);
  }
  const model::BackendRecord* second = finding.second.valid() ? FindBackend(*pool, finding.second) : nullptr;
  const std::string named = second == nullptr ? "" : second->desired.name;
  DescribePacket(*vip, *chosen, hop, question, finding, named, response);
}

}  // namespace sluice::rpc
