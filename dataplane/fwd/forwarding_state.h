#ifndef SLUICE_DATAPLANE_FWD_FORWARDING_STATE_H_
#define SLUICE_DATAPLANE_FWD_FORWARDING_STATE_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/fwd/client_routes.h"
#include "dataplane/fwd/cookies.h"
#include "dataplane/fwd/quic.h"
#include "dataplane/lb/cookie_reader.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/flow_timeouts.h"
#include "dataplane/lb/return_table.h"
#include "dataplane/lb/vip_table.h"
#include "dataplane/lb/weighted_round_robin.h"
#include "dataplane/net/address.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"

// Everything a worker needs to decide about a packet, as immutable parts under one small root. A worker holds a
// pointer to the root for one burst; the control thread replaces the root and frees the old one after a grace period.
// Parts that did not change are shared between generations.
namespace sluice::fwd {

enum class ForwardingMode : uint8_t {
  kL2,         // the backend's MAC address, nothing else changes
  kIpip,       // IP in IP: RFC 2003 (4 in 4), 4213 (6 in 4), 2473 (4 and 6 in 6)
  kGue,        // Generic UDP Encapsulation, variant 0: UDP, a header of four bytes, IP (draft-ietf-intarea-gue)
  kGueDirect,  // variant 1: IP follows UDP at once
  kGre,        // RFC 2784, without checksum and key
  kNat,        // destination NAT: the backend answers through us, and sees the client's address
  kFullNat,    // source NAT too, from a local address of ours: the backend's routes do not matter
};

constexpr bool IsNat(ForwardingMode mode) { return mode == ForwardingMode::kNat || mode == ForwardingMode::kFullNat; }

// How the backend of a new connection is chosen, where something remembers it afterwards (policies.h).
enum class SchedulingPolicy : uint8_t {
  kMaglev,              // by the flow's hash and the pool's table: the only one that needs no memory
  kWeightedRoundRobin,  // in turns, as many as weights say
  kPowerOfTwo,          // of two backends that the hash draws, the one with fewer connections for its weight
  kLeastConnections,    // the one with the fewest connections for its weight
};

// What the scheduler hashes, so which flows share a backend. Tracked flows keep theirs either way.
enum class HashInput : uint8_t {
  kTuple,       // addresses, ports and protocol: each connection by itself
  kClientPort,  // the client's address and port: a client's flows from one port, over all VIPs of the pool
  kClient,      // the client's address: all flows of a client, over all VIPs of the pool
};

enum class BackendState : uint8_t {
  kAbsent,    // no backend has this id now
  kActive,    // takes new flows as its weight says
  kDraining,  // keeps its flows, gets no new ones
  kDown,      // failed its checks: gets no new flows, and its own go by OnDown
};

// What becomes of a flow whose backend is down, when its next packet comes.
enum class OnDown : uint8_t {
  kKeep,        // it stays: what failed may have been the check
  kReschedule,  // it gets another backend, as if its own were gone
  kReset,       // a TCP connection is reset in the VIP's name, so that its client tries anew; others: kReschedule
};

// Whether a flow that a backend has stays with it.
constexpr bool KeepsFlows(BackendState state, OnDown on_down) {
  return state != BackendState::kAbsent && (state != BackendState::kDown || on_down == OnDown::kKeep);
}

// What a packet gets for which there is no backend.
enum class Refusal : uint8_t {
  kDrop,         // nothing
  kUnreachable,  // ICMP "port unreachable", in the VIP's name
  kReset,        // a TCP reset in the VIP's name; other protocols: kUnreachable
};

// What the control plane knows of a backend.
struct BackendInfo {
  net::IpAddress address;
  BackendGeneration generation = 0;
  BackendState state = BackendState::kAbsent;
  uint16_t nat_port = 0;  // where the backend expects the VIP's packets with NAT, host byte order; 0: the VIP's port
  PoolId pool = {};
  OnDown on_down = OnDown::kKeep;
  std::optional<uint16_t> cookie_id = {};  // what cookies name it by
  std::vector<lb::QuicServerId> quic_server_ids = {};
  friend bool operator==(const BackendInfo&, const BackendInfo&) = default;
};

// Where packets for an address leave the machine, as the runtime learned it from the host's kernel.
struct NextHop {
  PortId port;            // invalid: no route
  bool on_link = false;   // the address itself, not a gateway, owns `destination`
  bool resolved = false;  // `destination` is known
  net::MacAddress source;
  net::MacAddress destination;
  // Our addresses on that port: the outer source of tunnels. Unspecified where the port has none of the family.
  net::IpAddress source_v4;
  net::IpAddress source_v6 = net::IpAddress::FromBytes(net::Family::kIpv6, std::array<uint8_t, 16>{}.data());
  friend bool operator==(const NextHop&, const NextHop&) = default;
};

// What the packet path reads of a backend: one cache line, the outer headers ready to be copied.
struct alignas(64) BackendEntry {
  // Ethernet header of packets to the next hop, EtherType of the inner packet's family left to Rewrite (L2), of the
  // outer header's family (tunnels).
  net::EtherHeader ether{};
  // Outer header of tunnels to the backend, of which NAT takes the backend's address: an Ipv4Header (TOS, length and
  // checksum zero) or an Ipv6Header (class, flow label and payload length zero), as `family` says. Its protocol is that
  // of IP in IP of the same family; else the VIP's mode and the inner family say it.
  std::array<uint8_t, sizeof(net::Ipv6Header)> outer{};
  BackendGeneration generation = 0;
  BackendState state = BackendState::kAbsent;
  OnDown on_down = OnDown::kKeep;
  // Side by side: the fast path compares both at once.
  PortId port;
  // Of a tunnel that packets can be put into now: `family` if the entry is resolved and has a source, else 0. One
  // question to the fast path in place of three.
  uint8_t tunnel = 0;
  Be16 nat_port;                            // 0: NAT keeps the VIP's port
  net::Family family = net::Family::kIpv4;  // of the backend's address
  bool resolved : 1 = false;
  bool on_link : 1 = false;
  bool has_source : 1 = false;  // the port has an address of the backend's family: `outer` is usable by tunnels

