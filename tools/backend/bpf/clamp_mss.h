#ifndef SLUICE_TOOLS_BACKEND_BPF_CLAMP_MSS_H_
#define SLUICE_TOOLS_BACKEND_BPF_CLAMP_MSS_H_

// Lowers the MSS that a VIP's SYN-ACK announces, so that the client's full segments still fit the link between director
// and backend with the tunnel's headers around them. With direct server return nobody but the backend sees the SYN-ACK.

#include "tools/backend/bpf/tcp_options.h"

// RFC 9293, section 3.7.1: what a peer without the option is taken for; no clamp goes below.
#define TCP_MSS_LEAST 536

static __always_inline void ClampMss(struct __sk_buff* skb, const struct Settings* s, const struct IpView* ip,
                                     const struct TcpView* tcp) {
  if (s->link_mtu == 0 || !tcp->header.syn || !tcp->header.ack) return;
  const struct VipValue* vip = FindVip(&ip->source);
  if (!vip || vip->overhead_bytes == 0) return;
  // The client's segments carry the inner header without IP options, which MSS does not count (RFC 6691).
  const __u32 inner_ip = skb->protocol == bpf_htons(ETH_P_IP) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
  const __u32 taken = vip->overhead_bytes + inner_ip + sizeof(struct tcphdr);
  const __u32 room = s->link_mtu > taken ? s->link_mtu - taken : 0;
  const __u16 mss = room > TCP_MSS_LEAST ? (__u16)room : TCP_MSS_LEAST;

  const __u32 option_at = FindOption(skb, tcp, TCP_OPTION_MSS, TCP_MSS_BYTES);
  __be16 old_value;
  if (option_at == 0 || !Load(skb, option_at + 2, &old_value, sizeof(old_value))) return;
  if (bpf_ntohs(old_value) > mss && Write16(skb, tcp, option_at + 2, old_value, bpf_htons(mss))) {
    Count(kSynAcksClamped, 1);
  }
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_CLAMP_MSS_H_
