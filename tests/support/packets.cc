#include "tests/support/packets.h"

#include <algorithm>
#include <cstdlib>

namespace sluice::test {
namespace {

constexpr uint8_t kTcp = 6;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmp = 1;
constexpr uint8_t kIcmpv6 = 58;

uint8_t High(size_t value) { return static_cast<uint8_t>(value >> 8); }
uint8_t Low(size_t value) { return static_cast<uint8_t>(value); }

Bytes Slice(const Bytes& bytes, size_t first, size_t last) {
  return Bytes(bytes.begin() + static_cast<ptrdiff_t>(first), bytes.begin() + static_cast<ptrdiff_t>(last));
}

void Put(Bytes* bytes, size_t at, uint16_t value) {
  (*bytes)[at] = High(value);
  (*bytes)[at + 1] = Low(value);
}

size_t ChecksumOffset(uint8_t protocol) {
  switch (protocol) {
    case kTcp:
      return 16;
    case kUdp:
      return 6;
    case kIcmp:
    case kIcmpv6:
      return 2;
    default:
      std::abort();
  }
}

Bytes PseudoHeader(const Bytes& packet, uint8_t protocol, size_t length) {
  if (packet[0] >> 4 == 4) return Slice(packet, 12, 20) + Bytes{0, protocol, High(length), Low(length)};
  return Slice(packet, 8, 40) + Bytes{0, 0, High(length), Low(length), 0, 0, 0, protocol};
}

}  // namespace

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

Bytes FromHex(std::string_view hex) {
  Bytes bytes;
  int high = -1;
  for (const char c : hex) {
    if (c == ' ') continue;
    const int digit = c <= '9' ? c - '0' : c - 'a' + 10;
    if (digit < 0 || digit > 15) std::abort();
    if (high < 0) {
      high = digit;
    } else {
      bytes.push_back(static_cast<uint8_t>(high << 4 | digit));
      high = -1;
    }
  }
  if (high >= 0) std::abort();
  return bytes;
}

Bytes Ether(uint16_t type) { return {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, High(type), Low(type)}; }

Bytes Vlan(uint16_t next_type) { return {0, 7, High(next_type), Low(next_type)}; }

Bytes Ipv4(uint8_t protocol, size_t payload, uint8_t header_words, uint16_t fragment) {
  const size_t total = header_words * 4u + payload;
  Bytes ip = FromHex("40000000 00010000 40000000 cb00710a c6336401");
  ip[0] = static_cast<uint8_t>(0x40 | header_words);
  Put(&ip, 2, static_cast<uint16_t>(total));
  Put(&ip, 6, fragment);
  ip[9] = protocol;
  ip.resize(std::max<size_t>(ip.size(), header_words * 4u), 1);
  return ip;
}

Bytes Ipv6(uint8_t next, size_t payload) {
  Bytes ip = FromHex(
      "60000000 00000040"
      "20010db8 000f0000 00000000 00000010"
      "20010db8 000c0000 00000000 00000001");
  Put(&ip, 4, static_cast<uint16_t>(payload));
  ip[6] = next;
  return ip;
}

Bytes Tcp(uint8_t flags, uint8_t header_words) {
  Bytes tcp = FromHex("12340050 00000000 00000000 00000000 00000000");
  tcp[12] = static_cast<uint8_t>(header_words << 4);
  tcp[13] = flags;
  tcp.resize(std::max<size_t>(tcp.size(), header_words * 4u), 0);
  return tcp;
}

Bytes Udp(size_t length) { return {0, 53, 0, 54, High(length), Low(length), 0, 0}; }

Bytes Icmp(uint8_t type, uint8_t code, uint16_t mtu) { return {type, code, 0, 0, 0, 0, High(mtu), Low(mtu)}; }

uint16_t PlainChecksum(const Bytes& bytes) {
  uint64_t sum = 0;
  for (size_t i = 0; i < bytes.size(); i += 2) {
    sum += static_cast<uint64_t>(bytes[i]) << 8 | (i + 1 < bytes.size() ? bytes[i + 1] : 0);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(~sum);
}

void Seal(Bytes* packet, size_t l4, uint8_t protocol) {
  if ((*packet)[0] >> 4 == 4) {
    Put(packet, 10, 0);
    Put(packet, 10, PlainChecksum(Slice(*packet, 0, ((*packet)[0] & 0x0fu) * 4)));
  }
  const size_t field = l4 + ChecksumOffset(protocol);
  Put(packet, field, 0);
  const Bytes message = Slice(*packet, l4, packet->size());
  uint16_t checksum =
      PlainChecksum(protocol == kIcmp ? message : PseudoHeader(*packet, protocol, message.size()) + message);
  if (protocol == kUdp && checksum == 0) checksum = 0xffff;
  Put(packet, field, checksum);
}

Bytes Sealed(Bytes packet, size_t l4, uint8_t protocol) {
  const bool without = protocol == kUdp && packet[l4 + 6] == 0 && packet[l4 + 7] == 0;
  Seal(&packet, l4, protocol);
  if (without) Put(&packet, l4 + 6, 0);
  return packet;
}

ExactCopy::ExactCopy(const Bytes& bytes)
    : size_(static_cast<uint32_t>(bytes.size())), data_(std::make_unique<uint8_t[]>(bytes.size())) {
  std::copy(bytes.begin(), bytes.end(), data_.get());
}

}  // namespace sluice::test
