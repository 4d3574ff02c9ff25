#include "tools/backend/map_keys.h"

#include <algorithm>
#include <array>

namespace sluice::backend {
namespace {

constexpr std::array<uint8_t, 12> kMapped = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
constexpr uint32_t kMappedBits = 8 * kMapped.size();

}  // namespace

AddressKey KeyOf(const net::IpAddress& address) {
  AddressKey key{};
  size_t at = 0;
  if (address.is_v4()) {
    std::copy(kMapped.begin(), kMapped.end(), key.bytes);
    at = kMapped.size();
  }
  std::memcpy(key.bytes + at, address.data(), address.size());
  return key;
}

PrefixKey KeyOf(const net::IpPrefix& prefix) {
  PrefixKey key{};
  key.length = static_cast<uint32_t>(prefix.length) + (prefix.address.is_v4() ? kMappedBits : 0);
  key.address = KeyOf(prefix.address);
  for (uint32_t bit = key.length; bit < 8 * sizeof(key.address); ++bit) {
    key.address.bytes[bit / 8] = static_cast<uint8_t>(key.address.bytes[bit / 8] & ~(0x80u >> bit % 8));
  }
  return key;
}

net::IpAddress AddressOf(const AddressKey& key) {
  const bool v4 = std::equal(kMapped.begin(), kMapped.end(), key.bytes);
  return v4 ? net::IpAddress::FromBytes(net::Family::kIpv4, key.bytes + kMapped.size())
            : net::IpAddress::FromBytes(net::Family::kIpv6, key.bytes);
}

net::IpPrefix PrefixOf(const PrefixKey& key) {
  const net::IpAddress address = AddressOf(key.address);
  const bool v4 = address.is_v4() && key.length >= kMappedBits;
  return {v4 ? address : net::IpAddress::FromBytes(net::Family::kIpv6, key.address.bytes),
          static_cast<int>(v4 ? key.length - kMappedBits : key.length)};
}

}  // namespace sluice::backend
