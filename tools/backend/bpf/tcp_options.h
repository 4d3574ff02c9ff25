#ifndef SLUICE_TOOLS_BACKEND_BPF_TCP_OPTIONS_H_
#define SLUICE_TOOLS_BACKEND_BPF_TCP_OPTIONS_H_

#include "tools/backend/bpf/packet.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_TIMESTAMPS 8
#define TCP_MSS_BYTES 4
#define TCP_TIMESTAMPS_BYTES 10
#define TCP_OPTIONS_MAX 40
#define TCP_OPTION_LEAST 2

// A TCP header found in a packet.
struct TcpView {
  __u32 at;  // offset of the TCP header
  struct tcphdr header;
};

// False when the packet is no TCP segment with a whole header, or a fragment.
static __always_inline bool LoadTcp(struct __sk_buff* skb, const struct IpView* ip, struct TcpView* tcp) {
  if (ip->protocol != IPPROTO_TCP || ip->fragment) return false;
  tcp->at = ETH_HLEN + ip->header_bytes;
  return Load(skb, tcp->at, &tcp->header, sizeof(tcp->header)) && tcp->header.doff >= 5;
}

// Looks among `size` bytes of options for the one of this kind and length: its offset among them, or -1.
static __always_inline int FindAmong(const __u8* options, __u32 size, __u8 kind, __u8 length) {
  __u32 at = 0;
  for (int i = 0; i < TCP_OPTIONS_MAX; ++i) {
    if (at + length > size || at > TCP_OPTIONS_MAX - TCP_OPTION_LEAST) return -1;
    const __u8 found = options[at];
    if (found == TCP_OPTION_END) return -1;
    if (found == TCP_OPTION_NOP) {
      ++at;
      continue;
    }
    const __u8 found_length = options[at + 1];
    if (found == kind) return found_length == length ? (int)at : -1;
    if (found_length < TCP_OPTION_LEAST) return -1;
    at += found_length;
  }
  return -1;
}

// The offset in the packet of the option of this kind and length, for a TCP header at `tcp_at` of `doff` words; 0 when
// the segment has none. Not static: the verifier then looks at it once by itself and not once for each way to its
// calls.
__noinline int OptionOffset(struct __sk_buff* skb, __u32 tcp_at, __u32 doff, __u32 kind, __u32 length) {
  __u8 options[TCP_OPTIONS_MAX] = {};
  __u32 size = doff * 4 - sizeof(struct tcphdr);
  // The verifier believes a bound only where it is tested, so the compiler must not see that the test is needless.
  asm volatile("" : "+r"(size));
  if (size > sizeof(options)) return 0;
  // Nor put it together with the other one, of which Linux 6.1 would learn nothing about `size` itself.
  asm volatile("" : "+r"(size));
  if (size < TCP_OPTION_LEAST) return 0;
  const __u32 options_at = tcp_at + sizeof(struct tcphdr);
  if (!Load(skb, options_at, options, size)) return 0;
  const int found = FindAmong(options, size, (__u8)kind, (__u8)length);
  return found < 0 ? 0 : (int)options_at + found;
}

static __always_inline __u32 FindOption(struct __sk_buff* skb, const struct TcpView* tcp, __u8 kind, __u8 length) {
  return (__u32)OptionOffset(skb, tcp->at, tcp->header.doff, kind, length);
}

// Whether the bytes at `at` lie in the other halves of the words that the TCP checksum adds up.
static __always_inline bool AtOddOffset(const struct TcpView* tcp, __u32 at) { return ((at - tcp->at) & 1) != 0; }

// Writes four bytes of the TCP header and mends the checksum; one that is left to the NIC is left alone by the helper.
static __always_inline bool Write32(struct __sk_buff* skb, const struct TcpView* tcp, __u32 at, __be32 old_value,
                                    __be32 new_value) {
  __u32 from = old_value;
  __u32 to = new_value;
  if (AtOddOffset(tcp, at)) {
    from = (from & 0x00ff00ff) << 8 | (from >> 8 & 0x00ff00ff);
    to = (to & 0x00ff00ff) << 8 | (to >> 8 & 0x00ff00ff);
  }
  return bpf_l4_csum_replace(skb, tcp->at + __builtin_offsetof(struct tcphdr, check), from, to, sizeof(to)) == 0 &&
         bpf_skb_store_bytes(skb, at, &new_value, sizeof(new_value), 0) == 0;
}

// The same for two bytes.
static __always_inline bool Write16(struct __sk_buff* skb, const struct TcpView* tcp, __u32 at, __be16 old_value,
                                    __be16 new_value) {
  const bool odd = AtOddOffset(tcp, at);
  const __u16 from = odd ? __builtin_bswap16(old_value) : old_value;
  const __u16 to = odd ? __builtin_bswap16(new_value) : new_value;
  return bpf_l4_csum_replace(skb, tcp->at + __builtin_offsetof(struct tcphdr, check), from, to, sizeof(to)) == 0 &&
         bpf_skb_store_bytes(skb, at, &new_value, sizeof(new_value), 0) == 0;
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_TCP_OPTIONS_H_
