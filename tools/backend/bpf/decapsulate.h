#ifndef SLUICE_TOOLS_BACKEND_BPF_DECAPSULATE_H_
#define SLUICE_TOOLS_BACKEND_BPF_DECAPSULATE_H_

// Takes the director's outer headers off. Whatever is no tunnel of this agent (another protocol, another address,
// another UDP port, a kind that is not configured) is left alone. Whatever is one and is not as it should be is dropped
// and counted: nobody but the agent is to take these tunnels off.

#include "tools/backend/bpf/second_chance.h"

// Not in the headers of Linux 6.1.
#define ADJ_ROOM_DECAP_L3_IPV4 (1ULL << 7)
#define ADJ_ROOM_DECAP_L3_IPV6 (1ULL << 8)

#define ECN_MASK 3
#define ECN_NOT_ECT 0
#define ECN_CE 3

// A tunnel packet, measured.
struct Tunnel {
  __u32 kind;         // TunnelKind
  __u32 outer_bytes;  // from the outer IP header to the inner one
  __be16 inner_type;  // EtherType; 0: neither IPv4 nor IPv6
  __u8 has_second;    // it names another backend, as `second` says
  __u8 second;        // SecondChanceState
};

static __always_inline __be16 TypeOfProtocol(__u8 protocol) {
  if (protocol == IPPROTO_IPIP) return bpf_htons(ETH_P_IP);
  return protocol == IPPROTO_IPV6 ? bpf_htons(ETH_P_IPV6) : 0;
}

static __always_inline bool Enabled(const struct Settings* s, __u32 kind) { return (s->tunnel_kinds >> kind & 1) != 0; }

// What FindTunnel and MeasureTunnel say beside a counter of a drop.
enum { kNoTunnel = -1, kGood = -2 };

// Whether the packet is a tunnel packet of a configured kind by protocol and port. For GUE also its variant.
static __always_inline int FindKind(struct __sk_buff* skb, const struct Settings* s, const struct IpView* outer) {
  switch (outer->protocol) {
    case IPPROTO_IPIP:
    case IPPROTO_IPV6:
      return Enabled(s, kTunnelIpip) ? kTunnelIpip : kNoTunnel;
    case IPPROTO_GRE:
      return Enabled(s, kTunnelGre) ? kTunnelGre : kNoTunnel;
    case IPPROTO_UDP: {
      struct {
        struct udphdr udp;
        __u8 first;
        __u8 padding[3];
      } shim;
      // A fragment's ports may be in another fragment: it is left to whoever has the port.
      if (outer->fragment || !Load(skb, ETH_HLEN + outer->header_bytes, &shim, sizeof(struct udphdr) + 1)) {
        return kNoTunnel;
      }
      if (shim.udp.dest != s->gue_port) return kNoTunnel;
      const int kind = (shim.first >> 6) == 0 ? kTunnelGue : kTunnelGueDirect;
      return Enabled(s, kind) ? kind : kNoTunnel;
    }
    default:
      return kNoTunnel;
  }
}

// Fills in the lengths and the inner packet's type. A drop's counter, or kGood.
static __always_inline int MeasureTunnel(struct __sk_buff* skb, const struct IpView* outer, struct Tunnel* tunnel) {
  const __u32 shim_at = ETH_HLEN + outer->header_bytes;
  if (outer->fragment) return kDropOuterFragment;
  if (outer->total_bytes > skb->len - ETH_HLEN) return kDropOuterLength;
  const __u32 payload_bytes = outer->total_bytes - outer->header_bytes;
  if (tunnel->kind == kTunnelIpip) {
    tunnel->outer_bytes = outer->header_bytes;
    tunnel->inner_type = TypeOfProtocol(outer->protocol);
    return kGood;
  }
  if (tunnel->kind == kTunnelGre) {
    struct GreWire gre;
    if (payload_bytes < sizeof(gre) || !Load(skb, shim_at, &gre, sizeof(gre))) return kDropOuterLength;
    if (gre.flags_version != 0) return kDropUnsupported;
    if (gre.protocol != bpf_htons(ETH_P_IP) && gre.protocol != bpf_htons(ETH_P_IPV6)) return kDropUnsupported;
    tunnel->outer_bytes = outer->header_bytes + sizeof(gre);
    tunnel->inner_type = gre.protocol;
    return kGood;
  }
  struct {
    struct udphdr udp;
    struct GueWire gue;
  } shim;
  if (payload_bytes < sizeof(shim) || !Load(skb, shim_at, &shim, sizeof(shim))) return kDropOuterLength;
  if (bpf_ntohs(shim.udp.len) != payload_bytes) return kDropOuterLength;
  if (tunnel->kind == kTunnelGue) {
    tunnel->outer_bytes = outer->header_bytes + sizeof(shim);
    // Control messages, other private data and flags are not for this version.
    if (shim.gue.flags != 0) return kDropUnsupported;
    if (shim.gue.variant_control_length != 0) {
      const __u32 address_bytes = skb->protocol == bpf_htons(ETH_P_IP) ? 4 : sizeof(struct AddressKey);
      const __u32 bytes = sizeof(struct SecondChanceWire) + address_bytes;
      struct SecondChanceWire second;
      if (shim.gue.variant_control_length != bytes / 4) return kDropUnsupported;
      if (payload_bytes < sizeof(shim) + bytes || !Load(skb, shim_at + sizeof(shim), &second, sizeof(second))) {
        return kDropOuterLength;
      }
      if (second.version != SLUICE_BACKEND_SECOND_CHANCE_VERSION || second.state > kChanceIsTaken || second.zero != 0) {
        return kDropUnsupported;
      }
      tunnel->has_second = 1;
      tunnel->second = second.state;
      tunnel->outer_bytes += bytes;
    }
    tunnel->inner_type = TypeOfProtocol(shim.gue.protocol);
    return tunnel->inner_type == 0 ? kDropUnsupported : kGood;
  }
  // The first nibble is that of an IP header, in which variant 1 shows.
  const __u8 version = shim.gue.variant_control_length >> 4;
  tunnel->outer_bytes = outer->header_bytes + sizeof(struct udphdr);
  tunnel->inner_type = version == 4 ? bpf_htons(ETH_P_IP) : version == 6 ? bpf_htons(ETH_P_IPV6) : 0;
  return tunnel->inner_type == 0 ? kDropInnerHeader : kGood;
}

