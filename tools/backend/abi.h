#ifndef SLUICE_TOOLS_BACKEND_ABI_H_
#define SLUICE_TOOLS_BACKEND_ABI_H_

// What the eBPF programs and the loader share: keys and values of the maps, counters, and the wire formats of the
// tunnels. Both C (the programs) and C++ (the loader) read it. The wire formats repeat dataplane/net/headers.h, which C
// cannot read; abi_check.cc asserts that they are equal.

#include <linux/types.h>

// ---- Tunnels

enum TunnelKind {
  kTunnelIpip,
  kTunnelGue,        // variant 0: UDP, then a header of four bytes
  kTunnelGueDirect,  // variant 1: UDP, then the packet at once
  kTunnelGre,
  kTunnelKinds,
};

struct GueWire {
  __u8 variant_control_length;  // variant 2 bits, control flag 1 bit, header length 5 bits in units of 4 bytes
  __u8 protocol;
  __be16 flags;
};

struct GreWire {
  __be16 flags_version;
  __be16 protocol;
};

// GUE's private data, in which a director names the backend that had the flow before, or may have it
// (dataplane/lb/COOKIES.md). Behind it that backend's address, of the outer header's family.
struct SecondChanceWire {
  __u8 version;  // SLUICE_BACKEND_SECOND_CHANCE_VERSION
  __u8 state;    // SecondChanceState
  __be16 zero;
};

#define SLUICE_BACKEND_SECOND_CHANCE_VERSION 1

enum SecondChanceState {
  kChanceIsNamed,  // as the director sends it
  kChanceIsTaken,  // as the backend sends it on, that did not have the connection
};

// ---- Maps. Addresses are 16 bytes; IPv4 ones are mapped (::ffff:0:0/96), so that one table holds both families.

struct AddressKey {
  __u8 bytes[16];
};

// Key of the longest-prefix tables; `length` counts from the start of the 16 bytes, 96 + n for an IPv4 prefix.
struct PrefixKey {
  __u32 length;
  struct AddressKey address;
};

// One for each VIP prefix.
struct VipValue {
  // The most bytes that a tunnel of this VIP took off so far, which is what a client's segment must leave room for; 0
  // before the first tunnelled packet, that is before there is a SYN-ACK. Written by the program.
  __u32 overhead_bytes;
};

// How the program tells the kernel that the packet inside is of the other address family.
enum FamilyChange {
  kFamilyChangeByFlag,      // Linux 6.3 and later: BPF_F_ADJ_ROOM_DECAP_L3_*
  kFamilyChangeByRedirect,  // before: the packet enters the interface once more
};

// The only element of the map `settings`.
struct Settings {
  __u32 tunnel_kinds;  // bit set over TunnelKind
  __be16 gue_port;
  __u8 family_change;  // FamilyChange
  __u8 cookies;        // whether there are rules for any
  __u32 link_mtu;      // of the path from directors to this host; 0: leave the MSS alone
  __u8 second_chance;  // whether there are peers: other backends that packets may be sent on to
  __u8 zero[3];
};

// ---- Cookies (dataplane/lb/cookie.h, COOKIES.md)

// Which connections carry a cookie: those of a VIP's address and port; port 0 stands for all ports.
struct CookieRuleKey {
  struct AddressKey vip;
  __be16 port;
  __u16 zero;
};

struct CookieRule {
  __u32 plain;         // what is permuted: tier, backend, check bits
  __u32 polynomial;    // of the permutation's field, without its highest term
  __u8 bits;           // k
  __u8 permuted_bits;  // w
  __u8 clock_bits;     // s
  __u8 key_number;     // of new connections
  // The director chooses the cookie and tells it in the SYN's TSecr; the fields above that make one have no meaning.
  __u8 by_director;
  // Where in `plain` the tier-2 id is, which the director may tell in the SYN's TSecr.
  __u8 tier_shift;
  __u8 tier_bits;
  __u8 zero;
};

// The uppermost byte of such a TSecr (lb::kSynEchoMark, lb::kSynTierMark).
#define SLUICE_BACKEND_SYN_ECHO_MARK 0x5c
#define SLUICE_BACKEND_SYN_TIER_MARK 0x5d
#define SLUICE_BACKEND_SYN_ECHO_SHIFT 24

#define SLUICE_BACKEND_COOKIE_KEYS 8
#define SLUICE_BACKEND_SCHEDULE_BYTES 176

// The schedules of a key's two AES keys.
struct CookieSchedule {
  __u8 v4[SLUICE_BACKEND_SCHEDULE_BYTES];
  __u8 v6[SLUICE_BACKEND_SCHEDULE_BYTES];
};

struct AesSubstitution {
  __u8 byte[256];
};

