// XDP program of the lab's backends: takes the outer header off IPv4-in-IPv4 and IPv6-in-IPv6 packets, so that the
// inner one, addressed to the VIP, goes up the stack as if it had come alone. The Ethernet header is kept.
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

// Bytes of the outer header, or 0 when there is nothing to take off.
static __always_inline int OuterLength(const struct ethhdr* ethernet, const void* end) {
  const void* network = ethernet + 1;
  if (ethernet->h_proto == BE16(ETH_P_IP)) {
    const struct iphdr* outer = network;
    // The director writes no options; an outer header with options is not its own.
    if ((const void*)(outer + 1) > end || outer->ihl != 5 || outer->protocol != IPPROTO_IPIP) return 0;
    return sizeof(*outer);
  }
  if (ethernet->h_proto == BE16(ETH_P_IPV6)) {
    const struct ipv6hdr* outer = network;
    if ((const void*)(outer + 1) > end || outer->nexthdr != IPPROTO_IPV6) return 0;
    return sizeof(*outer);
  }
  return 0;
}

SECTION("xdp") int decap(struct xdp_md* context) {
  const void* data = (const void*)(long)context->data;
  const void* end = (const void*)(long)context->data_end;
  const struct ethhdr* ethernet = data;
  if ((const void*)(ethernet + 1) > end) return XDP_PASS;
  const int outer_length = OuterLength(ethernet, end);
  if (outer_length == 0) return XDP_PASS;

  const struct ethhdr saved = *ethernet;
  if (bpf_xdp_adjust_head(context, outer_length) != 0) return XDP_DROP;
  struct ethhdr* moved = (void*)(long)context->data;
  if ((const void*)(moved + 1) > (const void*)(long)context->data_end) return XDP_DROP;
  *moved = saved;
  return XDP_PASS;
}

char program_license[] SECTION("license") = "GPL";
