#ifndef SLUICE_TESTS_SUPPORT_PACKETS_H_
#define SLUICE_TESTS_SUPPORT_PACKETS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

// Packets put together header by header for tests of byte code, and the plainest possible checksums. Shares no code
// with dataplane/net.
namespace sluice::test {

using Bytes = std::vector<uint8_t>;

Bytes operator+(Bytes a, const Bytes& b);

// "0a ff"; blanks are allowed.
Bytes FromHex(std::string_view hex);

Bytes Ether(uint16_t type);
Bytes Vlan(uint16_t next_type);
// From 203.0.113.10 (a VIP) to 198.51.100.1 (a client), `payload` bytes to follow; options beyond 20 bytes are NOPs.
// The checksum is left out.
Bytes Ipv4(uint8_t protocol, size_t payload, uint8_t header_words = 5, uint16_t fragment = 0);
// From 2001:db8:f::10 to 2001:db8:c::1.
Bytes Ipv6(uint8_t next, size_t payload);
// Ports 4660 and 80; options beyond 20 bytes are zero.
Bytes Tcp(uint8_t flags, uint8_t header_words = 5);
// Ports 53 and 54.
Bytes Udp(size_t length);
Bytes Icmp(uint8_t type, uint8_t code = 0, uint16_t mtu = 1280);

// RFC 1071 word by word, in host order.
uint16_t PlainChecksum(const Bytes& bytes);

// Computes all checksums of a packet that begins with its IP header and has TCP, UDP, ICMP or ICMPv6 at `l4`: IPv4's,
// and that of L4 over everything up to the end. A UDP checksum is never zero.
void Seal(Bytes* packet, size_t l4, uint8_t protocol);

// The same with a UDP checksum of zero left as it is.
Bytes Sealed(Bytes packet, size_t l4, uint8_t protocol);

// A copy in a block of exactly its size, so that AddressSanitizer sees an access beyond it.
class ExactCopy {
 public:
  explicit ExactCopy(const Bytes& bytes);
  uint8_t* data() const { return data_.get(); }
  uint32_t size() const { return size_; }
  Bytes bytes() const { return Bytes(data_.get(), data_.get() + size_); }

 private:
  uint32_t size_;
  std::unique_ptr<uint8_t[]> data_;
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_SUPPORT_PACKETS_H_
