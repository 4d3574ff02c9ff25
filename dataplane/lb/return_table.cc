#include "dataplane/lb/return_table.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "dataplane/net/headers.h"

namespace sluice::lb {
namespace {

VipAddressV4 KeyV4(const uint8_t* bytes) {
  VipAddressV4 key;
  std::memcpy(&key.raw, bytes, sizeof(key.raw));
  return key;
}

VipAddressV6 KeyV6(const uint8_t* bytes) {
  VipAddressV6 key;
  std::memcpy(&key.high, bytes, sizeof(key.high));
  std::memcpy(&key.low, bytes + sizeof(key.high), sizeof(key.low));
  return key;
}

// Ports that one VIP's packets can come to.
struct Claim {
  uint32_t first;
  uint32_t last;
  uint32_t vip;  // its place in the list of VIPs
  bool wide;     // not even the VIP says where the answer comes from: it has many addresses, or many ports for this one
};

bool IsOneAddress(const net::IpPrefix& prefix) { return prefix.length == prefix.address.bits(); }

bool Ascending(const Claim& a, const Claim& b) { return a.first < b.first; }

// The parts of `whole` that no claim of [begin, end) has; those are disjoint, ascending and within it.
template <typename It>
void AddGaps(const Claim& whole, It begin, It end, std::vector<Claim>& out) {
  uint32_t next = whole.first;
  for (; begin != end; ++begin) {
    if (begin->first > next) out.push_back({next, begin->first - 1, whole.vip, whole.wide});
    next = std::max(next, begin->last + 1);
  }
  if (next <= whole.last) out.push_back({next, whole.last, whole.vip, whole.wide});
}

// The claims of VIPs on one address and protocol, made disjoint by the precedence of VIPs: a single port goes before a
// range before all ports.
std::vector<Claim> Disjoint(const std::vector<Claim>& claims) {
  std::vector<Claim> singles, ranges, all;
  for (const Claim& claim : claims) {
    const bool is_all = claim.first == 0 && claim.last == UINT16_MAX;
    (claim.first == claim.last ? singles : is_all ? all : ranges).push_back(claim);
  }
  std::sort(singles.begin(), singles.end(), Ascending);
  std::vector<Claim> taken = singles;
  for (const Claim& range : ranges) {
    const auto begin = std::lower_bound(singles.begin(), singles.end(), Claim{range.first, 0, 0, false}, Ascending);
    const auto end = std::lower_bound(begin, singles.end(), Claim{range.last + 1, 0, 0, false}, Ascending);
    AddGaps(range, begin, end, taken);
  }
  std::sort(taken.begin(), taken.end(), Ascending);
  std::vector<Claim> result = taken;
  for (const Claim& claim : all) AddGaps(claim, taken.begin(), taken.end(), result);
  return result;
}

}  // namespace

// What a build needs besides the table itself.
class ReturnTable::Builder {
 public:
  Builder(ReturnTable& table, size_t max_intervals) : table_(table), max_intervals_(max_intervals) {}

  void Build() {
    AddVips();
    AddAddresses();
    const auto v4_count = static_cast<size_t>(std::count_if(address_groups_.begin(), address_groups_.end(),
                                                            [](const auto& entry) { return entry.first.is_v4(); }));
    table_.v4_ = AddressMap<VipAddressV4>(v4_count);
    table_.v6_ = AddressMap<VipAddressV6>(address_groups_.size() - v4_count);
    for (const auto& [address, group] : address_groups_) {
      if (address.is_v4()) {
        table_.v4_.Insert(KeyV4(address.data()), group);
      } else {
        table_.v6_.Insert(KeyV6(address.data()), group);
      }
    }
  }

 private:
  // The pools that an address is in, with the port there; the same for all addresses of a group.
  using Membership = std::vector<std::pair<PoolId, uint16_t>>;

  // The first answers are those with one VIP, in the order of VIPs.
  void AddVips() {
    for (const Vip& vip : table_.vips_) {
      const auto index = static_cast<uint32_t>(table_.services_.size());
      if (vip.pool.index() >= vips_of_pool_.size()) vips_of_pool_.resize(vip.pool.index() + 1);
      vips_of_pool_[vip.pool.index()].push_back(index);
      ReturnService service{.vip = vip.id, .family = vip.prefix.address.family(), .address = {}, .port = {}};
      std::memcpy(service.address.data(), vip.prefix.address.data(), vip.prefix.address.size());
      if (vip.first_port == vip.last_port) service.port = Be16::FromHost(vip.first_port);
      table_.services_.push_back(service);
      table_.answers_.push_back({.kind = ReturnMatch::Kind::kUnique, .count = 1, .begin = index});
    }
    table_.needs_state_.resize(table_.vips_.size());
  }