// Whether the packet inside may go up the stack. A drop's counter, or kGood and *vip.
static __always_inline int CheckInner(const struct IpView* outer, const struct Tunnel* tunnel,
                                      const struct IpView* inner, struct VipValue** vip) {
  // The subtraction cannot wrap: what was measured lies within the total.
  if (inner->total_bytes > outer->total_bytes - tunnel->outer_bytes) return kDropInnerLength;
  if (inner->protocol == IPPROTO_IPIP || inner->protocol == IPPROTO_IPV6 || inner->protocol == IPPROTO_GRE) {
    return kDropNested;
  }
  *vip = FindVip(&inner->destination);
  return *vip ? kGood : kDropNotAVip;
}

// RFC 6040, section 4.2: congestion met in the tunnel must be told to the receiver, in the inner header; a packet that
// cannot be marked is dropped, as the congested router would have done. A drop's counter, or kGood.
static __always_inline int CarryCongestion(struct __sk_buff* skb, const struct IpView* outer,
                                           const struct IpView* inner, const struct Tunnel* tunnel) {
  if ((outer->traffic_class & ECN_MASK) != ECN_CE || (inner->traffic_class & ECN_MASK) == ECN_CE) return kGood;
  if ((inner->traffic_class & ECN_MASK) == ECN_NOT_ECT) return kDropNotEct;
  // The first two bytes hold the field in either family. Only they change, and with them IPv4's header checksum.
  const __u32 inner_at = ETH_HLEN + tunnel->outer_bytes;
  __u8 bytes[2];
  if (!Load(skb, inner_at, bytes, sizeof(bytes))) return kDropInnerHeader;
  __be16 old_word;
  __be16 new_word;
  __builtin_memcpy(&old_word, bytes, sizeof(old_word));
  bytes[1] |= tunnel->inner_type == bpf_htons(ETH_P_IP) ? ECN_CE : ECN_CE << 4;
  __builtin_memcpy(&new_word, bytes, sizeof(new_word));
  if (tunnel->inner_type == bpf_htons(ETH_P_IP) &&
      bpf_l3_csum_replace(skb, inner_at + __builtin_offsetof(struct iphdr, check), old_word, new_word, 2) != 0) {
    return kDropKernel;
  }
  if (bpf_skb_store_bytes(skb, inner_at, bytes, sizeof(bytes), BPF_F_RECOMPUTE_CSUM) != 0) return kDropKernel;
  Count(kEcnMarked, 1);
  return kGood;
}

