#ifndef SLUICE_DATAPLANE_STAGE_COMMON_OFFSETS_H_
#define SLUICE_DATAPLANE_STAGE_COMMON_OFFSETS_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"

// Where things lie in an untagged frame whose IP header has no options. In bytes from the frame's first.
namespace sluice::stage {

inline constexpr uint16_t kL3 = sizeof(net::EtherHeader);
template <net::Family family>
inline constexpr uint16_t kIpBytes = family == net::Family::kIpv4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header);
template <net::Family family>
inline constexpr uint16_t kL4 = kL3 + kIpBytes<family>;
template <net::Family family>
inline constexpr uint16_t kSource =
    kL3 + (family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, source) : offsetof(net::Ipv6Header, source));
template <net::Family family>
inline constexpr uint16_t kDestination = kL3 + (family == net::Family::kIpv4 ? offsetof(net::Ipv4Header, destination)
                                                                             : offsetof(net::Ipv6Header, destination));

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_COMMON_OFFSETS_H_
