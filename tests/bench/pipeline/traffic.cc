#include "tests/bench/pipeline/traffic.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "config/cookie_layout.h"
#include "dataplane/base/check.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"

namespace sluice::bench {
namespace {

// Of `family`, with the low 32 bits of `number` in its last bytes, behind a prefix.
net::IpAddress Address(net::Family family, uint32_t v4_prefix, uint16_t v6_subnet, uint32_t number) {
  std::array<uint8_t, 16> bytes{};
  if (family == net::Family::kIpv4) {
    const Be32 address = Be32::FromHost(v4_prefix + number);
    std::memcpy(bytes.data(), &address, sizeof(address));
    return net::IpAddress::FromBytes(family, bytes.data());
  }
  bytes = {0x20, 0x01, 0x0d, 0xb8, static_cast<uint8_t>(v6_subnet >> 8), static_cast<uint8_t>(v6_subnet)};
  const Be32 low = Be32::FromHost(number);
  std::memcpy(bytes.data() + 12, &low, sizeof(low));
  return net::IpAddress::FromBytes(family, bytes.data());
}

constexpr uint32_t kVipNet = 0xc612'0000;      // 198.18.0.0/15, for benchmarks (RFC 2544)
constexpr uint32_t kBackendNet = 0xac10'0000;  // 172.16.0.0/12
constexpr uint32_t kClientNet = 0x0a00'0000;   // 10.0.0.0/8
constexpr uint32_t kPortsOfClient = 8;         // flows from one client

// Two NOPs and the option of timestamps (RFC 7323), its values zero.
constexpr std::array<uint8_t, 12> kTimestamps = {1, 1, 8, 10};
constexpr size_t kEchoOffset = 8;  // of TSecr among them

// What a datagram has: as much as a packet of QUIC that acknowledges only.
constexpr std::array<uint8_t, 32> kDatagram = {};

// Where the addresses of a packet are in its IP header, how long they are, and how long the header is.
struct IpLayout {
  size_t source;
  size_t destination;
  size_t address_bytes;
  size_t header_bytes;
};
constexpr IpLayout LayoutOf(net::Family family) {
  return family == net::Family::kIpv4 ? IpLayout{offsetof(net::Ipv4Header, source),
                                                 offsetof(net::Ipv4Header, destination), 4, sizeof(net::Ipv4Header)}
                                      : IpLayout{offsetof(net::Ipv6Header, source),
                                                 offsetof(net::Ipv6Header, destination), 16, sizeof(net::Ipv6Header)};
}

// Flow numbers in an order that no prefetcher and no cache guesses: a multiplication that is a bijection of 64 bits.
uint64_t Scatter(uint64_t value) { return value * 0xd134'2543'de82'ef95; }

}  // namespace

net::IpAddress VipAddress(net::Family family, uint32_t index) { return Address(family, kVipNet, 1, index + 1); }
net::IpAddress BackendAddress(net::Family family, uint32_t index) { return Address(family, kBackendNet, 2, index + 1); }
net::MacAddress PortMac() { return net::MacAddress(std::array<uint8_t, 6>{0x02, 0x5c, 0, 0, 0, 0}.data()); }
net::IpAddress PortAddress(net::Family family) { return Address(family, kBackendNet, 2, 0xf'ffff); }
net::IpAddress LocalAddress(net::Family family) { return Address(family, kBackendNet, 2, 0xf'fffe); }
uint16_t CookieIdOf(uint32_t index) { return static_cast<uint16_t>(index % kPoolBackends); }

Traffic::Traffic(const Scenario& scenario) : scenario_(scenario) {
  for (uint32_t vip = 0; vip < scenario.vips; ++vip) {
    const VipKind kind = scenario.KindOf(vip);
    const bool has_cookies = kind.selection == Selection::kCookie || kind.selection == Selection::kSlot;
    SLUICE_CHECK(HasTimestamps(kind) || !has_cookies);
  }
  for (const auto family : {net::Family::kIpv4, net::Family::kIpv6}) {
    for (const uint8_t protocol : {net::kProtocolTcp, net::kProtocolUdp}) MakeHeaders(family, protocol);
  }
  if (config::IsNat(scenario.mode)) learned_.resize(scenario.flows);
  echoes_.resize(scenario.flows);
  if (scenario.Has(Selection::kCookie)) MakeCookies();
}

uint32_t Traffic::VipOf(uint64_t flow) const {
  return scenario_.load == Load::kNoVip ? scenario_.vips : static_cast<uint32_t>(Scatter(flow) >> 40) % scenario_.vips;
}

bool Traffic::HasTimestamps(const VipKind& kind) const {
  if (kind.protocol != net::kProtocolTcp) return false;
  if (kind.family == net::Family::kIpv6) return scenario_.packet_bytes == kTimestampsV6Bytes;
  return scenario_.packet_bytes == kTimestampsBytes || scenario_.packet_bytes == kShortest;
}

std::vector<uint8_t>& Traffic::HeadersOf(const VipKind& kind) {
  return headers_[(kind.family == net::Family::kIpv6 ? 2 : 0) + (kind.protocol == net::kProtocolUdp ? 1 : 0)];
}

void Traffic::MakeHeaders(net::Family family, uint8_t protocol) {
  const VipKind kind = {.selection = scenario_.selection, .family = family, .protocol = protocol};
  std::vector<uint8_t>& headers = HeadersOf(kind);
  net::EtherHeader ether{};
  std::memcpy(ether.destination, PortMac().data(), sizeof(ether.destination));
  ether.source[0] = 0x02;
  ether.source[5] = 0x01;
  ether.ether_type = Be16::FromHost(family == net::Family::kIpv4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
  const auto append = [&headers](const auto& part) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&part);
    headers.insert(headers.end(), bytes, bytes + sizeof(part));
  };
  append(ether);
  if (family == net::Family::kIpv4) {
    net::Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.ttl = 64;
    ip.protocol = protocol;
    append(ip);
  } else {
    net::Ipv6Header ip{};
    ip.version_class_flow = Be32::FromHost(0x6000'0000);
    ip.next_header = protocol;
    ip.hop_limit = 64;
    append(ip);
  }
  if (protocol == net::kProtocolUdp) {
    net::UdpHeader udp{};
    udp.destination_port = Be16::FromHost(kVipPort);
    append(udp);
    append(kDatagram);
    return;
  }
  net::TcpHeader tcp{};
  tcp.data_offset = static_cast<uint8_t>((HasTimestamps(kind) ? 8 : 5) << 4);
  tcp.destination_port = Be16::FromHost(kVipPort);
  append(tcp);
  if (HasTimestamps(kind)) append(kTimestamps);
}

// A cookie for each flow that names one backend of its VIP's pool, as the backend's agent would have sent it.
void Traffic::MakeCookies() {
  const lb::CookieLayout layout = config::CookieLayoutOf(config::VipConfig());
  lb::AesBlock secret{};
  for (size_t i = 0; i < secret.size(); ++i) secret[i] = static_cast<uint8_t>(i);  // kCookieSecret
  lb::CookieKeys keys;
  keys.Set(0, secret);
  std::vector<uint8_t> frame(2048);
  for (uint64_t flow = 0; flow < scenario_.flows; ++flow) {
    const VipKind kind = scenario_.KindOf(VipOf(flow));
    if (!HasTimestamps(kind)) continue;
    Write(flow, net::kTcpAck, frame.data());
    const IpLayout at = LayoutOf(kind.family);
    const uint8_t* const ip = frame.data() + sizeof(net::EtherHeader);
    const uint8_t* const l4 = ip + at.header_bytes;
    const lb::FlowTuple tuple = {.source = ip + at.source,
                                 .destination = ip + at.destination,
                                 .source_port = net::Load<Be16>(l4),
                                 .destination_port = net::Load<Be16>(l4 + 2),
                                 .protocol = kind.protocol,
                                 .family = kind.family};
    const uint32_t backend = CookieIdOf(static_cast<uint32_t>(Scatter(flow) >> 20));
    const uint32_t cookie = lb::EncodeCookie(layout, keys, 0, tuple, {.tier = 0, .backend = backend});
    echoes_[flow] = Be32::FromHost(lb::EncodeTimestamp(layout, 123'456'789, cookie)).raw();
  }
}

void Traffic::Learn(uint64_t flow, const uint8_t* forwarded) {
  const IpLayout at = LayoutOf(scenario_.family);
  const uint8_t* const ip = forwarded + sizeof(net::EtherHeader);
  if (config::IsNat(scenario_.mode)) {
    Flow& learned = learned_[flow];
    std::memcpy(learned.backend.data(), ip + at.destination, at.address_bytes);
    std::memcpy(learned.local.data(), ip + at.source, at.address_bytes);
    learned.local_port = net::Load<uint16_t>(ip + at.header_bytes);
  } else if (scenario_.selection == Selection::kSlot) {
    // In a tunnel of its own family: the low byte of what the director put into the SYN comes back with every packet.
    const uint8_t* const options = ip + 2 * at.header_bytes + sizeof(net::TcpHeader);
    const uint32_t told = net::Load<Be32>(options + kEchoOffset).Host();
    echoes_[flow] = Be32::FromHost(123'456u << 8 | (told & 0xff)).raw();
  }
}

uint32_t Traffic::WriteReply(uint64_t flow, uint8_t tcp_flags, uint8_t* frame) {
  const uint32_t length = Write(flow, tcp_flags, frame);
  const Flow& learned = learned_[flow];
  const IpLayout at = LayoutOf(scenario_.family);
  uint8_t* const ip_at = frame + sizeof(net::EtherHeader);
  std::memcpy(ip_at + at.source, learned.backend.data(), at.address_bytes);
  std::memcpy(ip_at + at.destination, learned.local.data(), at.address_bytes);
  if (scenario_.family == net::Family::kIpv4) {
    auto& ip = *reinterpret_cast<net::Ipv4Header*>(ip_at);
    ip.checksum = 0;
    ip.checksum = net::InternetChecksum(ip_at, sizeof(ip));
  }
  auto& tcp = *reinterpret_cast<net::TcpHeader*>(ip_at + at.header_bytes);
  tcp.source_port = Be16::FromHost(kVipPort);
  tcp.destination_port = Be16::FromRaw(learned.local_port);
  return length;
}

uint64_t Traffic::Random() {  // xorshift64*
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545'f491'4f6c'dd1d;
}

uint32_t Traffic::FrameBytes() {
  if (scenario_.packet_bytes == kShortest) return 60;  // of Ethernet
  if (scenario_.packet_bytes != kImix) return scenario_.packet_bytes;
  const uint64_t draw = Random() % 12;
  return draw < 7 ? 60 : draw < 11 ? 576 : 1500;
}

uint32_t Traffic::Next(uint8_t* frame) {
  const uint32_t one_new_in = scenario_.OneNewIn();
  const bool begins = one_new_in == 1 || (one_new_in != 0 && Random() % one_new_in == 0);
  if (begins) return Write(scenario_.flows + next_new_flow_++, net::kTcpSyn, frame);
  const uint64_t flow = Random() % scenario_.flows;
  const bool reply = config::IsNat(scenario_.mode) && Random() % 2 == 0;
  return reply ? WriteReply(flow, net::kTcpAck, frame) : Write(flow, net::kTcpAck, frame);
}

uint32_t Traffic::Write(uint64_t flow, uint8_t tcp_flags, uint8_t* frame) {
  const auto client = static_cast<uint32_t>(flow / kPortsOfClient % (1 << 24));
  const uint32_t vip = VipOf(flow);
  const VipKind kind = scenario_.KindOf(vip);
  const std::vector<uint8_t>& headers = HeadersOf(kind);
  const uint32_t frame_bytes = std::max<uint32_t>(FrameBytes(), static_cast<uint32_t>(headers.size()));
  const auto ip_bytes = static_cast<uint16_t>(frame_bytes - sizeof(net::EtherHeader));
  std::memcpy(frame, headers.data(), headers.size());
  uint8_t* const ip_at = frame + sizeof(net::EtherHeader);
  const net::IpAddress source = Address(kind.family, kClientNet, 3, client);
  const net::IpAddress destination = VipAddress(kind.family, vip);
  uint8_t* l4_at = nullptr;
  if (kind.family == net::Family::kIpv4) {
    auto& ip = *reinterpret_cast<net::Ipv4Header*>(ip_at);
    ip.total_length = Be16::FromHost(ip_bytes);
    std::memcpy(&ip.source, source.data(), 4);
    std::memcpy(&ip.destination, destination.data(), 4);
    ip.checksum = net::InternetChecksum(ip_at, sizeof(ip));
    l4_at = ip_at + sizeof(ip);
  } else {
    auto& ip = *reinterpret_cast<net::Ipv6Header*>(ip_at);
    ip.payload_length = Be16::FromHost(static_cast<uint16_t>(ip_bytes - sizeof(ip)));
    std::memcpy(&ip.source, source.data(), 16);
    std::memcpy(&ip.destination, destination.data(), 16);
    l4_at = ip_at + sizeof(ip);
  }
  // Few flows of a client differ in their ports; beyond 2^27 flows the port counts on.
  const auto port = Be16::FromHost(
      static_cast<uint16_t>(1024 + flow % kPortsOfClient + (flow / kPortsOfClient >> 24) * kPortsOfClient));
  if (kind.protocol == net::kProtocolUdp) {
    auto& udp = *reinterpret_cast<net::UdpHeader*>(l4_at);
    udp.source_port = port;
    udp.length = Be16::FromHost(static_cast<uint16_t>(frame + frame_bytes - l4_at));
    return frame_bytes;
  }
  auto& tcp = *reinterpret_cast<net::TcpHeader*>(l4_at);
  tcp.source_port = port;
  tcp.flags = tcp_flags;
  // Behind a SYN of number 0 on either side; translation believes a connection that acknowledges the other's.
  tcp.sequence = Be32::FromHost((tcp_flags & net::kTcpSyn) != 0 ? 0u : 1u);
  tcp.acknowledgement = Be32::FromHost((tcp_flags & net::kTcpAck) != 0 ? 1u : 0u);
  if (HasTimestamps(kind) && (tcp_flags & net::kTcpSyn) == 0) {
    std::memcpy(l4_at + sizeof(tcp) + kEchoOffset, &echoes_[flow], sizeof(echoes_[flow]));
  }
  return frame_bytes;
}

}  // namespace sluice::bench
