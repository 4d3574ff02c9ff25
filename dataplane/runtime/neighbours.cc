#include "dataplane/runtime/neighbours.h"

#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <poll.h>
#include <time.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "dataplane/runtime/host_interface.h"

namespace sluice::runtime {
namespace {

// Routes are not read more often than this, however fast a routing daemon changes them.
constexpr uint64_t kRoutesIntervalMs = 200;
// Nor does reading them take more than this part of the time.
constexpr uint64_t kRoutesTimeShare = 10;
// How often entries are looked over: the longest that a stale one waits to be asked for.
constexpr uint64_t kAskIntervalMs = 1000;
constexpr uint64_t kMaxAskIntervalMs = 5'000;
constexpr int kEventBufferBytes = 1 << 20;

uint64_t NowMs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

// Failures of asking, as against the answer that there is no route.
bool IsTransient(int result) {
  return result == -NLE_NOMEM || result == -NLE_AGAIN || result == -NLE_INTR || result == -NLE_BUSY ||
         result == -NLE_MSG_OVERFLOW || result == -NLE_SEQ_MISMATCH;
}

}  // namespace

absl::StatusOr<std::unique_ptr<Neighbours>> Neighbours::Create(std::vector<HostPort> ports) {
  absl::StatusOr<NlSocket> requests = ConnectNetlink();
  if (!requests.ok()) return requests.status();
  absl::StatusOr<NlSocket> route_requests = ConnectNetlink();
  if (!route_requests.ok()) return route_requests.status();
  absl::StatusOr<NlSocket> events = ConnectNetlink();
  if (!events.ok()) return events.status();
  nl_sock* socket = events->get();
  nl_socket_disable_seq_check(socket);
  nl_socket_set_nonblocking(socket);
  nl_socket_set_buffer_size(socket, kEventBufferBytes, 0);
  const int result =
      nl_socket_add_memberships(socket, RTNLGRP_NEIGH, RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_IFADDR,
                                RTNLGRP_IPV6_IFADDR, RTNLGRP_LINK, RTNLGRP_NEXTHOP, 0);
  if (result < 0) {
    return absl::InternalError(
        absl::StrCat("listening for changes of routes and neighbours failed: ", nl_geterror(result)));
  }
  std::unique_ptr<Neighbours> neighbours(
      new Neighbours(std::move(ports), *std::move(requests), *std::move(route_requests), *std::move(events)));
  nl_socket_modify_cb(socket, NL_CB_VALID, NL_CB_CUSTOM, OnEvent, neighbours.get());
  return neighbours;
}

int Neighbours::OnEvent(nl_msg* message, void* self) {
  auto* neighbours = static_cast<Neighbours*>(self);
  const uint16_t type = nlmsg_hdr(message)->nlmsg_type;
  if (type == RTM_NEWNEIGH || type == RTM_DELNEIGH) {
    neighbours->neighbours_changed_ = true;
  } else {
    neighbours->routes_changed_ = true;
    neighbours->links_changed_ |= type == RTM_NEWLINK;
  }
  return NL_OK;
}

void Neighbours::ReadEvents() {
  const int result = nl_recvmsgs_default(events_.get());
  if (result < 0 && result != -NLE_AGAIN) {
    // Some were lost, so anything may have changed.
    neighbours_changed_ = true;
    routes_changed_ = true;
    links_changed_ = true;
  }
}

void Neighbours::KeepMacAddresses() {
  for (const HostPort& port : ports_) {
    if (port.interface_index == 0) continue;
    const absl::StatusOr<bool> restored = RestoreMacAddress(route_requests_.get(), port.interface_index, port.mac);
    if (restored.ok() && !*restored) continue;
    uint64_t suppressed = 0;
    if (!mac_log_.Allow(&suppressed)) continue;
    SLUICE_LOG(kWarning) << "exception interface " << port.interface_index << " had another MAC address than its port: "
                         << (restored.ok() ? "given back" : std::string(restored.status().message()));
  }
}

bool Neighbours::Poll(int timeout_ms) {
  pollfd waiting = {.fd = nl_socket_get_fd(events_.get()), .events = POLLIN, .revents = 0};
  if (poll(&waiting, 1, timeout_ms) > 0) ReadEvents();
  const uint64_t now_ms = NowMs();
  if (std::exchange(links_changed_, false)) KeepMacAddresses();
  if (routes_changed_ && now_ms >= next_routes_ms_) {
    routes_changed_ = false;
    neighbours_changed_ = true;
    ReadRoutes();
    const uint64_t end_ms = NowMs();
    next_routes_ms_ = end_ms + std::max(kRoutesIntervalMs, (end_ms - now_ms) * kRoutesTimeShare);
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  bool changed = false;
  if (neighbours_changed_) {
    neighbours_changed_ = false;
    ReadNeighbours();
    changed = Choose();
    changed |= host_routes_.Update(neighbours_);
  }
  if (std::exchange(wanted_changed_, false) || now_ms - last_asked_ms_ >= kAskIntervalMs) {
    last_asked_ms_ = now_ms;
    AskKernel(now_ms);
  }
  if (std::exchange(reread_, false)) routes_changed_ = neighbours_changed_ = true;
  return changed;
}

void Neighbours::Watch(const std::vector<net::IpAddress>& addresses) {
  const std::lock_guard<std::mutex> lock(mutex_);
  std::map<net::IpAddress, Watched> watched;
  bool added = false;
  for (const net::IpAddress& address : addresses) {
    if (auto known = watched_.find(address); known != watched_.end()) {
      watched.insert(std::move(*known));
      continue;
    }
    const std::optional<KernelRoute> route = ReadRoute(requests_.get(), address);
    if (!route) reread_ = true;
    watched[address].route = route.value_or(KernelRoute());
    added = true;
  }
  watched_ = std::move(watched);
  if (!added) return;
  ReadNeighbours();
  Choose();
  AskKernel(NowMs());
}

fwd::NextHop Neighbours::Lookup(const net::IpAddress& address) {
  const std::lock_guard<std::mutex> lock(mutex_);
  const auto found = watched_.find(address);
  return found == watched_.end() ? fwd::NextHop() : found->second.hop;
}

std::shared_ptr<const fwd::ClientRoutes> Neighbours::Routes() {
  const std::lock_guard<std::mutex> lock(mutex_);
  return host_routes_.routes();
}

void Neighbours::Want(PortId port, const net::IpAddress& address) {
  const std::lock_guard<std::mutex> lock(mutex_);
  host_routes_.Want(port, address, NowMs());
  wanted_changed_ = true;
}

std::optional<KernelRoute> Neighbours::ReadRoute(nl_sock* socket, const net::IpAddress& address) {
  KernelRoute route;
  rtnl_route* answer = nullptr;
  const int result = rtnl_route_lookup(socket, ToNlAddr(address).get(), &answer);
  // Says nothing about the route: what was known stays until the next Poll asks again.
  if (IsTransient(result)) return std::nullopt;
  if (result < 0) return route;
  const NlRoute owner(answer);
  rtnl_nexthop* hop = rtnl_route_nexthop_n(answer, 0);
  if (hop == nullptr || rtnl_route_get_type(answer) != RTN_UNICAST) return route;
  route.interface_index = rtnl_route_nh_get_ifindex(hop);
  auto gateway = ToIpAddress(rtnl_route_nh_get_gateway(hop));
  if (!gateway) gateway = ToIpAddress(rtnl_route_nh_get_via(hop));
  route.on_link = !gateway.has_value();
  route.next_hop = gateway.value_or(address);
  route.own_source = ToIpAddress(rtnl_route_get_pref_src(answer));
  return route;
}

void Neighbours::ReadRoutes() {
  std::vector<net::IpAddress> addresses;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& [address, watched] : watched_) addresses.push_back(address);
  }
  std::vector<std::pair<net::IpAddress, KernelRoute>> routes;
  for (const net::IpAddress& address : addresses) {
    if (const auto route = ReadRoute(route_requests_.get(), address)) {
      routes.emplace_back(address, *route);
    } else {
      routes_changed_ = true;
    }
  }
  absl::StatusOr<RoutePlan> plan = host_routes_.ReadPlan(route_requests_.get());
  if (!plan.ok()) {
    routes_changed_ = true;
    uint64_t suppressed = 0;
    if (routes_failed_log_.Allow(&suppressed)) {
      SLUICE_LOG(kWarning) << std::string(plan.status().message()) << "; those known before stay in use";
    }
  }
  const std::lock_guard<std::mutex> lock(mutex_);
  for (auto& [address, route] : routes) {
    if (const auto watched = watched_.find(address); watched != watched_.end()) watched->second.route = route;
  }
  if (plan.ok()) host_routes_.SetPlan(*std::move(plan));
}