  bool keeps_flows() const { return KeepsFlows(state, on_down); }
  // Of an Ipv4Header: the ones' complement sum of its words, in host byte order, to be completed with what varies. It
  // lies where an Ipv6Header would go on.
  static constexpr size_t kOuterSum = sizeof(net::Ipv4Header);
  uint32_t outer_sum() const { return net::Load<uint32_t>(outer.data() + kOuterSum); }
  // The backend's address in network byte order: 4 or 16 bytes, as `family` says.
  const uint8_t* address() const {
    return outer.data() + (family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, destination)
                                                        : offsetof(net::Ipv6Header, destination));
  }
};
static_assert(sizeof(BackendEntry) == 64);
static_assert(offsetof(BackendEntry, tunnel) == offsetof(BackendEntry, port) + 1);

// Indexed by BackendId; as long as the largest id in use needs.
using BackendTable = std::vector<BackendEntry>;

// What the fast path's choice of a backend asks of it: so little that all backends' stay in the nearest cache. Their
// lines do not, and which one is needed is known only when the flow was found, so that each packet would wait for it.
struct BackendMark {
  static constexpr uint16_t kNot = 0x100;

  // The generation's low byte, as connections remember it, and kNot where the answer is no: so one comparison tells
  // whether the connection's own backend is still there, and has what is asked for.
  uint16_t is_up = kNot;        // a backend has the id, and is not down
  uint16_t keeps_flows = kNot;  // BackendEntry::keeps_flows

  uint8_t generation() const { return static_cast<uint8_t>(is_up); }
};

