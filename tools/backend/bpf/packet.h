#ifndef SLUICE_TOOLS_BACKEND_BPF_PACKET_H_
#define SLUICE_TOOLS_BACKEND_BPF_PACKET_H_

// Reading packets in eBPF: headers are copied to the stack by bounded helpers, so that they may lie in fragments of the
// socket buffer; what is not there is "not there", never read.

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <stdbool.h>

// After linux/bpf.h.
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "tools/backend/abi.h"
#include "tools/backend/bpf/maps.h"

#define IPV4_FRAGMENT_MASK 0x3fff  // more fragments, or an offset

static __always_inline bool Load(struct __sk_buff* skb, __u32 offset, void* to, __u32 size) {
  return bpf_skb_load_bytes(skb, offset, to, size) == 0;
}

static __always_inline void Count(__u32 counter, __u64 amount) {
  __u64* value = bpf_map_lookup_elem(&counters, &counter);
  if (value) *value += amount;
}

static __always_inline void MapIpv4(__be32 address, struct AddressKey* key) {
  __builtin_memset(key, 0, sizeof(*key));
  key->bytes[10] = 0xff;
  key->bytes[11] = 0xff;
  __builtin_memcpy(key->bytes + 12, &address, sizeof(address));
}

// An IP header of either family, as far as the programs care.
struct IpView {
  struct AddressKey source;
  struct AddressKey destination;
  __u32 header_bytes;
  __u32 total_bytes;  // with the header, as the header claims
  __u8 protocol;      // IPv6: the next header, which may be an extension header
  __u8 traffic_class;
  bool fragment;  // IPv4 only: IPv6's is an extension header
};

// False when there is no complete header of this family at `offset`, or its fields contradict each other.
static __always_inline bool LoadIpv4(struct __sk_buff* skb, __u32 offset, struct IpView* view) {
  struct iphdr ip;
  if (!Load(skb, offset, &ip, sizeof(ip)) || ip.version != 4 || ip.ihl < 5) return false;
  view->header_bytes = (__u32)ip.ihl * 4;
  view->total_bytes = bpf_ntohs(ip.tot_len);
  view->protocol = ip.protocol;
  view->traffic_class = ip.tos;
  view->fragment = (bpf_ntohs(ip.frag_off) & IPV4_FRAGMENT_MASK) != 0;
  MapIpv4(ip.saddr, &view->source);
  MapIpv4(ip.daddr, &view->destination);
  return view->total_bytes >= view->header_bytes;
}

static __always_inline bool LoadIpv6(struct __sk_buff* skb, __u32 offset, struct IpView* view) {
  struct ipv6hdr ip;
  if (!Load(skb, offset, &ip, sizeof(ip)) || ip.version != 6) return false;
  view->header_bytes = sizeof(ip);
  view->total_bytes = sizeof(ip) + bpf_ntohs(ip.payload_len);
  view->protocol = ip.nexthdr;
  view->traffic_class = (__u8)(ip.priority << 4 | ip.flow_lbl[0] >> 4);
  view->fragment = false;
  __builtin_memcpy(&view->source, &ip.saddr, sizeof(view->source));
  __builtin_memcpy(&view->destination, &ip.daddr, sizeof(view->destination));
  return true;
}

static __always_inline bool LoadIp(struct __sk_buff* skb, __u32 offset, __be16 ether_type, struct IpView* view) {
  if (ether_type == bpf_htons(ETH_P_IP)) return LoadIpv4(skb, offset, view);
  return ether_type == bpf_htons(ETH_P_IPV6) && LoadIpv6(skb, offset, view);
}

static __always_inline struct VipValue* FindVip(const struct AddressKey* address) {
  struct PrefixKey key = {.length = 128, .address = *address};
  return bpf_map_lookup_elem(&vips, &key);
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_PACKET_H_
