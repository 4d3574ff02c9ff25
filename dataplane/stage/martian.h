#ifndef SLUICE_DATAPLANE_STAGE_MARTIAN_H_
#define SLUICE_DATAPLANE_STAGE_MARTIAN_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"
#include "dataplane/net/bytes.h"

namespace sluice::stage {

// By an IPv4 address's first byte: one look tells what three comparisons would.
inline constexpr std::array<bool, 256> kNoSourcesV4 = [] {
  std::array<bool, 256> none{};
  for (size_t first = 0; first < none.size(); ++first) none[first] = first == 0 || first == 127 || first >= 224;
  return none;
}();

// A source that no client can have: of no host, of this one, of a group, or the destination itself. Addresses of 4 or
// 16 bytes.
inline bool IsMartian(net::Family family, const uint8_t* source, const uint8_t* destination) {
  if (family == net::Family::kIpv4) {
    return kNoSourcesV4[source[0]] || std::memcmp(source, destination, 4) == 0;
  }
  // In halves: the first one of nearly all tells.
  const auto high = net::Load<uint64_t>(source);
  const auto low_of = [](const uint8_t* address) { return net::Load<Be64>(address + sizeof(high)).Host(); };
  if (source[0] == 0xff) return true;
  if (high == 0 && low_of(source) <= 1) [[unlikely]]
    return true;
  return high == net::Load<uint64_t>(destination) && low_of(source) == low_of(destination);
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_MARTIAN_H_