// A pool's Maglev table, and what its policy needs.
struct PoolTable {
  // Slot -> BackendId value; empty when no member takes new flows.
  std::vector<uint16_t> slots;
  // What it was built from, to see whether it can be shared with the next generation.
  struct Member {
    BackendId backend;
    std::string name;
    uint32_t weight = 0;
    friend bool operator==(const Member&, const Member&) = default;
  };
  std::vector<Member> members;  // those that take new flows, in the order of their names
  uint32_t table_size = 0;
  // Of pools of VIPs that track unsafe flows only or have a second chance (homes.h), else empty. Slot -> BackendId
  // value of its home, to which flows in the slot belong of which nothing is remembered; invalid: nobody.
  std::vector<uint16_t> homes = {};
  std::vector<bool> unsafe = {};    // by slot: a new flow may be elsewhere than at home, so it is remembered
  std::vector<Member> known = {};   // all backends with the weights they are to have, in the order of their names
  uint32_t homes_held_since_s = 0;  // with homes_held: of StateSpec::now_s
  // Of pools of VIPs that have a second chance (second_chance.h), else empty. Slot -> BackendId value of its owner
  // before the present one, and of who would have it without that one; invalid: nobody.
  std::vector<uint16_t> previous = {};
  std::vector<uint16_t> heirs = {};
  bool homes_held = false;  // some slots keep a home of an earlier `known`
  SchedulingPolicy policy = SchedulingPolicy::kMaglev;
  // Of policies other than kMaglev: the members' turns, and their weights by BackendId from `first_weight` on.
  lb::TurnOrder turns = {};
  std::vector<uint16_t> weights = {};
  uint16_t first_weight = 0;
};

// How a VIP's packets are treated; what the packet path reads of a VIP, indexed by VipId.
struct VipEntry {
  PoolId pool;           // the one that new flows are scheduled to: the VIP's own, or its backup
  PoolId own_pool = {};  // set by the builder
  uint8_t protocol = 0;  // 0: no VIP has this id now
  ForwardingMode mode = ForwardingMode::kL2;
  HashInput hash_input = HashInput::kTuple;
  Refusal no_backend = Refusal::kDrop;  // when neither has a backend for a flow
  bool tracked = true;                  // flows are entered into the connection table
  bool unsafe_only = false;             // and `tracked`: only those that a change of backends could move (homes.h)
  bool is_prefix = false;               // many addresses: the destination is part of a flow's tuple
  bool second_chance = false;           // kGue: packets that the hash sends name another backend (second_chance.h)
  uint16_t gue_port = 0;                // destination port of GUE, host byte order
  bool proxy_protocol = false;          // full NAT over TCP: a PROXY protocol v2 header goes before the client's data
  bool clamp_mss = true;                // the MSS in SYNs is lowered to what fits on the way to the backend
  bool nat_sessions =
      false;             // kNat: answers of some backend are ambiguous (ReturnTable), so flows need their own state
  bool cookies = false;  // packets say who their backend is: by timestamps that carry cookies, unless `quic`
  bool slots = false;    // and `cookies`: they name a slot (lb/slot_table.h) instead
  bool quic = false;     // and `cookies`: by connection ids of QUIC
  lb::CookieLayout cookie_layout = {};  // of cookies that name the backend
  uint8_t cookie_key = 0;               // kNat: the number of the key that new cookies are made with
  // Two tiers: cookies name the VIP's backends, which are tier-2 directors, by the tier-2 id; else, where the layout
  // has bits for one, new cookies get this director's own.
  bool first_tier = false;
  uint8_t tier_id = 0;
  lb::FlowTimeouts timeouts;
  friend bool operator==(const VipEntry&, const VipEntry&) = default;
};

