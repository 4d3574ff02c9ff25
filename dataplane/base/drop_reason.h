#ifndef SLUICE_DATAPLANE_BASE_DROP_REASON_H_
#define SLUICE_DATAPLANE_BASE_DROP_REASON_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace sluice {

// The closed list of reasons for which a packet may be dropped: symbol, metric label, help text. Whoever adds a reason
// adds a golden case for it (tests/golden), or says there why no capture can; a test compares the lists.
#define SLUICE_DROP_REASONS(X)                                                                                      \
  X(kOtherDestinationMac, "other_destination_mac", "addressed to another station's MAC address")                    \
  X(kTruncatedHeader, "truncated_header", "the frame ends inside a header")                                         \
  X(kHeaderNotContiguous, "header_not_contiguous", "the headers span more than the first buffer of the packet")     \
  X(kTooManyVlanTags, "too_many_vlan_tags", "more than two VLAN tags")                                              \
  X(kBadIpVersion, "bad_ip_version", "the IP version contradicts the EtherType")                                    \
  X(kBadIpHeaderLength, "bad_ip_header_length", "the IPv4 header length is below 20 bytes or beyond the packet")    \
  X(kBadIpLength, "bad_ip_length", "the IP length is longer than the frame or shorter than the headers")            \
  X(kBadIpChecksum, "bad_ip_checksum", "the IPv4 header checksum is wrong")                                         \
  X(kBadL4Length, "bad_l4_length", "the TCP or UDP header does not fit the length it states")                       \
  X(kBadIcmpChecksum, "bad_icmp_checksum", "an echo request for a VIP with a wrong checksum")                       \
  X(kFragment, "fragment", "a fragment, addressed to a VIP, of a protocol that has no ports")                       \
  X(kFragmentBad, "fragment_bad",                                                                                   \
    "a fragment that is empty, ends beyond 64 KiB, or has a length that is no multiple of 8")                       \
  X(kFragmentTiny, "fragment_tiny",                                                                                 \
    "a first fragment without the whole TCP or UDP header, or a later one that begins in it")                       \
  X(kFragmentOverlap, "fragment_overlap",                                                                           \
    "a fragment that overlaps another of its packet, or belongs to such a packet")                                  \
  X(kFragmentDuplicate, "fragment_duplicate", "a fragment of which every byte was forwarded before")                \
  X(kFragmentTableFull, "fragment_table_full", "the table of fragmented packets has no room to follow another")     \
  X(kFragmentBufferFull, "fragment_buffer_full", "too many fragments wait for the first one of their packet")       \
  X(kFragmentTimeout, "fragment_timeout", "the first fragment of the packet did not come in time")                  \
  X(kExtensionHeader, "extension_header", "more IPv6 extension headers before a VIP's protocol than are followed")  \
  X(kMartianSource, "martian_source",                                                                               \
    "a source address that cannot be a client's: multicast, loopback, zero, the VIP itself")                        \
  X(kTunnelLoop, "tunnel_loop",                                                                                     \
    "a packet to a VIP that came back to us: from a backend, or out of one of our tunnels")                         \
  X(kVipIcmp, "vip_icmp", "ICMP addressed to a VIP that is neither an echo request nor about one of its flows")     \
  X(kEchoDisabled, "echo_disabled", "an echo request for a VIP that is told not to answer")                         \
  X(kAnswerRateLimited, "answer_rate_limited", "beyond the rate of answers that a worker gives")                    \
  X(kVipNoService, "vip_no_service", "addressed to a VIP's address, but to no configured protocol and port")        \
  X(kNoBackend, "no_backend", "the VIP's pool has no backend that takes new flows")                                 \
  X(kProbeOutdated, "probe_outdated", "a health check's packet to a backend or VIP that is gone by now")            \
  X(kNextHopUnresolved, "next_hop_unresolved", "the backend's next hop has no known MAC address yet")               \
  X(kBackendNotOnLink, "backend_not_on_link", "L2 mode needs the backend on a directly connected network")          \
  X(kFamilyMismatch, "family_mismatch", "the backend's address family does not fit the packet and the mode")        \
  X(kNoTunnelSource, "no_tunnel_source", "the port has no address of the backend's family to send tunnels from")    \
  X(kNatNoSession, "nat_no_session",                                                                                \
    "a TCP segment to a VIP with full NAT that neither begins a connection nor belongs to one")                     \
  X(kNatUnknownReply, "nat_unknown_reply",                                                                          \
    "to a local port of the NAT, or from a backend that serves several VIPs, and of no known flow")                 \
  X(kNatPortsExhausted, "nat_ports_exhausted", "no free local address and port for a new flow to this backend")     \
  X(kNatNoLocalAddress, "nat_no_local_address", "the NAT has no local address of the backend's family")             \
  X(kNatTableFull, "nat_table_full", "every NAT session of the worker is in use by flows that are alive")           \
  X(kNatTupleInUse, "nat_tuple_in_use", "a flow that its backend could not tell from another of the same client")   \
  X(kNatUntranslatable, "nat_untranslatable", "what has no counterpart in the backend's or client's IP version")    \
  X(kNatUnreadable, "nat_unreadable", "the header or the quote to be rewritten is cut or spans buffers")            \
  X(kTtlExpired, "ttl_expired", "the last hop of an ICMP error, which is not answered with another")                \
  X(kNoClientRoute, "no_client_route", "the host's kernel has no route by any port to the client")                  \
  X(kTooBig, "too_big", "the packet with its encapsulation exceeds the MTU of the port it leaves by")               \
  X(kFragmentNoBuffer, "fragment_no_buffer", "no packet buffer, or no room in the burst, for a packet's fragments") \
  X(kNoHeadroom, "no_headroom", "the buffer has no room in front for the encapsulation")                            \
  X(kTxQueueFull, "tx_queue_full", "the device's transmit queue did not take the packet")                           \
  X(kHandoverQueueFull, "handover_queue_full", "the queue to the worker that owns the packet was full")             \
  X(kHandoverLimit, "handover_limit", "handed from worker to worker too often: they did not agree on its owner")    \
  X(kPuntQueueFull, "punt_queue_full", "the bounded queue to the host's kernel was full")                           \
  X(kPuntRateLimited, "punt_rate_limited", "beyond the packet rate that the host's kernel is given")                \
  X(kPuntNoHost, "punt_no_host", "meant for the host, but the port has no exception port")                          \
  X(kPuntWriteFailed, "punt_write_failed", "the exception port did not take the packet")                            \
  X(kHostQueueFull, "host_queue_full", "the queue of packets from the host's kernel to a worker was full")          \
  X(kHostNoBuffer, "host_no_buffer", "no packet buffer was free for a packet from the host's kernel")

enum class DropReason : uint8_t {
#define SLUICE_X(symbol, label, help) symbol,
  SLUICE_DROP_REASONS(SLUICE_X)
#undef SLUICE_X
      kCount
};

inline constexpr size_t kDropReasonCount = static_cast<size_t>(DropReason::kCount);

// The metric label, such as "no_backend".
std::string_view DropReasonLabel(DropReason reason);
// One sentence for people, without a full stop.
std::string_view DropReasonHelp(DropReason reason);

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_DROP_REASON_H_
