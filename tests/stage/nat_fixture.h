#ifndef SLUICE_TESTS_STAGE_NAT_FIXTURE_H_
#define SLUICE_TESTS_STAGE_NAT_FIXTURE_H_

#include <algorithm>
#include <cstdint>
#include <string>

#include "tests/stage/pipeline_fixture.h"

// Frames field by field with checksums from the RFCs, and VIPs with address translation.
namespace sluice::test::nat {

inline constexpr size_t kIp = 14;
inline constexpr uint8_t kSyn = 0x02;
inline constexpr uint8_t kAck = 0x10;
inline constexpr uint8_t kFin = 0x01;
inline constexpr uint8_t kRst = 0x04;

inline bool IsV4(const Bytes& frame) { return frame[kIp] >> 4 == 4; }
inline size_t L4(const Bytes& frame) { return kIp + (IsV4(frame) ? 20 : 40); }

inline uint16_t Get16(const Bytes& frame, size_t at) { return static_cast<uint16_t>(frame[at] << 8 | frame[at + 1]); }
inline uint32_t Get32(const Bytes& frame, size_t at) { return uint32_t{Get16(frame, at)} << 16 | Get16(frame, at + 2); }
inline void Put16(Bytes& frame, size_t at, size_t value) {
  frame[at] = static_cast<uint8_t>(value >> 8);
  frame[at + 1] = static_cast<uint8_t>(value);
}
inline void Put32(Bytes& frame, size_t at, uint32_t value) {
  Put16(frame, at, value >> 16);
  Put16(frame, at + 2, value & 0xffff);
}

// The TCP or UDP checksum of a frame, byte for byte and from the RFCs, with its own field taken as zero.
inline uint16_t L4Checksum(const Bytes& frame) {
  const bool v4 = IsV4(frame);
  const size_t l4 = L4(frame);
  const uint8_t protocol = frame[kIp + (v4 ? 9 : 6)];
  const size_t field = l4 + (protocol == 6 ? 16 : 6);
  const size_t end = v4 ? kIp + Get16(frame, kIp + 2) : l4 + Get16(frame, kIp + 4);
  uint32_t sum = protocol + static_cast<uint32_t>(end - l4);
  for (size_t i = kIp + (v4 ? 12 : 8); i < l4; i += 2) sum += Get16(frame, i);
  for (size_t i = l4; i < end; i += 2) {
    if (i == field) continue;
    sum += i + 1 < end ? Get16(frame, i) : static_cast<uint32_t>(frame[i] << 8);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  const auto result = static_cast<uint16_t>(~sum);
  return protocol == 17 && result == 0 ? uint16_t{0xffff} : result;
}

inline Bytes WithChecksum(Bytes frame) {
  const uint8_t protocol = frame[kIp + (IsV4(frame) ? 9 : 6)];
  Put16(frame, L4(frame) + (protocol == 6 ? 16 : 6), L4Checksum(frame));
  return frame;
}

inline Bytes Frame(const FrameBuilder& builder) { return WithChecksum(builder.Build()); }

// Puts the IPv4 header's checksum in.
inline void SealIpv4(Bytes& frame) {
  Put16(frame, kIp + 10, 0);
  uint32_t sum = 0;
  for (size_t i = kIp; i < kIp + 20; i += 2) sum += Get16(frame, i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  Put16(frame, kIp + 10, ~sum & 0xffff);
}

// A TCP segment with numbers and any options (a multiple of four bytes).
struct Segment {
  FrameBuilder frame;
  uint32_t sequence = 0;
  uint32_t acknowledgement = 0;
  Bytes options = {};
  Bytes data = {};

  Bytes Build() const {
    Bytes bytes = frame.Build();
    const size_t l4 = L4(bytes);
    bytes.resize(l4 + 20);
    bytes.insert(bytes.end(), options.begin(), options.end());
    bytes.insert(bytes.end(), data.begin(), data.end());
    Put32(bytes, l4 + 4, sequence);
    Put32(bytes, l4 + 8, acknowledgement);
    bytes[l4 + 12] = static_cast<uint8_t>((5 + options.size() / 4) << 4);
    if (IsV4(bytes)) {
      Put16(bytes, kIp + 2, bytes.size() - kIp);
      SealIpv4(bytes);
    } else {
      Put16(bytes, kIp + 4, bytes.size() - l4);
    }
    return WithChecksum(bytes);
  }
};

// The frame as it leaves: MAC addresses of the next hop.
inline Bytes To(Bytes frame, const Bytes& destination) {
  std::copy(destination.begin(), destination.end(), frame.begin());
  const Bytes own = {2, 0, 0, 0, 0, 1};
  std::copy(own.begin(), own.end(), frame.begin() + 6);
  return frame;
}
inline const Bytes kRouter = {2, 0, 0, 0, 0, 0x99};
inline Bytes Backend(uint8_t last) { return {2, 0, 0, 0, 1, last}; }

// An error from `router` about the packet in `quoted_frame`, to `destination`; its own checksum is right.
inline Bytes Error(const std::string& router, const std::string& destination, const Bytes& quoted_frame) {
  const bool v4 = IsV4(quoted_frame);
  FrameBuilder outer = {.source = router, .destination = destination, .protocol = static_cast<uint8_t>(v4 ? 1 : 58)};
  outer.payload = quoted_frame.size() - kIp;
  outer.protocol = 17;  // eight bytes of header, as ICMP has
  Bytes frame = outer.Build();
  const size_t at = L4(frame);
  frame[kIp + (v4 ? 9 : 6)] = v4 ? 1 : 58;
  const Bytes header = v4 ? Bytes{3, 4, 0, 0, 0, 0, 5, 0x14} : Bytes{2, 0, 0, 0, 0, 0, 5, 0x14};
  std::copy(header.begin(), header.end(), frame.begin() + static_cast<ptrdiff_t>(at));
  std::copy(quoted_frame.begin() + kIp, quoted_frame.end(), frame.begin() + static_cast<ptrdiff_t>(at + 8));
  uint32_t sum = 0;
  if (v4) {
    SealIpv4(frame);
  } else {
    for (size_t i = kIp + 8; i < at; i += 2) sum += Get16(frame, i);
    sum += 58 + static_cast<uint32_t>(frame.size() - at);
  }
  for (size_t i = at; i < frame.size(); i += 2) {
    sum += i + 1 < frame.size() ? Get16(frame, i) : static_cast<uint32_t>(frame[i] << 8);
  }
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  Put16(frame, at + 2, ~sum & 0xffff);
  return frame;
}

inline Bytes OneHopLess(Bytes frame) {
  if (!IsV4(frame)) {
    --frame[kIp + 7];
    return frame;
  }
  --frame[kIp + 8];
  Put16(frame, kIp + 10, 0);
  uint32_t sum = 0;
  for (size_t i = kIp; i < kIp + 20; i += 2) sum += Get16(frame, i);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  Put16(frame, kIp + 10, ~sum & 0xffff);
  return frame;
}

inline FrameBuilder Between(const std::string& source, uint16_t source_port, const std::string& destination,
                            uint16_t destination_port) {
  return {.source = source,
          .destination = destination,
          .source_port = source_port,
          .destination_port = destination_port,
          .tcp_flags = kAck,
          .payload = 40};
}

struct Family {
  const char* client;
  const char* vip;
  const char* backend;
  const char* local;
  uint8_t backend_mac;
};
inline constexpr Family kV4 = {"198.51.100.1", "203.0.113.20", "192.0.2.11", "192.0.2.100", 11};
inline constexpr Family kV6 = {"2001:db8:c::1", "2001:db8:f::20", "2001:db8::16", "2001:db8::64", 0x16};

// VIPs 203.0.113.20 and 2001:db8:f::20: TCP 80 and UDP 53 with destination NAT, TCP 81 and UDP 54 with full NAT, the
// backends' ports all 8080 for the TCP ones.
class NatTest : public PipelineTest {
 protected:
  NatTest() {
    for (const Family* family : {&kV4, &kV6}) {
      const PoolId pool = family == &kV4 ? pool_v4_ : pool_v6_;
      AddNat(*family, 6, 80, pool, fwd::ForwardingMode::kNat);
      AddNat(*family, 17, 53, pool, fwd::ForwardingMode::kNat);
      AddNat(*family, 6, 81, pool, fwd::ForwardingMode::kFullNat);
      AddNat(*family, 17, 54, pool, fwd::ForwardingMode::kFullNat);
    }
    Rebuild();
  }

  VipId AddNat(const Family& family, uint8_t protocol, uint16_t port, PoolId pool, fwd::ForwardingMode mode) {
    return fixture_.AddVip(family.vip, protocol, port, pool, mode);
  }

  static FrameBuilder FromClient(const Family& f, uint8_t protocol, uint16_t port) {
    return {.source = f.client,
            .destination = f.vip,
            .protocol = protocol,
            .source_port = 40000,
            .destination_port = port,
            .hop_limit = 61,
            .payload = 11};
  }

  // What `builder` becomes on the way to somewhere else.
  static Bytes Changed(FrameBuilder builder, const std::string& source, uint16_t source_port,
                       const std::string& destination, uint16_t destination_port, const Bytes& mac) {
    builder.source = source;
    builder.source_port = source_port;
    builder.destination = destination;
    builder.destination_port = destination_port;
    --builder.hop_limit;
    return To(Frame(builder), mac);
  }

  // Lets a full NAT flow begin; returns the local port it got.
  uint16_t BeginFull(const Family& f, uint16_t client_port = 40000, uint16_t vip_port = 81) {
    FrameBuilder syn = FromClient(f, 6, vip_port);
    syn.source_port = client_port;
    syn.tcp_flags = kSyn;
    syn.payload = 0;
    Run({Frame(syn)});
    if (sent().size() != 1) return 0;
    return Get16(sent()[0].frame, L4(sent()[0].frame));
  }
};

}  // namespace sluice::test::nat

#endif  // SLUICE_TESTS_STAGE_NAT_FIXTURE_H_