// Removes the outer headers. A drop's counter, or kGood.
static __always_inline int TakeOff(struct __sk_buff* skb, const struct Settings* s, const struct Tunnel* tunnel) {
  const bool other_family = tunnel->inner_type != (__be16)skb->protocol;
  // The inner segments of a super-packet stay as they are (FIXED_GSO), and a checksum that the NIC has verified stays
  // verified (NO_CSUM_RESET) ...
  __u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
  if (other_family && s->family_change == kFamilyChangeByFlag) {
    flags |= tunnel->inner_type == bpf_htons(ETH_P_IP) ? ADJ_ROOM_DECAP_L3_IPV4 : ADJ_ROOM_DECAP_L3_IPV6;
  }
  if (bpf_skb_adjust_room(skb, -(__s32)tunnel->outer_bytes, BPF_ADJ_ROOM_MAC, flags) != 0) return kDropKernel;
  // ... but the first of those that it verified was the outer UDP's, which counts even when it is zero.
  if (tunnel->kind == kTunnelGue || tunnel->kind == kTunnelGueDirect) bpf_csum_level(skb, BPF_CSUM_LEVEL_DEC);
  if (!other_family) return kGood;
  const __be16 type = tunnel->inner_type;
  return bpf_skb_store_bytes(skb, __builtin_offsetof(struct ethhdr, h_proto), &type, sizeof(type), 0) == 0
             ? kGood
             : kDropKernel;
}

static __always_inline int Drop(__u32 counter) {
  Count(counter, 1);
  return TC_ACT_SHOT;
}

// The verdict for a packet that arrives.
// A function of its own, so that its stack is free again when cookies are made, which needs some: the calls in progress
// may have 512 bytes together.
static __noinline int Decapsulate(struct __sk_buff* skb, const struct Settings* s) {
  // A tagged packet belongs to the VLAN's interface.
  if (skb->vlan_present && (skb->vlan_tci & 0xfff) != 0) return TC_ACT_UNSPEC;
  const __be16 outer_type = (__be16)skb->protocol;
  struct IpView outer;
  if (!LoadIp(skb, ETH_HLEN, outer_type, &outer)) return TC_ACT_UNSPEC;
  const int kind = FindKind(skb, s, &outer);
  if (kind == kNoTunnel || !bpf_map_lookup_elem(&own_addresses, &outer.destination)) return TC_ACT_UNSPEC;

  const struct PrefixKey source = {.length = 128, .address = outer.source};
  const bool by_director = bpf_map_lookup_elem(&directors, &source) != 0;
  const bool by_peer = s->second_chance && bpf_map_lookup_elem(&peers, &source) != 0;
  if (!by_director && !by_peer) return Drop(kDropForeignSource);
  struct Tunnel tunnel = {.kind = (__u32)kind};
  int verdict = MeasureTunnel(skb, &outer, &tunnel);
  if (verdict != kGood) return Drop((__u32)verdict);
  // Another backend sends nothing but what it was given for this one, and this is the end of it.
  const bool sent_on = tunnel.has_second && tunnel.second == kChanceIsTaken;
  if (sent_on ? !by_peer : !by_director) return Drop(kDropForeignSource);
  struct IpView inner;
  if (!LoadIp(skb, ETH_HLEN + tunnel.outer_bytes, tunnel.inner_type, &inner)) return Drop(kDropInnerHeader);
  struct VipValue* vip = 0;
  verdict = CheckInner(&outer, &tunnel, &inner, &vip);
  if (verdict != kGood) return Drop((__u32)verdict);
  if (s->second_chance && tunnel.has_second && !sent_on && skb->gso_size == 0) {
    verdict = GiveSecondChance(skb, ETH_HLEN + tunnel.outer_bytes);
    if (verdict != TC_ACT_UNSPEC) return verdict;
  }
  verdict = CarryCongestion(skb, &outer, &inner, &tunnel);
  if (verdict != kGood) return Drop((__u32)verdict);
  // Grows only, so that a lost race repairs itself with the next packet.
  __u32 overhead = tunnel.outer_bytes;
  // A SYN names no other backend; the segments behind it may.
  if (s->second_chance && tunnel.kind == kTunnelGue && !tunnel.has_second) {
    overhead += sizeof(struct SecondChanceWire) + (outer_type == bpf_htons(ETH_P_IP) ? 4 : sizeof(struct AddressKey));
  }
  if (vip && vip->overhead_bytes < overhead) vip->overhead_bytes = overhead;
  const bool aggregated = skb->gso_size != 0;
  verdict = TakeOff(skb, s, &tunnel);
  if (verdict != kGood) return Drop((__u32)verdict);

  Count(kIpipPackets + 2 * tunnel.kind, 1);
  Count(kIpipBytes + 2 * tunnel.kind, inner.total_bytes);
  if (aggregated) Count(kAggregated, 1);
  if (sent_on) Count(kSecondChanceTaken, 1);
  // The kernel took the family from the frame when it came; entering once more, it looks again.
  if (tunnel.inner_type != outer_type && s->family_change == kFamilyChangeByRedirect) {
    return (int)bpf_redirect(skb->ifindex, BPF_F_INGRESS);
  }
  return TC_ACT_UNSPEC;
}

#endif  // SLUICE_TOOLS_BACKEND_BPF_DECAPSULATE_H_
