#ifndef SLUICE_TOOLS_BACKEND_BPF_TIMESTAMPS_H_
#define SLUICE_TOOLS_BACKEND_BPF_TIMESTAMPS_H_

// Cookies in TCP timestamps (dataplane/lb/cookie_layout.h): put into TSval of what the server sends, taken out of TSecr
// of what the client sends, so that the kernel of neither end notices. Connections that began without the agent have no
// entry and stay as they are.

#include "tools/backend/bpf/make_cookie.h"
#include "tools/backend/bpf/tcp_options.h"

// Behind the option's kind and length.
#define TSVAL_OFFSET 2
#define TSECR_OFFSET 6

static __always_inline struct CookieFlow* FindCookieFlow(const struct CookieFlowKey* key) {
  struct CookieFlow* flow = bpf_map_lookup_elem(&established, key);
  return flow ? flow : bpf_map_lookup_elem(&half_open, key);
}

// The flow's cookie by this rule, but for `plain`; or NO_COOKIE.
static __always_inline int CookieFor(struct __sk_buff* skb, const struct CookieFlowKey* key,
                                     const struct CookieRule* rule, __u32 plain) {
  const __u32 zero = 0;
  struct CookieJob* job = bpf_map_lookup_elem(&cookie_job, &zero);
  if (!job) return NO_COOKIE;
  job->flow = *key;
  job->rule = *rule;
  job->rule.plain = plain;
  return MakeCookie(skb);
}

// A SYN-ACK: a new connection, or the same again.
static __always_inline struct CookieFlow* BeginCookieFlow(struct __sk_buff* skb, const struct CookieFlowKey* key,
                                                          const struct CookieRule* rule) {
  const int cookie = CookieFor(skb, key, rule, rule->plain);
  if (cookie == NO_COOKIE) return 0;
  // What is left of a handshake that never ended may be of another key or id.
  struct CookieFlow* again = bpf_map_lookup_elem(&half_open, key);
  if (again && again->cookie == (__u32)cookie && again->bits == rule->bits && again->clock_bits == rule->clock_bits) {
    return again;
  }
  struct CookieFlow fresh = {.cookie = (__u32)cookie, .bits = rule->bits, .clock_bits = rule->clock_bits};
  bpf_map_delete_elem(&established, key);
  if (bpf_map_update_elem(&half_open, key, &fresh, BPF_ANY) != 0) return 0;
  Count(kCookiesMade, 1);
  return bpf_map_lookup_elem(&half_open, key);
}

// Both halves of a SYN's sequence number in one, by which a connection is told from an earlier one of its addresses.
static __always_inline __u16 SynOf(__be32 sequence) { return (__u16)(sequence ^ sequence >> 16); }

// A SYN-ACK of a VIP where SYNs bring cookies: the connection that its SYN announced, if it did. What the addresses and
// ports were used for before is over; the connection itself is established already where a client's answer came and the
// kernel, which had no room for it, sends the SYN-ACK again.
static __always_inline struct CookieFlow* BeginAnnounced(const struct CookieFlowKey* key, const struct TcpView* tcp) {
  struct CookieFlow* flow = bpf_map_lookup_elem(&half_open, key);
  if (!flow) {
    flow = bpf_map_lookup_elem(&established, key);
    if (flow && flow->syn == SynOf(bpf_htonl(bpf_ntohl(tcp->header.ack_seq) - 1))) return flow;
    flow = 0;
  }
  bpf_map_delete_elem(&established, key);
  return flow;
}

