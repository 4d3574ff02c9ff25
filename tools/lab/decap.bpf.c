// XDP program of the lab's backends: takes the director's outer headers off (IP in IP, GUE of both variants, GRE; IPv4
// and IPv6 in any mix), so that the inner packet, addressed to the VIP, goes up the stack as if it had come alone. The
// Ethernet header is kept.
//
// Compiled on its own, without libbpf's headers: two helpers are all it needs.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#define SECTION(name) __attribute__((section(name), used))

static long (*bpf_xdp_adjust_head)(struct xdp_md* context, int delta) = (void*)BPF_FUNC_xdp_adjust_head;

// Network byte order of a constant on a little-endian machine.
#define BE16(x) ((__u16)(((x) >> 8) | (((x)&0xff) << 8)))

#define GUE_PORT 6080

// What of a packet is to be taken off, in bytes (0: nothing), and the EtherType of what is then left.
struct outer {
  int length;
  __u16 inner;
};

// By the first byte of an IP packet.
static __always_inline __u16 InnerByVersion(const __u8* ip, const void* end) {
  if ((const void*)(ip + 1) > end) return 0;
  if (*ip >> 4 == 4) return BE16(ETH_P_IP);
  return *ip >> 4 == 6 ? BE16(ETH_P_IPV6) : 0;
}

// What follows an outer IP header of `ip_length` bytes that ends at `next`.
static __always_inline struct outer Shim(__u8 protocol, const __u8* next, int ip_length, const void* end) {
  const struct outer none = {0, 0};
  struct outer found = {ip_length, 0};
  if (protocol == IPPROTO_IPIP) {
    found.inner = BE16(ETH_P_IP);
    return found;
  }
  if (protocol == IPPROTO_IPV6) {
    found.inner = BE16(ETH_P_IPV6);
    return found;
  }
  if (protocol == IPPROTO_GRE) {
    // No checksum, key or sequence number: the director writes none.
    if ((const void*)(next + 4) > end || next[0] != 0 || next[1] != 0) return none;
    found.length += 4;
    found.inner = *(const __u16*)(next + 2);
    return found;
  }
  if (protocol != IPPROTO_UDP || (const void*)(next + 9) > end) return none;
  if (*(const __u16*)(next + 2) != BE16(GUE_PORT)) return none;
  // Variant 1 is an IP packet at once; variant 0 has four bytes first, of which the first is zero.
  if (next[8] != 0) {
    found.length += 8;
    found.inner = InnerByVersion(next + 8, end);
  } else {
    found.length += 12;
    found.inner = InnerByVersion(next + 12, end);
  }
  return found.inner == 0 ? none : found;
}

static __always_inline struct outer FindOuter(const struct ethhdr* ethernet, const void* end) {
  const struct outer none = {0, 0};
  if (ethernet->h_proto == BE16(ETH_P_IP)) {
    const struct iphdr* ip = (const void*)(ethernet + 1);
    // The director writes no options; an outer header with options is not its own.
    if ((const void*)(ip + 1) > end || ip->ihl != 5) return none;
    return Shim(ip->protocol, (const void*)(ip + 1), sizeof(*ip), end);
  }
  if (ethernet->h_proto == BE16(ETH_P_IPV6)) {
    const struct ipv6hdr* ip = (const void*)(ethernet + 1);
    if ((const void*)(ip + 1) > end) return none;
    return Shim(ip->nexthdr, (const void*)(ip + 1), sizeof(*ip), end);
  }
  return none;
}

SECTION("xdp") int decap(struct xdp_md* context) {
  const void* data = (const void*)(long)context->data;
  const void* end = (const void*)(long)context->data_end;
  const struct ethhdr* ethernet = data;
  if ((const void*)(ethernet + 1) > end) return XDP_PASS;
  const struct outer outer = FindOuter(ethernet, end);
  if (outer.length == 0) return XDP_PASS;

  struct ethhdr saved = *ethernet;
  saved.h_proto = outer.inner;
  if (bpf_xdp_adjust_head(context, outer.length) != 0) return XDP_DROP;
  struct ethhdr* moved = (void*)(long)context->data;
  if ((const void*)(moved + 1) > (const void*)(long)context->data_end) return XDP_DROP;
  *moved = saved;
  return XDP_PASS;
}

char program_license[] SECTION("license") = "GPL";
