#ifndef SLUICE_CONFIG_SCHEMA_H_
#define SLUICE_CONFIG_SCHEMA_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/cookie_config.h"
#include "config/health_check.h"
#include "config/pool_policy.h"
#include "config/port_range.h"
#include "dataplane/net/address.h"

// The configuration as plain values: what the YAML file says and what the API exchanges. No behaviour but the words
// for them; the loader (load.h) fills it, validation (validate.h) checks it, for the file and for RPCs alike.
namespace sluice::config {

// ---- The node part: what belongs to this machine. Read at start; a reload says what of it needs a restart. ----

enum class IdleMode : uint8_t { kPoll, kAdaptive };

// Where packets for the host's own kernel go.
struct ExceptionPortConfig {
  bool enabled = true;
  // Name of the TAP interface that sluiced creates; it takes the port's MAC address. At most 15 characters.
  std::string interface;
  friend bool operator==(const ExceptionPortConfig&, const ExceptionPortConfig&) = default;
};

// A logical port: one network that workers receive from and send to.
struct PortConfig {
  std::string name;
  // DPDK devices, each a PCI address ("0000:03:00.0") or a vdev with arguments ("net_af_packet0,iface=eth0"). One
  // device with a queue for each worker, or as many devices as workers, one for each.
  std::vector<std::string> devices;
  // The host's own addresses on this network; sluiced sets them on the exception port.
  std::vector<net::IpPrefix> addresses;
  // Default gateways by family; routes to them are set on the exception port.
  std::vector<net::IpAddress> gateways;
  // When set, every next hop that is not on link uses this MAC address, and the kernel is not asked.
  std::optional<net::MacAddress> gateway_mac;
  uint32_t mtu_bytes = 1500;
  uint32_t rx_descriptors = 1024;
  uint32_t tx_descriptors = 1024;
  ExceptionPortConfig exception;
  friend bool operator==(const PortConfig&, const PortConfig&) = default;
};

struct WorkersConfig {
  uint32_t count = 1;
  // CPU of each worker; empty: chosen from the CPUs that the process may use, the last ones first.
  std::vector<uint32_t> cpus;
  IdleMode idle = IdleMode::kAdaptive;
  friend bool operator==(const WorkersConfig&, const WorkersConfig&) = default;
};

struct MemoryConfig {
  enum class Hugepages : uint8_t { kAuto, kRequire, kOff };
  Hugepages hugepages = Hugepages::kAuto;
  // Packet buffers; 0: enough for all descriptors, rings and bursts in flight.
  uint32_t mbufs = 0;
  // Bytes of packet data one buffer holds, without headroom.
  uint32_t mbuf_data_bytes = 2048;
  friend bool operator==(const MemoryConfig&, const MemoryConfig&) = default;
};

struct TablesConfig {
  // Connections that each worker can remember: to VIPs of one address, by family, and to VIPs that are prefixes.
  uint32_t connections_v4 = 262144;
  uint32_t connections_v6 = 65536;
  uint32_t connections_wide = 16384;
  // Translated connections that each worker can keep: those of full NAT, and those of NAT that need state.
  uint32_t nat_sessions = 65536;
  // Connections with timestamps to VIPs with consistency stateful that each worker can keep.
  uint32_t connections_stateful = 65536;
  friend bool operator==(const TablesConfig&, const TablesConfig&) = default;
};

// Of VIPs that do not say otherwise.
struct TimeoutsConfig {
  uint32_t tcp_syn_s = 30;  // only the client's SYN seen
  uint32_t tcp_established_s = 7200;
  uint32_t tcp_closing_s = 30;  // after a FIN of the client
  uint32_t tcp_reset_s = 5;     // after an RST of the client
  uint32_t udp_s = 60;
  friend bool operator==(const TimeoutsConfig&, const TimeoutsConfig&) = default;
};

// Where tunnels come from, by family. Unset: the port's own address. The host bits of the source then vary by flow.
struct TunnelsConfig {
  std::optional<net::IpPrefix> source_v4;
  std::optional<net::IpPrefix> source_v6;
  friend bool operator==(const TunnelsConfig&, const TunnelsConfig&) = default;
};

// What full NAT sends from.
struct NatConfig {
  // Of this host, for nothing else than full NAT if possible; sluiced sets them on an exception port.
  std::vector<net::IpAddress> local_addresses;
  PortRange local_ports = {1024, 65535};  // of each address; workers share them out
  friend bool operator==(const NatConfig&, const NatConfig&) = default;
};

// Fragmented packets, of each worker.
struct FragmentsConfig {
  uint32_t packets = 4096;  // that are followed at once
  uint32_t held = 256;      // fragments that wait for the first one of their packet
  uint32_t timeout_s = 2;   // the longest that they wait
  friend bool operator==(const FragmentsConfig&, const FragmentsConfig&) = default;
};

struct PuntConfig {
  // TCP and UDP ports of the host that are served before the rest (after ARP, ND, BGP, BFD).
  std::vector<uint16_t> management_ports = {22};
  // Packets per second that the host's kernel is given of the lowest class.
  uint32_t rate_limit_pps = 10000;
  friend bool operator==(const PuntConfig&, const PuntConfig&) = default;
};

// What a client of the API may do: look; also drain, weigh, add and remove backends and change VIPs; everything.
enum class Role : uint8_t { kViewer, kOperator, kAdmin };

// The role of the clients whose certificate has this name (a subject alternative name or the common name).
struct ApiRoleConfig {
  std::string name;
  Role role = Role::kViewer;
  // Operators only: the VIPs that they may change, and whose pools; empty: all.
  std::vector<std::string> vips;
  friend bool operator==(const ApiRoleConfig&, const ApiRoleConfig&) = default;
};

// Where the API listens for clients on other machines, beside `listen`.
struct ApiTcpConfig {
  std::string listen;  // "host:port"; empty: nowhere
  // PEM files, read anew when they change: the server's chain and key, and who signs clients.
  std::string certificate;
  std::string key;
  std::string client_ca;
  // Without TLS, and so without knowing who asks: everybody who reaches it may do everything.
  bool insecure = false;
  friend bool operator==(const ApiTcpConfig&, const ApiTcpConfig&) = default;
};

struct ApiConfig {
  // "unix:/path" or "host:port" of the loopback interface.
  std::string listen = "unix:/run/sluice/sluiced.sock";
  ApiTcpConfig tcp = {};
  std::vector<ApiRoleConfig> roles = {};
  // A file that gets one line of JSON for each change, refused ones too; empty: only the log has them.
  std::string audit_log = "";
  friend bool operator==(const ApiConfig&, const ApiConfig&) = default;
};

struct MetricsConfig {
  bool enabled = true;
  std::string listen = "127.0.0.1:9105";
  friend bool operator==(const MetricsConfig&, const MetricsConfig&) = default;
};

// What changes the services: the file; the API, which keeps them in state_directory; or both, keeping nothing.
enum class Management : uint8_t { kFile, kApi, kMixed };

struct NodeConfig {
  std::string name = "sluice";
  // What cookies name this director by, where tier-1 directors send to it.
  std::optional<uint32_t> tier_id = std::nullopt;
  Management management = Management::kFile;
  std::string state_directory = "/var/lib/sluice";  // of kApi
  std::vector<PortConfig> ports;
  WorkersConfig workers;
  MemoryConfig memory;
  TablesConfig tables;
  TimeoutsConfig timeouts;
  TunnelsConfig tunnels;
  NatConfig nat;
  FragmentsConfig fragments;
  // Packets that each worker answers itself (ICMP) in a second; 0: none.
  uint32_t answers_per_s = 1000;
  // Copies that each worker sends in a second of packets that say nothing of their backend (COOKIES.md); 0: none.
  uint32_t copies_per_s = 4000;
  PuntConfig punt;
  HealthConfig health;
  ApiConfig api;
  MetricsConfig metrics;
  friend bool operator==(const NodeConfig&, const NodeConfig&) = default;
};

// ---- The service part: the desired state, the same on every director of a cluster. ----

enum class ForwardingMode : uint8_t { kL2, kIpip, kGue, kGueDirect, kGre, kNat, kFullNat };
// What the choice of a backend depends on: each connection by itself, the client's address and port, or its address.
enum class HashInput : uint8_t { kTuple, kClientPort, kClient };
// kUnsafe: of those that a change of backends could move.
enum class ConnectionTracking : uint8_t { kFull, kUnsafe, kOff };
// What cookies in TCP timestamps say (dataplane/lb/COOKIES.md).
enum class Cookies : uint8_t {
  kNone,     // there are none
  kBackend,  // which backend a connection has
  kSlot,     // where the director keeps what it knows of a connection
};
enum class Protocol : uint8_t { kTcp = 6, kUdp = 17 };
// Whether a header with the client's address goes before its data.
enum class ProxyProtocol : uint8_t { kNone, kV2 };

inline constexpr uint32_t kMaxWeight = 1000;

struct BackendConfig {
  std::string name;  // unique in its pool; the hash input of the Maglev table
  net::IpAddress address;
  uint32_t weight = 100;  // 0 to kMaxWeight; 0: no new flows
  // Set: the file's word on draining wins over what an operator asked for. Unset: the operator's drain stays.
  std::optional<bool> drain;
  // Where it expects packets of VIPs with NAT, which must have a single port then. Unset: the VIP's port.
  std::optional<uint16_t> port = std::nullopt;
  // What cookies name it by, the same on all directors. Unset: the API allocates one where a VIP needs it; a file must
  // state it.
  std::optional<uint16_t> cookie_id = std::nullopt;
  // What connection ids of QUIC name it by, each 2 to 30 hexadecimal digits: one for each length that there is a
  // configuration of.
  std::vector<std::string> quic_server_ids = {};
  friend bool operator==(const BackendConfig&, const BackendConfig&) = default;
};

struct PoolConfig {
  std::string name;
  uint32_t table_size = 65537;  // prime
  std::vector<BackendConfig> backends;
  PoolPolicy policy = {};                                        // its fields are the pool's own in the file
  std::optional<HealthCheckConfig> health_check = std::nullopt;  // unset: its backends are not checked
  friend bool operator==(const PoolConfig&, const PoolConfig&) = default;
};

// What a VIP says of timeouts. Unset: the node's word (TimeoutsConfig).
struct VipTimeoutsConfig {
  std::optional<uint32_t> tcp_syn_s;
  std::optional<uint32_t> tcp_established_s;
  std::optional<uint32_t> tcp_closing_s;
  std::optional<uint32_t> tcp_reset_s;
  std::optional<uint32_t> udp_s;
  friend bool operator==(const VipTimeoutsConfig&, const VipTimeoutsConfig&) = default;
};

inline constexpr uint16_t kDefaultGuePort = 6080;  // IANA's for GUE

// How servers put their ids into connection ids of QUIC (dataplane/lb/quic_lb.h), under the number by which ids name
// it.
struct QuicConfig {
  uint32_t number = 0;
  uint32_t server_id_bytes = 0;
  uint32_t nonce_bytes = 0;
  bool encrypted = false;
  // Where it is encrypted: 32 hexadecimal digits, never shown. Empty: that of this number stays in force.
  std::string secret = "";
  friend bool operator==(const QuicConfig&, const QuicConfig&) = default;
};

struct VipConfig {
  std::string name;
  net::IpPrefix prefix;  // `address` in the file; of full length: one address
  Protocol protocol = Protocol::kTcp;
  PortRange ports;  // `port` in the file
  std::string pool;
  ForwardingMode mode = ForwardingMode::kL2;
  // UDP port that backends expect GUE on; only with the modes of GUE. Unset: kDefaultGuePort.
  std::optional<uint16_t> gue_port;
  HashInput hash = HashInput::kTuple;
  // Of connections without a cookie, where there are cookies.
  ConnectionTracking tracking = ConnectionTracking::kFull;
  Cookies cookies = Cookies::kNone;
  std::optional<CookieConfig> cookie = std::nullopt;  // only with kBackend; unset: as CookieConfig says
  bool second_chance = false;                         // kGue over TCP: packets name a second backend
  bool quic = false;                                  // UDP only: packets go by the server id in their connection ids
  bool answer_echo = true;
  ProxyProtocol proxy_protocol = ProxyProtocol::kNone;  // full NAT over TCP only
  bool clamp_mss = true;                                // the MSS in SYNs is lowered to what fits on the way
  VipTimeoutsConfig timeouts;
  friend bool operator==(const VipConfig&, const VipConfig&) = default;
};

struct ServiceConfig {
  // 32 hexadecimal digits: keys every hash that directors must agree on.
  std::string seed;
  std::vector<PoolConfig> pools;
  std::vector<VipConfig> vips;
  std::vector<CookieKeyConfig> cookie_keys = {};  // empty: those in force stay
  // For how long the cookie id of a backend that is gone is given to no other.
  uint32_t cookie_quarantine_s = 24 * 3600;
  std::vector<QuicConfig> quic_configs = {};  // empty: those in force stay
  friend bool operator==(const ServiceConfig&, const ServiceConfig&) = default;
};

struct Config {
  NodeConfig node;
  ServiceConfig services;
  friend bool operator==(const Config&, const Config&) = default;
};

// ---- The words of the file, which the API's texts and the metrics use as well. ----

constexpr bool IsGue(ForwardingMode mode) { return mode == ForwardingMode::kGue || mode == ForwardingMode::kGueDirect; }

constexpr bool IsNat(ForwardingMode mode) { return mode == ForwardingMode::kNat || mode == ForwardingMode::kFullNat; }

constexpr std::string_view ModeName(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kL2:
      return "l2";
    case ForwardingMode::kIpip:
      return "ipip";
    case ForwardingMode::kGue:
      return "gue";
    case ForwardingMode::kGueDirect:
      return "gue-direct";
    case ForwardingMode::kGre:
      return "gre";
    case ForwardingMode::kNat:
      return "nat";
    case ForwardingMode::kFullNat:
      return "full-nat";
  }
  return "unknown";
}

