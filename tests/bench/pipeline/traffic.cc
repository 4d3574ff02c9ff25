#include "tests/bench/pipeline/traffic.h"

#include <algorithm>
#include <array>
#include <cstring>

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

// Flow numbers in an order that no prefetcher and no cache guesses: a multiplication that is a bijection of 64 bits.
uint64_t Scatter(uint64_t value) { return value * 0xd134'2543'de82'ef95; }

}  // namespace

net::IpAddress VipAddress(net::Family family, uint32_t index) { return Address(family, kVipNet, 1, index + 1); }
net::IpAddress BackendAddress(net::Family family, uint32_t index) { return Address(family, kBackendNet, 2, index + 1); }
net::MacAddress PortMac() { return net::MacAddress(std::array<uint8_t, 6>{0x02, 0x5c, 0, 0, 0, 0}.data()); }
net::IpAddress PortAddress(net::Family family) { return Address(family, kBackendNet, 2, 0xf'ffff); }

Traffic::Traffic(const Scenario& scenario) : scenario_(scenario) {
  net::EtherHeader ether{};
  std::memcpy(ether.destination, PortMac().data(), sizeof(ether.destination));
  ether.source[0] = 0x02;
  ether.source[5] = 0x01;
  ether.ether_type = Be16::FromHost(scenario.family == net::Family::kIpv4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
  const auto append = [this](const auto& part) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(&part);
    header_.insert(header_.end(), bytes, bytes + sizeof(part));
  };
  append(ether);
  if (scenario.family == net::Family::kIpv4) {
    net::Ipv4Header ip{};
    ip.version_ihl = 0x45;
    ip.ttl = 64;
    ip.protocol = net::kProtocolTcp;
    append(ip);
  } else {
    net::Ipv6Header ip{};
    ip.version_class_flow = Be32::FromHost(0x6000'0000);
    ip.next_header = net::kProtocolTcp;
    ip.hop_limit = 64;
    append(ip);
  }
  net::TcpHeader tcp{};
  tcp.data_offset = 5 << 4;
  tcp.destination_port = Be16::FromHost(kVipPort);
  append(tcp);
}

uint64_t Traffic::Random() {  // xorshift64*
  random_ ^= random_ >> 12;
  random_ ^= random_ << 25;
  random_ ^= random_ >> 27;
  return random_ * 0x2545'f491'4f6c'dd1d;
}

uint32_t Traffic::FrameBytes() {
  if (scenario_.packet_bytes != kImix) return scenario_.packet_bytes;
  const uint64_t draw = Random() % 12;
  return draw < 7 ? 60 : draw < 11 ? 576 : 1500;
}

uint32_t Traffic::Next(uint8_t* frame) {
  if (scenario_.load == Load::kNew) return Write(scenario_.flows + next_new_flow_++, net::kTcpSyn, frame);
  return Write(Random() % scenario_.flows, net::kTcpAck, frame);
}

uint32_t Traffic::Write(uint64_t flow, uint8_t tcp_flags, uint8_t* frame) {
  const uint64_t scattered = Scatter(flow);
  const auto client = static_cast<uint32_t>(flow / kPortsOfClient % (1 << 24));
  const uint32_t vip =
      scenario_.load == Load::kNoVip ? scenario_.vips : static_cast<uint32_t>(scattered >> 40) % scenario_.vips;
  const uint32_t frame_bytes = std::max<uint32_t>(FrameBytes(), static_cast<uint32_t>(header_.size()));
  const auto ip_bytes = static_cast<uint16_t>(frame_bytes - sizeof(net::EtherHeader));
  std::memcpy(frame, header_.data(), header_.size());
  uint8_t* const ip_at = frame + sizeof(net::EtherHeader);
  const net::IpAddress source = Address(scenario_.family, kClientNet, 3, client);
  const net::IpAddress destination = VipAddress(scenario_.family, vip);
  uint8_t* tcp_at = nullptr;
  if (scenario_.family == net::Family::kIpv4) {
    auto& ip = *reinterpret_cast<net::Ipv4Header*>(ip_at);
    ip.total_length = Be16::FromHost(ip_bytes);
    std::memcpy(&ip.source, source.data(), 4);
    std::memcpy(&ip.destination, destination.data(), 4);
    ip.checksum = net::InternetChecksum(ip_at, sizeof(ip));
    tcp_at = ip_at + sizeof(ip);
  } else {
    auto& ip = *reinterpret_cast<net::Ipv6Header*>(ip_at);
    ip.payload_length = Be16::FromHost(static_cast<uint16_t>(ip_bytes - sizeof(ip)));
    std::memcpy(&ip.source, source.data(), 16);
    std::memcpy(&ip.destination, destination.data(), 16);
    tcp_at = ip_at + sizeof(ip);
  }
  auto& tcp = *reinterpret_cast<net::TcpHeader*>(tcp_at);
  // Few flows of a client differ in their ports; beyond 2^27 flows the port counts on.
  tcp.source_port = Be16::FromHost(
      static_cast<uint16_t>(1024 + flow % kPortsOfClient + (flow / kPortsOfClient >> 24) * kPortsOfClient));
  tcp.flags = tcp_flags;
  return frame_bytes;
}

}  // namespace sluice::bench
