#ifndef SLUICE_TESTS_STAGE_FRAMES_H_
#define SLUICE_TESTS_STAGE_FRAMES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace sluice::test {

using Bytes = std::vector<uint8_t>;

// The director's own MAC address on every port of the fixture.
inline constexpr uint8_t kOwnMac[6] = {2, 0, 0, 0, 0, 1};

// Builds frames field by field; what is not set is a plain TCP SYN from 198.51.100.1:40000 to 203.0.113.10:80.
struct FrameBuilder {
  std::string source = "198.51.100.1";
  std::string destination = "203.0.113.10";
  uint8_t protocol = 6;
  uint16_t source_port = 40000;
  uint16_t destination_port = 80;
  uint8_t tcp_flags = 2;
  uint8_t tos = 0;
  uint8_t hop_limit = 61;
  uint16_t id = 7;        // IPv4's
  uint16_t fragment = 0;  // IPv4's flags and offset
  size_t payload = 0;
  size_t padding = 0;
  size_t vlan_tags = 0;
  uint8_t destination_mac_first = 2;
  bool bad_checksum = false;

  Bytes Build() const;
};

// The same over IPv6.
inline FrameBuilder V6() { return {.source = "2001:db8:c::1", .destination = "2001:db8:f::10"}; }

}  // namespace sluice::test

#endif  // SLUICE_TESTS_STAGE_FRAMES_H_
