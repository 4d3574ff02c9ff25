#include "dataplane/net/nat_rewrite.h"

#include <cstring>

#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/icmp.h"
#include "dataplane/net/ip_header.h"

namespace sluice::net {
namespace {

void ReplaceAddress(uint8_t* at, const uint8_t* address, size_t size, ChecksumDelta* delta) {
  delta->Replace(at, address, size);
  std::memcpy(at, address, size);
}

void ReplacePort(uint8_t* at, Be16 port, ChecksumDelta* delta) {
  delta->Replace(Load<uint16_t>(at), port.raw());
  Store(at, port);
}

// The addresses and the IPv4 header checksum. Returns what they change in a checksum over a pseudo header.
ChecksumDelta ReplaceAddresses(Family family, uint8_t* ip, const uint8_t* source, const uint8_t* destination) {
  ChecksumDelta delta;
  if (family == Family::kIpv4) {
    if (source != nullptr) ReplaceAddress(ip + offsetof(Ipv4Header, source), source, 4, &delta);
    if (destination != nullptr) ReplaceAddress(ip + offsetof(Ipv4Header, destination), destination, 4, &delta);
    delta.ApplyTo(ip + offsetof(Ipv4Header, checksum));
  } else {
    if (source != nullptr) ReplaceAddress(ip + offsetof(Ipv6Header, source), source, 16, &delta);
    if (destination != nullptr) ReplaceAddress(ip + offsetof(Ipv6Header, destination), destination, 16, &delta);
  }
  return delta;
}

// The ports are the first two words of either protocol's header.
static_assert(offsetof(TcpHeader, source_port) == offsetof(UdpHeader, source_port));
static_assert(offsetof(TcpHeader, destination_port) == offsetof(UdpHeader, destination_port));

void ReplacePorts(uint8_t* l4, const NatChange& change, ChecksumDelta* delta) {
  if (change.source != nullptr) ReplacePort(l4 + offsetof(UdpHeader, source_port), change.source_port, delta);
  if (change.destination != nullptr) {
    ReplacePort(l4 + offsetof(UdpHeader, destination_port), change.destination_port, delta);
  }
}

void ShiftNumber(uint8_t* tcp, size_t offset, uint32_t shift) {
  const auto before = Load<Be32>(tcp + offset);
  const auto after = Be32::FromHost(before.Host() + shift);
  ChecksumDelta delta;
  delta.Replace(before.raw(), after.raw());
  Store(tcp + offset, after);
  delta.ApplyTo(tcp + offsetof(TcpHeader, checksum));
}

// The sum of all of a quote that RewriteQuote may change. Both ranges begin at even offsets of the ICMP message.
uint32_t SumOfQuote(const uint8_t* ip, size_t ip_size, const uint8_t* l4, size_t l4_size) {
  return PartialSum(l4, l4_size, PartialSum(ip, ip_size));
}

uint8_t* LengthField(const PacketBytes& packet) {
  return packet.ip +
         (packet.family == Family::kIpv4 ? offsetof(Ipv4Header, total_length) : offsetof(Ipv6Header, payload_length));
}

// Changes the IP length and the IPv4 header checksum. Returns what it means for the L4 checksum: the length in its
// pseudo header changes by as much.
ChecksumDelta AddToLength(const PacketBytes& packet, int bytes) {
  uint8_t* const field = LengthField(packet);
  const auto before = Load<Be16>(field);
  const auto after = Be16::FromHost(static_cast<uint16_t>(before.Host() + bytes));
  Store(field, after);
  ChecksumDelta delta;
  delta.Replace(before.raw(), after.raw());
  if (packet.family == Family::kIpv4) delta.ApplyTo(packet.ip + offsetof(Ipv4Header, checksum));
  return delta;
}

}  // namespace

bool RewriteFlow(const PacketBytes& packet, const NatChange& change) {
  const uint32_t needed = L4ChecksumEnd(packet.protocol);
  if (needed == 0 || packet.l4_bytes < needed) return false;
  ChecksumDelta delta = ReplaceAddresses(packet.family, packet.ip, change.source, change.destination);
  ReplacePorts(packet.l4, change, &delta);
  delta.ApplyToL4(packet.protocol, packet.l4);
  return true;
}

void RewriteAddresses(Family family, uint8_t* ip, const uint8_t* source, const uint8_t* destination) {
  ReplaceAddresses(family, ip, source, destination);
}

bool RewriteIcmpError(const PacketBytes& packet, const uint8_t* source, const uint8_t* destination,
                      const NatChange& quoted) {
  uint8_t* const icmp = packet.l4;
  const auto flow = ParseQuote(packet.family, icmp, sizeof(IcmpHeader), packet.l4_bytes);
  if (!flow) return false;
  uint8_t* const quote = icmp + sizeof(IcmpHeader);
  uint8_t* const quoted_l4 = icmp + flow->l4_offset;
  const size_t fixed_header = IpHeaderSize(packet.family);
  const uint32_t checksum_end = L4ChecksumEnd(flow->protocol);
  const bool has_checksum = flow->l4_offset + checksum_end <= packet.l4_bytes;
  // Without its checksum a quote of TCP has at least the ports and the sequence number.
  const size_t l4_size = has_checksum ? checksum_end : sizeof(Be16) * 2;

  ChecksumDelta outer;
  outer.Remove(SumOfQuote(quote, fixed_header, quoted_l4, l4_size));
  ChecksumDelta inner = ReplaceAddresses(packet.family, quote, quoted.source, quoted.destination);
  ReplacePorts(quoted_l4, quoted, &inner);
  if (has_checksum) inner.ApplyToL4(flow->protocol, quoted_l4);
  outer.Add(SumOfQuote(quote, fixed_header, quoted_l4, l4_size));

  const ChecksumDelta addresses = ReplaceAddresses(packet.family, packet.ip, source, destination);
  // Only ICMPv6 has a pseudo header.
  if (packet.family == Family::kIpv6) outer.Add(addresses);
  outer.ApplyTo(icmp + offsetof(IcmpHeader, checksum));
  return true;
}

bool DecrementHopLimit(Family family, uint8_t* ip) {
  uint8_t* const hops = ip + (family == Family::kIpv4 ? offsetof(Ipv4Header, ttl) : offsetof(Ipv6Header, hop_limit));
  if (*hops <= 1) return false;
  if (family == Family::kIpv4) {
    const uint8_t protocol = ip[offsetof(Ipv4Header, protocol)];
    ChecksumDelta delta;
    delta.Replace(Word(*hops, protocol), Word(static_cast<uint8_t>(*hops - 1), protocol));
    delta.ApplyTo(ip + offsetof(Ipv4Header, checksum));
  }
  --*hops;
  return true;
}

void ShiftSequence(uint8_t* tcp, uint32_t delta) { ShiftNumber(tcp, offsetof(TcpHeader, sequence), delta); }

void ShiftAcknowledgement(uint8_t* tcp, uint32_t delta) {
  ShiftNumber(tcp, offsetof(TcpHeader, acknowledgement), delta);
}

void AccountForInsertedPayload(const PacketBytes& packet, const uint8_t* inserted, uint16_t size) {
  ChecksumDelta delta = AddToLength(packet, size);
  delta.Add(PartialSum(inserted, size));
  delta.ApplyToL4(packet.protocol, packet.l4);
}

void AccountForCutPayload(const PacketBytes& packet, const uint8_t* cut, uint16_t size) {
  ChecksumDelta delta = AddToLength(packet, -int{size});
  ChecksumDelta bytes;
  bytes.Remove(PartialSum(cut, size));
  // The new end of the segment is where they began; header and addresses have even sizes.
  const bool at_odd_offset = Load<Be16>(LengthField(packet)).Host() % 2 != 0;
  delta.Add(at_odd_offset ? bytes.AtOddOffset() : bytes);
  delta.ApplyToL4(packet.protocol, packet.l4);
}

}  // namespace sluice::net
