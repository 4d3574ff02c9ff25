#ifndef SLUICE_TOOLS_BACKEND_BPF_SECOND_CHANCE_H_
#define SLUICE_TOOLS_BACKEND_BPF_SECOND_CHANCE_H_

// Forwards, once, a packet of a connection that this host does not have to the backend that the director named beside
// it: GUE's private data says which (SecondChanceWire, dataplane/lb/COOKIES.md).

#include "tools/backend/bpf/tcp_options.h"

// Of the kernel's enum of TCP states, which is part of what it promises (BPF_TCP_LISTEN).
#define TCP_STATE_LISTEN 10

// The IP header of the packet in the tunnel.
union InnerIp {
  struct iphdr v4;
  struct ipv6hdr v6;
};

// A whole TCP segment in a tunnel.
struct InnerSegment {
  union InnerIp ip;
  struct tcphdr tcp;
  bool v4;
};

// False: what is at `inner_at` is something else, of which no socket could be told.
static __always_inline bool LoadSegment(struct __sk_buff* skb, __u32 inner_at, struct InnerSegment* segment) {
  __u8 first;
  __u32 header_bytes = sizeof(segment->ip.v6);
  if (!Load(skb, inner_at, &first, sizeof(first))) return false;
  segment->v4 = first >> 4 == 4;
  if (segment->v4) {
    const struct iphdr* const ip = &segment->ip.v4;
    if (!Load(skb, inner_at, &segment->ip.v4, sizeof(*ip)) || ip->protocol != IPPROTO_TCP) return false;
    if ((bpf_ntohs(ip->frag_off) & IPV4_FRAGMENT_MASK) != 0) return false;
    header_bytes = (__u32)ip->ihl * 4;
  } else if (!Load(skb, inner_at, &segment->ip.v6, sizeof(segment->ip.v6)) || segment->ip.v6.nexthdr != IPPROTO_TCP) {
    return false;
  }
  return Load(skb, inner_at + header_bytes, &segment->tcp, sizeof(segment->tcp)) && segment->tcp.doff >= 5;
}

// Whether a socket of this host is the segment's: a connection's in any state, a half-open one's, or, for an ACK that
// carries a SYN cookie, the listener's that sent it.
static __always_inline bool HasSocket(struct __sk_buff* skb, struct InnerSegment* segment) {
  const union InnerIp* const ip = &segment->ip;
  struct tcphdr* const tcp = &segment->tcp;
  struct bpf_sock_tuple tuple = {};
  struct bpf_sock* socket;
  if (segment->v4) {
    tuple.ipv4.saddr = ip->v4.saddr;
    tuple.ipv4.daddr = ip->v4.daddr;
    tuple.ipv4.sport = tcp->source;
    tuple.ipv4.dport = tcp->dest;
    socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, &ip->v6.saddr, sizeof(tuple.ipv6.saddr));
    __builtin_memcpy(tuple.ipv6.daddr, &ip->v6.daddr, sizeof(tuple.ipv6.daddr));
    tuple.ipv6.sport = tcp->source;
    tuple.ipv6.dport = tcp->dest;
    socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
  }
  if (!socket) return false;
  bool own = socket->state != TCP_STATE_LISTEN;
  if (!own) {
    own = (segment->v4 ? bpf_tcp_check_syncookie(socket, &segment->ip.v4, sizeof(ip->v4), tcp, sizeof(*tcp))
                       : bpf_tcp_check_syncookie(socket, &segment->ip.v6, sizeof(ip->v6), tcp, sizeof(*tcp))) == 0;
  }
  bpf_sk_release(socket);
  return own;
}

