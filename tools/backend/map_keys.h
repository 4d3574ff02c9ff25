#ifndef SLUICE_TOOLS_BACKEND_MAP_KEYS_H_
#define SLUICE_TOOLS_BACKEND_MAP_KEYS_H_

#include <compare>
#include <cstring>

#include "dataplane/net/address.h"
#include "tools/backend/abi.h"

namespace sluice::backend {

// Addresses as the programs' maps hold them: 16 bytes, IPv4 mapped into ::ffff:0:0/96.
AddressKey KeyOf(const net::IpAddress& address);
// The bits behind the prefix are zero, so that equal prefixes have equal keys.
PrefixKey KeyOf(const net::IpPrefix& prefix);

// Back again, for the status.
net::IpAddress AddressOf(const AddressKey& key);
net::IpPrefix PrefixOf(const PrefixKey& key);

// For containers of keys.
struct KeyLess {
  template <typename Key>
  bool operator()(const Key& a, const Key& b) const {
    return std::memcmp(&a, &b, sizeof(Key)) < 0;
  }
};

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_MAP_KEYS_H_
