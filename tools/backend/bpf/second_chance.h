#ifndef SLUICE_TOOLS_BACKEND_BPF_SECOND_CHANCE_H_
#define SLUICE_TOOLS_BACKEND_BPF_SECOND_CHANCE_H_

// Forwards, once, a packet of a connection that this host does not have to the backend that the director named beside
// it: GUE's private data says which (SecondChanceWire, dataplane/lb/COOKIES.md).

#include "tools/backend/bpf/tcp_options.h"

// Of the kernel's enum of TCP states, which is part of what it promises (BPF_TCP_LISTEN).
#define TCP_STATE_LISTEN 10

// Whether a socket of this host is the packet's: a connection's in any state, a half-open one's, or, for an ACK that
// carries a SYN cookie, the listener's that sent it.
static __always_inline bool HasSocket(struct __sk_buff* skb, __u32 inner_at, __be16 inner_type,
                                      const struct tcphdr* tcp) {
  union {
    struct iphdr v4;
    struct ipv6hdr v6;
  } ip = {};
  struct bpf_sock_tuple tuple = {};
  struct bpf_sock* socket;
  const bool v4 = inner_type == bpf_htons(ETH_P_IP);
  if (v4) {
    if (!Load(skb, inner_at, &ip.v4, sizeof(ip.v4))) return true;
    tuple.ipv4.saddr = ip.v4.saddr;
    tuple.ipv4.daddr = ip.v4.daddr;
    tuple.ipv4.sport = tcp->source;
    tuple.ipv4.dport = tcp->dest;
    socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv4), BPF_F_CURRENT_NETNS, 0);
  } else {
    if (!Load(skb, inner_at, &ip.v6, sizeof(ip.v6))) return true;
    __builtin_memcpy(tuple.ipv6.saddr, &ip.v6.saddr, sizeof(tuple.ipv6.saddr));
    __builtin_memcpy(tuple.ipv6.daddr, &ip.v6.daddr, sizeof(tuple.ipv6.daddr));
    tuple.ipv6.sport = tcp->source;
    tuple.ipv6.dport = tcp->dest;
    socket = bpf_skc_lookup_tcp(skb, &tuple, sizeof(tuple.ipv6), BPF_F_CURRENT_NETNS, 0);
  }
  if (!socket) return false;
  bool own = socket->state != TCP_STATE_LISTEN;
  if (!own) {
    struct tcphdr header = *tcp;
    own = (v4 ? bpf_tcp_check_syncookie(socket, &ip.v4, sizeof(ip.v4), &header, sizeof(header))
              : bpf_tcp_check_syncookie(socket, &ip.v6, sizeof(ip.v6), &header, sizeof(header))) == 0;
  }
  bpf_sk_release(socket);
  return own;
}

// The tunnel's way on: from this host to `to`, and no further. False: the packet is damaged.
static __always_inline bool Redirect(struct __sk_buff* skb, const struct IpView* outer, const struct AddressKey* to) {
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
    struct AddressKey director = outer->source;
    struct AddressKey own = outer->destination;
    struct AddressKey next = *to;
    const __s64 difference = bpf_csum_diff((__be32*)&director, sizeof(director), (__be32*)&next, sizeof(next), 0);
    if (difference < 0 || bpf_l4_csum_replace(skb, check_at, 0, (__u64)difference, flags) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, saddr), &own, sizeof(own), 0) != 0 ||
        bpf_skb_store_bytes(skb, ETH_HLEN + __builtin_offsetof(struct ipv6hdr, daddr), &next, sizeof(next), 0) != 0) {
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
  struct IpView inner;
  if (!LoadIp(skb, ETH_HLEN, (__be16)skb->protocol, &outer)) return TC_ACT_UNSPEC;
  __u8 first;
  if (inner_at > 512 || !Load(skb, inner_at, &first, sizeof(first))) return TC_ACT_UNSPEC;
  const __be16 inner_type = first >> 4 == 4 ? bpf_htons(ETH_P_IP) : bpf_htons(ETH_P_IPV6);
  if (!LoadIp(skb, inner_at, inner_type, &inner) || inner.protocol != IPPROTO_TCP || inner.fragment) {
    return TC_ACT_UNSPEC;
  }
  struct tcphdr tcp;
  // A SYN begins a connection with whoever the director chose.
  if (!Load(skb, inner_at + inner.header_bytes, &tcp, sizeof(tcp)) || tcp.doff < 5 || tcp.syn) return TC_ACT_UNSPEC;
  if (HasSocket(skb, inner_at, inner_type, &tcp)) return TC_ACT_UNSPEC;

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