void Neighbours::ReadNeighbours() {
  nl_cache* dump = nullptr;
  if (rtnl_neigh_alloc_cache(requests_.get(), &dump) < 0) {
    // What was known stays until the next Poll tries again.
    reread_ = true;
    return;
  }
  const NlCache owner(dump);
  neighbours_.clear();
  for (nl_object* object = nl_cache_get_first(dump); object != nullptr; object = nl_cache_get_next(object)) {
    auto* entry = reinterpret_cast<rtnl_neigh*>(object);
    const auto address = ToIpAddress(rtnl_neigh_get_dst(entry));
    if (!address) continue;
    const auto mac = ToMacAddress(rtnl_neigh_get_lladdr(entry));
    const int state = rtnl_neigh_get_state(entry);
    neighbours_[{rtnl_neigh_get_ifindex(entry), *address}] = {.state = static_cast<uint16_t>(std::max(state, 0)),
                                                              .mac = mac.value_or(net::MacAddress())};
  }
}

const KernelNeighbour* Neighbours::FindNeighbour(const KernelRoute& route) const {
  const auto found = neighbours_.find({route.interface_index, route.next_hop});
  return found == neighbours_.end() ? nullptr : &found->second;
}

bool Neighbours::Choose() {
  bool changed = false;
  for (auto& [address, watched] : watched_) {
    const fwd::NextHop hop = ChooseNextHop(ports_, address, watched.route, FindNeighbour(watched.route));
    changed |= hop != watched.hop;
    watched.hop = hop;
    ReportNoRoute(address, watched);
  }
  return changed;
}

