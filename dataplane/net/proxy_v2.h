#ifndef SLUICE_DATAPLANE_NET_PROXY_V2_H_
#define SLUICE_DATAPLANE_NET_PROXY_V2_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"

// The PROXY protocol's binary header (version 2, section 2.2 of HAProxy's proxy-protocol.txt) in front of the first
// byte of a TCP stream: it tells the backend the client's address and port and those that the client connected to.
namespace sluice::net {

struct __attribute__((packed)) ProxyV2Prefix {
  std::array<uint8_t, 12> signature;
  uint8_t version_command;   // version 4 bits (2), command 4 bits (1: PROXY)
  uint8_t family_transport;  // family 4 bits (1: IPv4, 2: IPv6), transport 4 bits (1: stream)
  Be16 length;               // of what follows the prefix
};
static_assert(sizeof(ProxyV2Prefix) == 16);

struct __attribute__((packed)) ProxyV2HeaderV4 {
  ProxyV2Prefix prefix;
  uint8_t source[4];
  uint8_t destination[4];
  Be16 source_port;
  Be16 destination_port;
};
static_assert(sizeof(ProxyV2HeaderV4) == 28);
static_assert(offsetof(ProxyV2HeaderV4, source_port) == 24);

struct __attribute__((packed)) ProxyV2HeaderV6 {
  ProxyV2Prefix prefix;
  uint8_t source[16];
  uint8_t destination[16];
  Be16 source_port;
  Be16 destination_port;
};
static_assert(sizeof(ProxyV2HeaderV6) == 52);
static_assert(offsetof(ProxyV2HeaderV6, source_port) == 48);

inline constexpr size_t kMaxProxyV2Size = sizeof(ProxyV2HeaderV6);

// 28 or 52 bytes, by the family of the client's connection. Both even, so the payload behind keeps its checksum words.
constexpr uint16_t ProxyV2Size(Family family) {
  return family == Family::kIpv4 ? sizeof(ProxyV2HeaderV4) : sizeof(ProxyV2HeaderV6);
}

// Writes the header to `out`, which has room for ProxyV2Size(family) bytes, and returns that size. `client` and `vip`
// are addresses of 4 or 16 bytes as they lie in a packet. Pure, any thread.
uint16_t WriteProxyV2(Family family, const uint8_t* client, Be16 client_port, const uint8_t* vip, Be16 vip_port,
                      uint8_t* out);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_PROXY_V2_H_
