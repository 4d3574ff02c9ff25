#include "dataplane/lb/vip_table.h"

#include <cstring>
#include <utility>

namespace sluice::lb {
namespace {

VipAddressV4 FromBytes(const uint8_t* bytes, VipAddressV4) {
  VipAddressV4 address;
  std::memcpy(&address.raw, bytes, sizeof(address.raw));
  return address;
}

VipAddressV6 FromBytes(const uint8_t* bytes, VipAddressV6) {
  VipAddressV6 address;
  std::memcpy(&address.high, bytes, sizeof(address.high));
  std::memcpy(&address.low, bytes + sizeof(address.high), sizeof(address.low));
  return address;
}

template <typename Address>
std::vector<VipClaim<Address>> ClaimsOf(const std::vector<VipTable::Vip>& vips, net::Family family) {
  std::vector<VipClaim<Address>> claims;
  for (const VipTable::Vip& vip : vips) {
    if (vip.prefix.address.family() != family) continue;
    claims.push_back({.address = FromBytes(vip.prefix.address.data(), Address()).Masked(vip.prefix.length),
                      .length = vip.prefix.length,
                      .protocol = vip.protocol,
                      .first_port = vip.first_port,
                      .last_port = vip.last_port,
                      .answers_echo = vip.answers_echo,
                      .id = vip.id});
  }
  return claims;
}

}  // namespace

VipTable::VipTable(std::vector<Vip> vips)
    : vips_(std::move(vips)),
      v4_(ClaimsOf<VipAddressV4>(vips_, net::Family::kIpv4), 32),
      v6_(ClaimsOf<VipAddressV6>(vips_, net::Family::kIpv6), 128),
      exact_v4_(ClaimsOf<VipAddressV4>(vips_, net::Family::kIpv4), 32),
      exact_v6_(ClaimsOf<VipAddressV6>(vips_, net::Family::kIpv6), 128) {}

VipAddressV6 VipTable::LoadV6(const uint8_t* address) { return FromBytes(address, VipAddressV6()); }

}  // namespace sluice::lb