  // The table's backends are sorted by address, so an address's pools stand together.
  void AddAddresses() {
    const std::vector<Backend>& backends = table_.backends_;
    for (size_t i = 0; i < backends.size();) {
      const net::IpAddress& address = backends[i].address;
      Membership membership;
      for (; i < backends.size() && backends[i].address == address; ++i) {
        const PoolId pool = backends[i].pool;
        if (pool.index() < vips_of_pool_.size() && !vips_of_pool_[pool.index()].empty()) {
          membership.emplace_back(pool, backends[i].port);
        }
      }
      if (membership.empty()) continue;
      const auto [group, is_new] = groups_.try_emplace(membership, static_cast<uint32_t>(table_.groups_.size()));
      if (is_new) AddGroup(membership);
      address_groups_.emplace_back(address, group->second);
    }
  }

  void AddGroup(const Membership& membership) {
    size_t vips = 0;
    for (const auto& [pool, port] : membership) vips += vips_of_pool_[pool.index()].size();
    Group& group = table_.groups_.emplace_back();
    // Overlapping claims of n VIPs have at most 2n - 1 intervals between them, and gaps cut off at most as many again.
    if (table_.intervals_.size() + 4 * vips > max_intervals_) {
      group.tcp = group.udp = EverythingAmbiguous();
      for (const auto& [pool, port] : membership) {
        for (const uint32_t vip : vips_of_pool_[pool.index()]) table_.needs_state_[vip] = true;
      }
      return;
    }
    group.tcp = AddProtocol(membership, net::kProtocolTcp);
    group.udp = AddProtocol(membership, net::kProtocolUdp);
  }

  Span EverythingAmbiguous() {
    if (everything_.begin == everything_.end) {
      everything_.begin = static_cast<uint32_t>(table_.intervals_.size());
      table_.intervals_.push_back({0, UINT16_MAX, AnswerOf({}, true)});
      everything_.end = everything_.begin + 1;
    }
    return everything_;
  }

  Span AddProtocol(const Membership& membership, uint8_t protocol) {
    std::vector<Claim> claims;
    std::map<net::IpAddress, std::vector<Claim>> by_vip_address;
    for (const auto& [pool, port] : membership) {
      for (const uint32_t index : vips_of_pool_[pool.index()]) {
        const Vip& vip = table_.vips_[index];
        if (vip.protocol != protocol) continue;
        const bool wide = !IsOneAddress(vip.prefix);
        if (port != 0) {
          // All that VIPs send to the backend comes to one port of it.
          claims.push_back({port, port, index, wide || vip.first_port != vip.last_port});
          continue;
        }
        std::vector<Claim>& where = wide ? claims : by_vip_address[vip.prefix.address];
        where.push_back({vip.first_port, vip.last_port, index, wide});
      }
    }
    for (const auto& [address, of_address] : by_vip_address) {
      const std::vector<Claim> disjoint = Disjoint(of_address);
      claims.insert(claims.end(), disjoint.begin(), disjoint.end());
    }
    return AddIntervals(claims);
  }

  // Adds the intervals between the ends of claims, each with the answer for the VIPs that claim it.
  Span AddIntervals(const std::vector<Claim>& claims) {
    struct Edge {
      uint32_t port;
      bool begins;
      const Claim* claim;
    };
    std::vector<Edge> edges;
    for (const Claim& claim : claims) {
      edges.push_back({claim.first, true, &claim});
      edges.push_back({claim.last + 1, false, &claim});
    }
    std::sort(edges.begin(), edges.end(), [](const Edge& a, const Edge& b) { return a.port < b.port; });
    Span span;
    span.begin = static_cast<uint32_t>(table_.intervals_.size());
    std::multiset<uint32_t> open;  // VIPs whose claims have the port
    size_t open_wide = 0;
    for (size_t i = 0; i < edges.size(); ++i) {
      const Claim& claim = *edges[i].claim;
      if (edges[i].begins) {
        open.insert(claim.vip);
        open_wide += claim.wide ? 1 : 0;
      } else {
        open.erase(open.find(claim.vip));
        open_wide -= claim.wide ? 1 : 0;
      }
      const bool last_here = i + 1 == edges.size() || edges[i + 1].port != edges[i].port;
      if (!last_here || open.empty()) continue;
      Append(span, edges[i].port, edges[i + 1].port - 1, AnswerOf(open, open_wide != 0));
    }
    span.end = static_cast<uint32_t>(table_.intervals_.size());
    MarkStateful(claims, span);
    return span;
  }