constexpr std::string_view HashInputName(HashInput hash) {
  switch (hash) {
    case HashInput::kTuple:
      return "tuple";
    case HashInput::kClientPort:
      return "client-port";
    case HashInput::kClient:
      return "client";
  }
  return "unknown";
}

constexpr std::string_view TrackingName(ConnectionTracking tracking) {
  if (tracking == ConnectionTracking::kUnsafe) return "unsafe";
  return tracking == ConnectionTracking::kFull ? "full" : "off";
}

// The words for `consistency`, which says both of them: what becomes of a connection when backends or directors change.
enum class Consistency : uint8_t { kHash, kTrack, kTrackUnsafe, kCookie, kStateful };

constexpr std::string_view ConsistencyName(Consistency consistency) {
  switch (consistency) {
    case Consistency::kHash:
      return "hash";
    case Consistency::kTrack:
      return "track";
    case Consistency::kTrackUnsafe:
      return "track_unsafe";
    case Consistency::kCookie:
      return "cookie";
    case Consistency::kStateful:
      return "stateful";
  }
  return "unknown";
}

constexpr Consistency ConsistencyOf(const VipConfig& vip) {
  if (vip.cookies == Cookies::kSlot) return Consistency::kStateful;
  if (vip.cookies == Cookies::kBackend) return Consistency::kCookie;
  if (vip.tracking == ConnectionTracking::kUnsafe) return Consistency::kTrackUnsafe;
  return vip.tracking == ConnectionTracking::kOff ? Consistency::kHash : Consistency::kTrack;
}

