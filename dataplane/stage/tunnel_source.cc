#include "dataplane/stage/tunnel_source.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace sluice::stage {

TunnelSource ToTunnelSource(const std::optional<net::IpPrefix>& prefix) {
  TunnelSource source;
  if (!prefix) return source;
  source.enabled = true;
  for (size_t i = 0; i < prefix->address.size(); ++i) {
    const int network_bits = std::clamp(prefix->length - 8 * static_cast<int>(i), 0, 8);
    source.host_mask[i] = static_cast<uint8_t>(0xff >> network_bits);
    source.prefix[i] = static_cast<uint8_t>(prefix->address.data()[i] & ~source.host_mask[i]);
  }
  return source;
}

}  // namespace sluice::stage
