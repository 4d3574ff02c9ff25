#include "dataplane/net/proxy_v2.h"

#include <cstring>

#include "dataplane/net/bytes.h"

namespace sluice::net {
namespace {

constexpr std::array<uint8_t, 12> kSignature = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};
constexpr uint8_t kVersion2Proxy = 0x21;
constexpr uint8_t kTcpOverIpv4 = 0x11;
constexpr uint8_t kTcpOverIpv6 = 0x21;

template <typename Header>
uint16_t Write(uint8_t family_transport, const uint8_t* client, Be16 client_port, const uint8_t* vip, Be16 vip_port,
               uint8_t* out) {
  Header header;
  header.prefix.signature = kSignature;
  header.prefix.version_command = kVersion2Proxy;
  header.prefix.family_transport = family_transport;
  header.prefix.length = Be16::FromHost(sizeof(Header) - sizeof(ProxyV2Prefix));
  std::memcpy(header.source, client, sizeof(header.source));
  std::memcpy(header.destination, vip, sizeof(header.destination));
  header.source_port = client_port;
  header.destination_port = vip_port;
  Store(out, header);
  return sizeof(Header);
}

}  // namespace

uint16_t WriteProxyV2(Family family, const uint8_t* client, Be16 client_port, const uint8_t* vip, Be16 vip_port,
                      uint8_t* out) {
  if (family == Family::kIpv4) return Write<ProxyV2HeaderV4>(kTcpOverIpv4, client, client_port, vip, vip_port, out);
  return Write<ProxyV2HeaderV6>(kTcpOverIpv6, client, client_port, vip, vip_port, out);
}

}  // namespace sluice::net
