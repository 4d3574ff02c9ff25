// The agent's programs at the tc hooks (clsact) of a backend's interface. Other programs at the same hooks keep seeing
// every packet: the verdict is "go on" unless a packet is dropped.

#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include "tools/backend/bpf/clamp_mss.h"
#include "tools/backend/bpf/decapsulate.h"
#include "tools/backend/bpf/timestamps.h"

SEC("tc") int sluice_ingress(struct __sk_buff* skb) {
  const __u32 zero = 0;
  const struct Settings* s = bpf_map_lookup_elem(&settings, &zero);
  if (!s) return TC_ACT_UNSPEC;
  const int verdict = Decapsulate(skb, s);
  // A packet that enters once more is looked at then.
  if (verdict == TC_ACT_UNSPEC && s->cookies) RepairEcho(skb);
  return verdict;
}

SEC("tc") int sluice_egress(struct __sk_buff* skb) {
  const __u32 zero = 0;
  const struct Settings* s = bpf_map_lookup_elem(&settings, &zero);
  struct IpView ip;
  struct TcpView tcp;
  if (!s || !LoadIp(skb, ETH_HLEN, (__be16)skb->protocol, &ip) || !LoadTcp(skb, &ip, &tcp)) return TC_ACT_UNSPEC;
  ClampMss(skb, s, &ip, &tcp);
  if (s->cookies) PutCookie(skb, &ip, &tcp);
  return TC_ACT_UNSPEC;
}

// For the loader, which runs it on a packet of its own (IPv4 in IPv6) before it attaches the others: whether this
// kernel follows a change of the address family. 0: it does.
SEC("tc") int sluice_probe(struct __sk_buff* skb) {
  const __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET | ADJ_ROOM_DECAP_L3_IPV4;
  if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct ipv6hdr), BPF_ADJ_ROOM_MAC, flags) != 0) return 1;
  return skb->protocol == bpf_htons(ETH_P_IP) ? 0 : 2;
}

// adjust_room and the checksum helpers are for programs under the GPL.
char program_license[] SEC("license") = "GPL";