// Puts the word into the VIP's two settings. False: `tracking_given` says that it has a word about tracking of its own,
// and the two contradict each other. Cookies leave tracking to the connections that have none.
constexpr bool SetConsistency(Consistency consistency, bool tracking_given, VipConfig* vip) {
  if (consistency == Consistency::kCookie || consistency == Consistency::kStateful) {
    vip->cookies = consistency == Consistency::kCookie ? Cookies::kBackend : Cookies::kSlot;
    return true;
  }
  vip->cookies = Cookies::kNone;
  if (tracking_given) return ConsistencyOf(*vip) == consistency;
  vip->tracking = consistency == Consistency::kHash          ? ConnectionTracking::kOff
                  : consistency == Consistency::kTrackUnsafe ? ConnectionTracking::kUnsafe
                                                             : ConnectionTracking::kFull;
  return true;
}

constexpr std::string_view ProxyProtocolName(ProxyProtocol proxy) {
  return proxy == ProxyProtocol::kV2 ? "v2" : "none";
}

constexpr std::string_view ManagementName(Management management) {
  switch (management) {
    case Management::kFile:
      return "file";
    case Management::kApi:
      return "api";
    case Management::kMixed:
      return "mixed";
  }
  return "unknown";
}

constexpr std::string_view RoleName(Role role) {
  switch (role) {
    case Role::kViewer:
      return "viewer";
    case Role::kOperator:
      return "operator";
    case Role::kAdmin:
      return "admin";
  }
  return "unknown";
}

constexpr std::string_view ProtocolName(Protocol protocol) { return protocol == Protocol::kTcp ? "tcp" : "udp"; }

// "203.0.113.10", "203.0.113.0/24"
inline std::string AddressText(const net::IpPrefix& prefix) {
  return prefix.length == prefix.address.bits() ? prefix.address.ToString() : prefix.ToString();
}

// "192.0.2.11", and with a port "192.0.2.11:8080" or "[2001:db8::11]:8080"
inline std::string AddressText(const BackendConfig& backend) {
  const std::string address = backend.address.ToString();
  if (!backend.port) return address;
  return (backend.address.is_v4() ? address : "[" + address + "]") + ":" + std::to_string(*backend.port);
}

// "80", "8000-8999", "all"
inline std::string PortsText(const PortRange& ports) {
  if (ports.is_all()) return "all";
  if (ports.is_single()) return std::to_string(ports.first);
  return std::to_string(ports.first) + "-" + std::to_string(ports.last);
}

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_SCHEMA_H_