  uint32_t AnswerOf(const std::multiset<uint32_t>& open, bool wide) {
    if (!wide && *open.begin() == *open.rbegin()) return *open.begin();
    std::vector<uint32_t> candidates;
    if (!wide && open.size() <= kMaxCandidates) {
      std::unique_copy(open.begin(), open.end(), std::back_inserter(candidates));
    }
    const auto [answer, is_new] = ambiguous_.try_emplace(candidates, static_cast<uint32_t>(table_.answers_.size()));
    if (is_new) {
      table_.answers_.push_back({.kind = ReturnMatch::Kind::kAmbiguous,
                                 .count = static_cast<uint8_t>(candidates.size()),
                                 .begin = static_cast<uint32_t>(table_.services_.size())});
      for (const uint32_t vip : candidates) table_.services_.push_back(ReturnService(table_.services_[vip]));
    }
    return answer->second;
  }

  // Neighbours with the same answer become one.
  void Append(const Span& span, uint32_t first, uint32_t last, uint32_t answer) {
    std::vector<Interval>& intervals = table_.intervals_;
    if (intervals.size() > span.begin && intervals.back().answer == answer && intervals.back().last + 1u == first) {
      intervals.back().last = static_cast<uint16_t>(last);
      return;
    }
    intervals.push_back({static_cast<uint16_t>(first), static_cast<uint16_t>(last), answer});
  }

  // Notes the VIPs that claim a port with an ambiguous answer.
  void MarkStateful(const std::vector<Claim>& claims, const Span& span) {
    std::vector<Interval> ambiguous;
    for (uint32_t i = span.begin; i < span.end; ++i) {
      const Interval& interval = table_.intervals_[i];
      if (table_.answers_[interval.answer].kind == ReturnMatch::Kind::kAmbiguous) ambiguous.push_back(interval);
    }
    for (const Claim& claim : claims) {
      const auto next = std::lower_bound(ambiguous.begin(), ambiguous.end(), claim.first,
                                         [](const Interval& a, uint32_t port) { return a.last < port; });
      if (next != ambiguous.end() && next->first <= claim.last) table_.needs_state_[claim.vip] = true;
    }
  }

  ReturnTable& table_;
  const size_t max_intervals_;
  std::vector<std::vector<uint32_t>> vips_of_pool_;  // by PoolId: indices of VIPs, which are those of services
  std::map<Membership, uint32_t> groups_;
  std::vector<std::pair<net::IpAddress, uint32_t>> address_groups_;
  std::map<std::vector<uint32_t>, uint32_t> ambiguous_;  // candidates -> answer
  Span everything_;
};

ReturnTable::ReturnTable(std::vector<Vip> vips, std::vector<Backend> backends, size_t max_intervals)
    : vips_(std::move(vips)), backends_(std::move(backends)) {
  std::sort(backends_.begin(), backends_.end());
  Builder(*this, max_intervals).Build();
}

ReturnMatch ReturnTable::LookupV6(const uint8_t* source, uint8_t protocol, Be16 port) const {
  return FindPort(v6_.Find(KeyV6(source)), protocol, port.Host());
}

bool ReturnTable::HasSourceV6(const uint8_t* source) const { return v6_.Find(KeyV6(source)) != kNoGroup; }

ReturnMatch ReturnTable::FindPort(uint32_t group, uint8_t protocol, uint16_t port) const {
  if (group == kNoGroup) return {};
  const Span span = protocol == net::kProtocolTcp ? groups_[group].tcp : groups_[group].udp;
  const auto begin = intervals_.begin() + span.begin;
  const auto end = intervals_.begin() + span.end;
  const auto after =
      std::upper_bound(begin, end, port, [](uint16_t p, const Interval& interval) { return p < interval.first; });
  if (after == begin || std::prev(after)->last < port) return {};
  const Answer& answer = answers_[std::prev(after)->answer];
  return {.kind = answer.kind, .services = services_.data() + answer.begin, .count = answer.count};
}

}  // namespace sluice::lb
