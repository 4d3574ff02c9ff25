#include "tests/unit/tools/backend/frames.h"

#include <arpa/inet.h>

#include <cstddef>

namespace sluice::backend::test {
namespace {

Bytes Address(const std::string& text) {
  Bytes bytes(text.find(':') == std::string::npos ? 4 : 16);
  inet_pton(bytes.size() == 4 ? AF_INET : AF_INET6, text.c_str(), bytes.data());
  return bytes;
}

Bytes Word(size_t value) { return {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)}; }

// RFC 1071 by its words, slowly.
uint16_t Sum(const Bytes& bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); ++i) sum += static_cast<uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

bool IsV4(const Bytes& packet) { return packet[0] >> 4 == 4; }

// The sum over the pseudo header and the segment or datagram.
uint16_t L4Sum(const Bytes& packet, uint8_t protocol) {
  const size_t header = IsV4(packet) ? 4u * (packet[0] & 15) : 40;
  const size_t addresses = IsV4(packet) ? 12 : 8;
  const size_t address_bytes = IsV4(packet) ? 8 : 32;
  const auto at = packet.begin() + static_cast<std::ptrdiff_t>(addresses);
  const Bytes segment(packet.begin() + static_cast<std::ptrdiff_t>(header), packet.end());
  const Bytes pseudo =
      Bytes(at, at + static_cast<std::ptrdiff_t>(address_bytes)) + Bytes{0, protocol} + Word(segment.size());
  return Sum(pseudo + segment);
}

// `at` is where the checksum lies in the segment or datagram.
void SetChecksum(Bytes* packet, uint8_t protocol, size_t at) {
  at += IsV4(*packet) ? 4u * ((*packet)[0] & 15) : 40;
  (*packet)[at] = (*packet)[at + 1] = 0;
  const Bytes checksum = Word(static_cast<uint16_t>(~L4Sum(*packet, protocol)));
  (*packet)[at] = checksum[0];
  (*packet)[at + 1] = checksum[1];
}

}  // namespace

Bytes operator+(const Bytes& a, const Bytes& b) {
  Bytes sum = a;
  sum.insert(sum.end(), b.begin(), b.end());
  return sum;
}

Bytes Ip(const std::string& source, const std::string& destination, uint8_t protocol, const Bytes& payload,
         const IpOptions& options) {
  const Bytes from = Address(source);
  const Bytes to = Address(destination);
  const size_t claimed = payload.size() + static_cast<size_t>(options.claimed_more);
  if (from.size() == 16) {
    const Bytes start = {static_cast<uint8_t>(0x60 | options.tos >> 4), static_cast<uint8_t>(options.tos << 4), 0, 7};
    return start + Word(claimed) + Bytes{protocol, 61} + from + to + payload;
  }
  const size_t header_bytes = 20 + options.options.size();
  Bytes header = Bytes{static_cast<uint8_t>(0x40 | header_bytes / 4), options.tos} + Word(header_bytes + claimed) +
                 Word(0x1234) + Word(options.fragment) + Bytes{61, protocol, 0, 0} + from + to + options.options;
  const Bytes checksum = Word(static_cast<uint16_t>(~Sum(header)));
  header[10] = checksum[0];
  header[11] = checksum[1];
  return header + payload;
}

Bytes Udp(uint16_t destination_port, const Bytes& payload, int claimed_more) {
  return Word(50000) + Word(destination_port) + Word(8 + payload.size() + static_cast<size_t>(claimed_more)) + Word(0) +
         payload;
}

Bytes Tcp(uint8_t flags, const Bytes& options, uint16_t source_port, uint16_t destination_port) {
  const auto words = static_cast<uint8_t>(5 + options.size() / 4);
  return Word(source_port) + Word(destination_port) +
         Bytes{1, 2, 3, 4, 5, 6, 7, 8, static_cast<uint8_t>(words << 4), flags} + Word(64240) + Word(0) + Word(0) +
         options;
}

void SetTcpChecksum(Bytes* packet) { SetChecksum(packet, 6, 16); }
void SetUdpChecksum(Bytes* packet) { SetChecksum(packet, 17, 6); }

bool TcpChecksumIsRight(const Bytes& packet) { return L4Sum(packet, 6) == 0xffff; }
bool UdpChecksumIsRight(const Bytes& packet) { return L4Sum(packet, 17) == 0xffff; }
bool Ipv4ChecksumIsRight(const Bytes& packet) {
  return Sum(Bytes(packet.begin(), packet.begin() + 4 * (packet[0] & 15))) == 0xffff;
}

uint8_t ProtocolOf(TunnelKind kind, const Bytes& inner) {
  if (kind == kTunnelGre) return 47;
  if (kind != kTunnelIpip) return 17;
  return IsV4(inner) ? 4 : 41;
}

Bytes Shim(TunnelKind kind, const Bytes& inner, uint16_t gue_port) {
  switch (kind) {
    case kTunnelGue:
      return Udp(gue_port, Bytes{0, static_cast<uint8_t>(IsV4(inner) ? 4 : 41), 0, 0} + inner);
    case kTunnelGueDirect:
      return Udp(gue_port, inner);
    case kTunnelGre:
      return Bytes{0, 0} + Word(IsV4(inner) ? 0x0800 : 0x86dd) + inner;
    case kTunnelIpip:
    case kTunnelKinds:
      break;
  }
  return inner;
}

Bytes Tunnel(TunnelKind kind, const std::string& source, const std::string& destination, const Bytes& inner,
             const IpOptions& options) {
  return Ip(source, destination, ProtocolOf(kind, inner), Shim(kind, inner), options);
}

Bytes Frame(const Bytes& packet) {
  return Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2} + (IsV4(packet) ? Word(0x0800) : Word(0x86dd)) + packet;
}

}  // namespace sluice::backend::test