// The tunnel's way on: from this host to `to`, and no further. False: the packet is damaged.
static __always_inline bool Redirect(struct __sk_buff* skb, struct IpView* outer, struct AddressKey* to) {
  const __u32 udp_at = ETH_HLEN + outer->header_bytes;
  const __u32 check_at = udp_at + __builtin_offsetof(struct udphdr, check);
  const __u32 state_at = udp_at + sizeof(struct udphdr) + sizeof(struct GueWire);
  // A UDP checksum of zero stays zero. Of the addresses that it is over, the director's goes and `to` comes.
  const __u64 flags = BPF_F_PSEUDO_HDR | BPF_F_MARK_MANGLED_0;
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    __be32 director, own, next;
    __builtin_memcpy(&director, outer->source.bytes + 12, sizeof(director));
    __builtin_memcpy(&own, outer->destination.bytes + 12, sizeof(own));
    __builtin_memcpy(&next, to->bytes + 12, sizeof(next));
    const __u32 ip_check_at = ETH_HLEN + __builtin_offsetof(struct iphdr, check);
    if (bpf_l3_csum_replace(skb, ip_check_at, director, next, sizeof(next)) != 0 ||
        bpf_l4_csum_replace(skb, check_at, director, next, flags | sizeof(next)) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, saddr), &own, sizeof(own), 0) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct iphdr, daddr), &next, sizeof(next), 0) != 0) {
      return false;
    }
  } else {
    struct AddressKey* const director = &outer->source;
    const struct AddressKey* const own = &outer->destination;
    const __s64 difference = bpf_csum_diff((__be32*)director, sizeof(*director), (__be32*)to, sizeof(*to), 0);
    if (difference < 0 || bpf_l4_csum_replace(skb, check_at, 0, (__u64)difference, flags) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr), own, sizeof(*own), 0) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, daddr), to, sizeof(*to), 0) != 0) {
      return false;
    }
  }
  const struct {
    __u8 version;
    __u8 state;
  } before = {SLUICE_BACKEND_SECOND_CHANCE_VERSION, kChanceIsNamed},
    after = {SLUICE_BACKEND_SECOND_CHANCE_VERSION, kChanceIsTaken};
  __be16 from, into;
  __builtin_memcpy(&from, &before, sizeof(from));
  __builtin_memcpy(&into, &after, sizeof(into));
  return bpf_l4_csum_replace(skb, check_at, from, into, BPF_F_MARK_MANGLED_0 | sizeof(into)) == 0 &&
         bpf_skb_store_bytes(skb, state_at, &after, sizeof(after), 0) == 0;
}

// The verdict for a packet that is to go on to the backend that was named; TC_ACT_UNSPEC: it is for this host. Not
// static, for the verifier's sake: what it needs it reads again.
__noinline int GiveSecondChance(struct __sk_buff* skb, __u32 inner_at) {
  struct IpView outer;
  struct InnerSegment segment = {};
  if (inner_at > 512 || !LoadIp(skb, ETH_HLEN, (__be16)skb->protocol, &outer)) return TC_ACT_UNSPEC;
  // A SYN begins a connection with whoever the director chose.
  if (!LoadSegment(skb, inner_at, &segment) || segment.tcp.syn || HasSocket(skb, &segment)) return TC_ACT_UNSPEC;

  struct PrefixKey named = {.length = 128};
  const __u32 address_at =
      ETH_HLEN + outer.header_bytes + sizeof(struct udphdr) + sizeof(struct GueWire) + sizeof(struct SecondChanceWire);
  if (skb->protocol == bpf_htons(ETH_P_IP)) {
    __be32 address;
    if (!Load(skb, address_at, &address, sizeof(address))) return TC_ACT_UNSPEC;
    MapIpv4(address, &named.address);
  } else if (!Load(skb, address_at, &named.address, sizeof(named.address))) {
    return TC_ACT_UNSPEC;
  }
  if (!bpf_map_lookup_elem(&peers, &named) || bpf_map_lookup_elem(&own_addresses, &named.address)) {
    Count(kSecondChanceRefused, 1);
    return TC_ACT_UNSPEC;
  }
  if (!Redirect(skb, &outer, &named.address)) {
    Count(kDropKernel, 1);
    return TC_ACT_SHOT;
  }
  Count(kSecondChanceGiven, 1);
  return (int)bpf_redirect_neigh(skb->ifindex, 0, 0, 0);
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_SECOND_CHANCE_H_