// Once for each time that a backend loses its way.
void Neighbours::ReportNoRoute(const net::IpAddress& address, Watched& watched) {
  const bool lost = !watched.hop.port.valid();
  if (lost && !watched.reported) {
    SLUICE_LOG(kWarning) << "backend " << address.ToString()
                         << (watched.route.interface_index == 0
                                 ? ": the host has no route to it"
                                 : ": the host's route to it leaves by an interface that is not a port's exception "
                                   "interface")
                         << "; its packets are dropped. Remedy: an address or gateway of the right port, or ip route "
                            "add ... dev <exception interface>";
  }
  watched.reported = lost;
}

void Neighbours::AskKernel(uint64_t now_ms) {
  std::set<NeighbourKey> needed;
  for (const auto& [address, watched] : watched_) {
    if (const auto next_hop = NeighbourNeeded(ports_, watched.route)) {
      needed.insert({watched.route.interface_index, *next_hop});
    }
  }
  host_routes_.AddNeeded(now_ms, needed);
  std::map<NeighbourKey, Asking> asking;
  for (const NeighbourKey& key : needed) {
    const auto found = neighbours_.find(key);
    const KernelNeighbour* neighbour = found == neighbours_.end() ? nullptr : &found->second;
    if (neighbour != nullptr && IsUsable(*neighbour) && !NeedsAsking(neighbour)) continue;
    Asking next = asking_[key];
    if (NeedsAsking(neighbour) && now_ms >= next.next_ms) {
      Ask(key);
      // A stale entry is asked for once and becomes another; one that does not answer is asked for ever more rarely.
      next.interval_ms = std::clamp(next.interval_ms * 2, kAskIntervalMs, kMaxAskIntervalMs);
      next.next_ms = now_ms + next.interval_ms;
    }
    asking[key] = next;
  }
  asking_ = std::move(asking);
}

// "Use" makes the kernel behave as if it had a packet for the neighbour: it resolves what it does not know and
// revalidates what is stale.
void Neighbours::Ask(const NeighbourKey& key) {
  const NlNeighbour request(rtnl_neigh_alloc());
  rtnl_neigh_set_ifindex(request.get(), key.first);
  rtnl_neigh_set_family(request.get(), AddressFamily(key.second));
  rtnl_neigh_set_dst(request.get(), ToNlAddr(key.second).get());
  rtnl_neigh_set_flags(request.get(), NTF_USE);
  const int result = rtnl_neigh_add(requests_.get(), request.get(), NLM_F_CREATE | NLM_F_REPLACE);
  uint64_t suppressed = 0;
  if (result < 0 && ask_failed_log_.Allow(&suppressed)) {
    SLUICE_LOG(kWarning)
        << "asking the kernel for the MAC address of " << key.second.ToString() << " failed: " << nl_geterror(result)
        << " (" << suppressed
        << " more not shown); if its neighbour table is full: sysctl net.ipv4.neigh.default.gc_thresh3 "
           "or net.ipv6...";
  }
}

}  // namespace sluice::runtime