// A SYN to such a VIP: the cookie is made with the id of the tier-2 director that sends it, or with the rule's own
// where none is told. A SYN that is sent again, maybe by way of another director, keeps the cookie that came first.
static __always_inline void TakeTier(struct __sk_buff* skb, const struct TcpView* tcp, const struct CookieFlowKey* key,
                                     const struct CookieRule* rule) {
  const __u32 option_at = FindOption(skb, tcp, TCP_OPTION_TIMESTAMPS, TCP_TIMESTAMPS_BYTES);
  __be32 old_value = 0;
  if (option_at == 0 || !Load(skb, option_at + TSECR_OFFSET, &old_value, sizeof(old_value))) return;
  const __u32 echo = bpf_ntohl(old_value);
  const bool told = echo >> SLUICE_BACKEND_SYN_ECHO_SHIFT == SLUICE_BACKEND_SYN_TIER_MARK;
  const __u16 syn = SynOf(tcp->header.seq);
  const struct CookieFlow* before = bpf_map_lookup_elem(&half_open, key);
  if (!before || before->syn != syn) {
    const __u32 ids = (1u << (rule->tier_bits & 31)) - 1;
    const __u32 shift = rule->tier_shift & 31;
    const __u32 plain = told ? (rule->plain & ~(ids << shift)) | (echo & ids) << shift : rule->plain;
    const int cookie = CookieFor(skb, key, rule, plain);
    if (cookie == NO_COOKIE) return;
    const struct CookieFlow fresh = {
        .cookie = (__u32)cookie, .bits = rule->bits, .clock_bits = rule->clock_bits, .syn = syn};
    if (bpf_map_update_elem(&half_open, key, &fresh, BPF_ANY) == 0) Count(kCookiesMade, 1);
  }
  if (told && Write32(skb, tcp, option_at + TSECR_OFFSET, old_value, 0)) Count(kCookiesTaken, 1);
}

// A SYN to a VIP whose cookies the director chooses. A connection that lives stays as it is until the kernel accepts
// the SYN. One that is sent again keeps the cookie that came first, which the client may have got already.
static __always_inline void TakeCookie(struct __sk_buff* skb, const struct TcpView* tcp,
                                       const struct CookieFlowKey* key, const struct CookieRule* rule) {
  const __u32 option_at = FindOption(skb, tcp, TCP_OPTION_TIMESTAMPS, TCP_TIMESTAMPS_BYTES);
  __be32 old_value = 0;
  if (option_at != 0 && !Load(skb, option_at + TSECR_OFFSET, &old_value, sizeof(old_value))) return;
  const __u32 echo = bpf_ntohl(old_value);
  const bool told = option_at != 0 && echo >> SLUICE_BACKEND_SYN_ECHO_SHIFT == SLUICE_BACKEND_SYN_ECHO_MARK;
  const struct CookieFlow* before = bpf_map_lookup_elem(&half_open, key);
  const __u16 syn = SynOf(tcp->header.seq);
  const bool again = before && before->syn == syn;
  if (!told) {
    if (before && !again) bpf_map_delete_elem(&half_open, key);
    return;
  }
  if (!again) {
    const struct CookieFlow fresh = {.cookie = echo & ((1u << (rule->bits & 31)) - 1),
                                     .bits = rule->bits,
                                     .clock_bits = rule->clock_bits,
                                     .syn = syn};
    bpf_map_update_elem(&half_open, key, &fresh, BPF_ANY);
  }
  if (Write32(skb, tcp, option_at + TSECR_OFFSET, old_value, 0)) Count(kCookiesTaken, 1);
}

static __always_inline void Remember(struct CookieFlow* flow, __u32 timestamp) {
  const __u32 clock_bits = flow->clock_bits & 31;
  const __u32 last = flow->first_of_tick[(flow->next - 1) % SLUICE_BACKEND_REMEMBERED_TICKS];
  if (flow->next == 0 || last >> clock_bits != timestamp >> clock_bits) {
    flow->first_of_tick[flow->next % SLUICE_BACKEND_REMEMBERED_TICKS] = timestamp;
    // Never 0 again, which means that nothing was sent.
    flow->next = flow->next == 0xffffffff ? SLUICE_BACKEND_REMEMBERED_TICKS : flow->next + 1;
  }
  flow->latest = timestamp;
}

// The timestamp that the kernel sent, from what the client echoes: TickOf of cookie_layout.h, and the first one sent in
// that tick if it is remembered, else the tick's beginning. So the kernel's round-trip time is right to a tick and
// never too short, and exact where one timestamp was sent in the tick or a tick is a millisecond.
static __always_inline __u32 Restore(const struct CookieFlow* flow, __u32 wire) {
  const __u32 clock_bits = flow->clock_bits & 31;
  const __u32 bits = flow->bits & 31;
  const __u32 latest_tick = flow->latest >> clock_bits;
  const __u32 behind = (latest_tick - (wire >> bits)) << bits >> bits;
  const __u32 start = (latest_tick - behind) << clock_bits;
  __u32 restored = start;
#pragma unroll
  for (int i = 0; i < SLUICE_BACKEND_REMEMBERED_TICKS; ++i) {
    const __u32 first = flow->first_of_tick[i];
    if ((__u32)i < flow->next && first >> clock_bits == start >> clock_bits) restored = first;
  }
  return restored;
}