// What the fast path of packets (stage/fast_path.h) reads of a VIP, indexed by VipId: a quarter of a cache line, so
// that those of many VIPs stay in the nearest cache.
struct FastPathVip {
  enum class Way : uint8_t {
    kNone,  // no VIP has the id, or its address translation is no kSession: packets go the general way from the start
    kSession,  // address translation, with a session for each flow and without cookies
    kLadder,   // the whole ladder chooses the backend
    kTable,    // an established flow's backend is what the connection table says
    kSlot,     // what the slot says that its packets' cookies name
    kHash,     // all packets go by the hash of their tuple alone
    kCookie,  // an established flow's backend is what its packets' cookies say; the last: what lies above kHash is this
  };
  // BackendId values. With kHash, kTable and kSession: the slots of the pool's table, where that alone schedules
  // connections. With kCookie: by the ids that cookies name, the pool's backends that keep their flows; the reader
  // bounds those.
  const uint16_t* slots = nullptr;
  // Of the pool's table, with kCookie too, where that alone schedules connections; else 0.
  uint32_t slot_count = 0;
  // Way, mode and family side by side, the last two in one byte: the fast path compares two or all of them at once. The
  // family is that of the VIP's address, so of its packets.
  Way way = Way::kNone;
  ForwardingMode mode : 4 = ForwardingMode::kL2;
  net::Family family : 4 = net::Family::kIpv4;
  // With kCookie: of ForwardingState::cookie_readers; of others kNoReader, so that a comparison with one tells the way.
  static constexpr uint16_t kNoReader = UINT16_MAX;
  uint16_t cookie_reader = kNoReader;
};
static_assert(sizeof(FastPathVip) == 16);
static_assert(offsetof(FastPathVip, cookie_reader) == offsetof(FastPathVip, way) + sizeof(uint16_t));

struct ForwardingState {
  uint64_t generation = 0;
  std::shared_ptr<const lb::HashKeys> keys;
  std::shared_ptr<const lb::VipTable> vip_table;
  std::shared_ptr<const std::vector<VipEntry>> vips;
  std::shared_ptr<const std::vector<FastPathVip>> fast_path_vips;  // as many as `vips`
  std::vector<lb::CookieReader> cookie_readers;                    // all different
  std::vector<std::shared_ptr<const PoolTable>> pools;             // by PoolId; null where no pool has the id
  // By PoolId, of pools that VIPs with cookies use; null of others, or shorter. The keys are never null.
  std::vector<std::shared_ptr<const CookieIds>> cookie_ids;
  std::shared_ptr<const CookieKeySet> cookie_keys;
  CookieDigest cookie_digest;
  // The same of QUIC.
  std::vector<std::shared_ptr<const QuicServers>> quic_servers;
  std::shared_ptr<const QuicConfigSet> quic_configs;
  std::shared_ptr<const std::vector<BackendInfo>> backend_infos;
  // By PoolId, of pools whose VIPs copy packets that any backend may be meant by (copies.h); null of others, or
  // shorter.
  std::vector<std::shared_ptr<const std::vector<BackendId>>> pool_backends;
  // Which VIP a backend's packet answers for, of the VIPs with kNat; never null.
  std::shared_ptr<const lb::ReturnTable> returns;
  // Two states of one process have the same number only if they share keys, VIPs and `returns`: then they say the same
  // of whose a packet is. Not 0.
  uint32_t vips_number = 0;
  // On the fast path packets are told by what may lie in their second cache line: the TCP flags of IPv6, cookies,
  // connection ids. Where there are no such VIPs, TCP over IPv6 and quotes in ICMP errors wait for theirs, which come
  // seldom.
  bool reads_second_lines = false;
  // Some backend has an address of IPv6: else no pool is asked for the family of its backends.
  bool has_v6_backends = false;
  // Where packets to clients leave; never null, and without routes until the publisher knows some.
  std::shared_ptr<const ClientRoutes> client_routes;
  // Filled by ResolveNextHops (resolve.h); a state without it is never given to workers.
  std::shared_ptr<const BackendTable> backends;
  std::vector<BackendMark> backend_marks;  // as many as `backends`
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_FORWARDING_STATE_H_
