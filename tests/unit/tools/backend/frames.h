#ifndef SLUICE_TESTS_UNIT_TOOLS_BACKEND_FRAMES_H_
#define SLUICE_TESTS_UNIT_TOOLS_BACKEND_FRAMES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tools/backend/abi.h"

// Frames written byte by byte from the RFCs, by nothing that the agent uses.
namespace sluice::backend::test {

// TCP flags
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kSynAck = 0x12;
inline constexpr uint8_t kAck = 0x10;

using Bytes = std::vector<uint8_t>;

struct IpOptions {
  uint8_t tos = 0;
  uint16_t fragment = 0;  // IPv4
  int claimed_more = 0;   // added to the length that the header claims
  Bytes options = {};     // IPv4, a multiple of 4
};

// An IP packet of the addresses' family; checksums are right.
Bytes Ip(const std::string& source, const std::string& destination, uint8_t protocol, const Bytes& payload,
         const IpOptions& options = {});
Bytes Udp(uint16_t destination_port, const Bytes& payload, int claimed_more = 0);
// A TCP segment without a checksum; see SetTcpChecksum.
Bytes Tcp(uint8_t flags, const Bytes& options, uint16_t source_port = 80, uint16_t destination_port = 40000);
// `packet` is an IP packet around Tcp's.
void SetTcpChecksum(Bytes* packet);
bool TcpChecksumIsRight(const Bytes& packet);
// The same of a UDP datagram, and of an IPv4 header.
void SetUdpChecksum(Bytes* packet);
bool UdpChecksumIsRight(const Bytes& packet);
bool Ipv4ChecksumIsRight(const Bytes& packet);

// The shim and the packet, as a tunnel's payload.
Bytes Shim(TunnelKind kind, const Bytes& inner, uint16_t gue_port = 6080);
// The IP protocol that announces it.
uint8_t ProtocolOf(TunnelKind kind, const Bytes& inner);
Bytes Tunnel(TunnelKind kind, const std::string& source, const std::string& destination, const Bytes& inner,
             const IpOptions& options = {});

// With an Ethernet header of the packet's family.
Bytes Frame(const Bytes& packet);
Bytes operator+(const Bytes& a, const Bytes& b);

}  // namespace sluice::backend::test

#endif  // SLUICE_TESTS_UNIT_TOOLS_BACKEND_FRAMES_H_