static __always_inline void PutCookie(struct __sk_buff* skb, const struct IpView* ip, const struct TcpView* tcp) {
  const struct CookieRule* rule = FindCookieRule(&ip->source, tcp->header.source);
  // With a SYN of its own the backend is the client of somebody.
  if (!rule || (tcp->header.syn && !tcp->header.ack)) return;
  const __u32 option_at = FindOption(skb, tcp, TCP_OPTION_TIMESTAMPS, TCP_TIMESTAMPS_BYTES);
  if (option_at == 0) return;
  const struct CookieFlowKey key = {
      .client = ip->destination, .vip = ip->source, .client_port = tcp->header.dest, .vip_port = tcp->header.source};
  struct CookieFlow* flow = 0;
  if (!tcp->header.syn) {
    flow = FindCookieFlow(&key);
  } else {
    // A tier-2 id came with the SYN too, unless the agent was not there yet.
    if (rule->by_director || rule->tier_bits) flow = BeginAnnounced(&key, tcp);
    if (!flow && !rule->by_director) flow = BeginCookieFlow(skb, &key, rule);
  }
  __be32 old_value;
  if (!flow || !Load(skb, option_at + TSVAL_OFFSET, &old_value, sizeof(old_value))) return;
  const __u32 timestamp = bpf_ntohl(old_value);
  Remember(flow, timestamp);
  const __u32 wire = (timestamp >> (flow->clock_bits & 31)) << (flow->bits & 31) | flow->cookie;
  Write32(skb, tcp, option_at + TSVAL_OFFSET, old_value, bpf_htonl(wire));
}

// For a packet that goes up the stack, out of a tunnel or not. Not static, for the verifier's sake.
__noinline int RepairEcho(struct __sk_buff* skb) {
  struct IpView ip;
  struct TcpView tcp;
  if (!LoadIp(skb, ETH_HLEN, (__be16)skb->protocol, &ip) || !LoadTcp(skb, &ip, &tcp)) return 0;
  const struct CookieRule* rule = FindCookieRule(&ip.destination, tcp.header.dest);
  if (!rule) return 0;
  const struct CookieFlowKey key = {
      .client = ip.source, .vip = ip.destination, .client_port = tcp.header.source, .vip_port = tcp.header.dest};
  if (!tcp.header.ack) {
    // A SYN echoes nothing.
    if (tcp.header.syn && rule->by_director) TakeCookie(skb, &tcp, &key, rule);
    if (tcp.header.syn && rule->tier_bits) TakeTier(skb, &tcp, &key, rule);
    return 0;
  }
  struct CookieFlow* flow = bpf_map_lookup_elem(&established, &key);
  const bool first_answer = !flow;
  if (first_answer) flow = bpf_map_lookup_elem(&half_open, &key);
  const __u32 option_at = flow ? FindOption(skb, &tcp, TCP_OPTION_TIMESTAMPS, TCP_TIMESTAMPS_BYTES) : 0;
  __be32 old_value;
  if (option_at == 0 || !Load(skb, option_at + TSECR_OFFSET, &old_value, sizeof(old_value))) return 0;
  const __u32 wire = bpf_ntohl(old_value);
  if ((wire & ((1u << (flow->bits & 31)) - 1)) != flow->cookie) {
    Count(kCookieForeign, 1);
    return 0;
  }
  const __u32 restored = Restore(flow, wire);
  if (first_answer) {
    struct CookieFlow moved = *flow;
    bpf_map_update_elem(&established, &key, &moved, BPF_ANY);
    bpf_map_delete_elem(&half_open, &key);
  }
  if (Write32(skb, &tcp, option_at + TSECR_OFFSET, old_value, bpf_htonl(restored))) Count(kCookieEchoes, 1);
  return 0;
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_TIMESTAMPS_H_
