#ifndef SLUICE_CONFIG_PORT_RANGE_H_
#define SLUICE_CONFIG_PORT_RANGE_H_

#include <compare>
#include <cstdint>

namespace sluice::config {

// The ports of a VIP or of full NAT, both ends included.
struct PortRange {
  uint16_t first = 0;  // 1 to 65535; 0 with all ports only
  uint16_t last = 0;
  static constexpr PortRange All() { return {0, 65535}; }
  static constexpr PortRange Single(uint16_t port) { return {port, port}; }
  constexpr bool is_all() const { return first == 0 && last == 65535; }
  constexpr bool is_single() const { return first == last; }
  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_PORT_RANGE_H_