struct CookieFlowKey {
  struct AddressKey client;
  struct AddressKey vip;
  __be16 client_port;
  __be16 vip_port;
};

#define SLUICE_BACKEND_REMEMBERED_TICKS 8

// One connection: its cookie, and what is needed to give the kernel its own timestamps back.
struct CookieFlow {
  __u32 cookie;
  __u32 latest;  // the timestamp that the kernel sent last
  // The first one of each of the latest ticks in which it sent any; `next` is the oldest.
  __u32 first_of_tick[SLUICE_BACKEND_REMEMBERED_TICKS];
  __u32 next;
  __u8 bits;
  __u8 clock_bits;
  __u16 syn;  // where a SYN brought the cookie: both halves of its sequence number in one
};

// ---- Counters: symbol, name in `sluice-backend status`, help. One element of the map `counters` each.

// Order: packets and bytes of each TunnelKind come first, so that a kind is an index.
#define SLUICE_BACKEND_COUNTERS(X)                                                                                     \
  X(kIpipPackets, "ipip_packets", "packets taken out of IP in IP")                                                     \
  X(kIpipBytes, "ipip_bytes", "bytes of these without outer headers")                                                  \
  X(kGuePackets, "gue_packets", "packets taken out of GUE variant 0")                                                  \
  X(kGueBytes, "gue_bytes", "bytes of these without outer headers")                                                    \
  X(kGueDirectPackets, "gue_direct_packets", "packets taken out of GUE variant 1")                                     \
  X(kGueDirectBytes, "gue_direct_bytes", "bytes of these without outer headers")                                       \
  X(kGrePackets, "gre_packets", "packets taken out of GRE")                                                            \
  X(kGreBytes, "gre_bytes", "bytes of these without outer headers")                                                    \
  X(kAggregated, "aggregated", "of all these, packets that the NIC or kernel had put together from several (GRO)")     \
  X(kEcnMarked, "ecn_marked", "of all these, packets that met congestion inside the tunnel (RFC 6040)")                \
  X(kSynAcksClamped, "syn_acks_clamped", "SYN-ACKs of VIPs whose MSS was lowered to fit the tunnel")                   \
  X(kDropForeignSource, "drop_foreign_source", "dropped: the tunnel does not come from a configured director")         \
  X(kDropNotAVip, "drop_not_a_vip", "dropped: the packet inside is not for a VIP")                                     \
  X(kDropNested, "drop_nested", "dropped: there is another tunnel inside the tunnel")                                  \
  X(kDropOuterFragment, "drop_outer_fragment", "dropped: a fragment of a tunnel packet; directors send none")          \
  X(kDropOuterLength, "drop_outer_length", "dropped: the outer headers claim more bytes than there are")               \
  X(kDropInnerHeader, "drop_inner_header", "dropped: what is inside is no IP packet of the announced version")         \
  X(kDropInnerLength, "drop_inner_length", "dropped: the packet inside claims more bytes than the tunnel holds")       \
  X(kDropUnsupported, "drop_unsupported", "dropped: GUE control messages or flags, GRE flags, keys or other payloads") \
  X(kDropNotEct, "drop_not_ect", "dropped: congestion met by a packet whose sender does not speak ECN (RFC 6040)")     \
  X(kDropKernel, "drop_kernel", "dropped: the kernel could not take the headers off, such as for UDP put together")    \
  X(kSecondChanceGiven, "second_chance_given", "packets without a socket here, sent on to the backend they may be of") \
  X(kSecondChanceTaken, "second_chance_taken", "packets that another backend sent on to this one")                     \
  X(kSecondChanceRefused, "second_chance_refused", "of packets without a socket, those for whom no peer was named")    \
  X(kCookiesMade, "cookies_made", "connections that got a cookie")                                                     \
  X(kCookiesTaken, "cookies_taken", "SYNs in which a director told the cookie, or its own tier-2 id")                  \
  X(kCookieEchoes, "cookie_echoes", "packets of clients whose timestamp echo was put right for the kernel")            \
  X(kCookieForeign, "cookie_foreign", "packets of clients that echo what they were not sent; left as they are")

enum Counter {
#define SLUICE_BACKEND_ENUMERATOR(symbol, name, help) symbol,
  SLUICE_BACKEND_COUNTERS(SLUICE_BACKEND_ENUMERATOR)
#undef SLUICE_BACKEND_ENUMERATOR
      kCounters,
};

// ---- Names by which the loader finds what it attached

#define SLUICE_BACKEND_INGRESS "sluice_ingress"
#define SLUICE_BACKEND_EGRESS "sluice_egress"

#endif  // SLUICE_TOOLS_BACKEND_ABI_H_
