#ifndef SLUICE_DATAPLANE_STAGE_MARTIAN_H_
#define SLUICE_DATAPLANE_STAGE_MARTIAN_H_

#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/net/address.h"
#include "dataplane/net/bytes.h"

namespace sluice::stage {

// A source that no client can have: of no host, of this one, of a group, or the destination itself. Addresses of 4 or
// 16 bytes.
inline bool IsMartian(net::Family family, const uint8_t* source, const uint8_t* destination) {
  if (family == net::Family::kIpv4) {
    return source[0] == 0 || source[0] == 127 || source[0] >= 224 || std::memcmp(source, destination, 4) == 0;
  }
  const auto high = net::Load<uint64_t>(source);
  const auto low = net::Load<Be64>(source + sizeof(high)).Host();
  return source[0] == 0xff || (high == 0 && low <= 1) || std::memcmp(source, destination, 16) == 0;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_MARTIAN_H_
