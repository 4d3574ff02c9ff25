#ifndef SLUICE_DATAPLANE_LB_PREFIX_TABLE_H_
#define SLUICE_DATAPLANE_LB_PREFIX_TABLE_H_

#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

struct PrefixValue {
  net::IpPrefix prefix;  // host bits are ignored
  uint32_t value = 0;    // below PrefixTable::kNone
  friend bool operator==(const PrefixValue&, const PrefixValue&) = default;
};

// Longest prefix match for both families. Immutable once built.
//
// Nested prefixes are cut into disjoint intervals in ascending order, which are searched by bisection; an index over
// the leading bits, of about one place for four intervals and at most 2^16 places, leaves a few steps of it. A million
// prefixes take about 16 MB (IPv4), 8 bytes for each interval (IPv6: 20).
class PrefixTable {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  PrefixTable() : PrefixTable(std::vector<PrefixValue>()) {}
  // Of equal prefixes the last one counts. Any order.
  explicit PrefixTable(const std::vector<PrefixValue>& prefixes);

  // The value of the longest prefix that has the address (network byte order; LookupV6: 16 bytes); kNone without one.
  // Any thread.
  uint32_t LookupV4(Be32 address) const { return v4_.Lookup(address.Host()); }
  uint32_t LookupV6(const uint8_t* address) const { return v6_.Lookup(LoadV6(address)); }

 private:
  using KeyV4 = uint32_t;
  struct KeyV6 {
    uint64_t high = 0;  // host byte order
    uint64_t low = 0;
    friend constexpr auto operator<=>(const KeyV6&, const KeyV6&) = default;
  };
  static KeyV6 LoadV6(const uint8_t* address);
  static KeyV4 LoadKey(const net::IpAddress& address, KeyV4);
  static KeyV6 LoadKey(const net::IpAddress& address, KeyV6);
  // The last key of the prefix.
  static KeyV4 LastKey(KeyV4 first, int length);
  static KeyV6 LastKey(KeyV6 first, int length);
  static KeyV4 FirstKey(KeyV4 any, int length) { return length == 0 ? 0 : any & ~uint32_t{0} << (32 - length); }
  static KeyV6 FirstKey(KeyV6 any, int length);
  // The key after this one, which is not the last of all.
  static KeyV4 Next(KeyV4 key) { return key + 1; }
  static KeyV6 Next(KeyV6 key) { return {key.low == UINT64_MAX ? key.high + 1 : key.high, key.low + 1}; }
  // The leading `bits` bits, 0 to 16.
  static size_t Leading(KeyV4 key, int bits) { return static_cast<size_t>(uint64_t{key} >> (32 - bits)); }
  static size_t Leading(KeyV6 key, int bits) { return bits == 0 ? 0 : static_cast<size_t>(key.high >> (64 - bits)); }

  template <typename Key>
  class Intervals {
   public:
    void Build(const std::vector<PrefixValue>& prefixes, net::Family family);

    uint32_t Lookup(Key key) const {
      const size_t place = Leading(key, index_bits_);
      // The interval of the key begins at or before it: the last such one. The first of all begins at the first key.
      size_t low = index_[place];
      size_t count = index_[place + 1] - low;
      while (count > 0) {
        const size_t half = count / 2;
        const bool after = starts_[low + half] <= key;
        low = after ? low + half + 1 : low;
        count = after ? count - half - 1 : half;
      }
      return values_[low - 1];
    }

   private:
    void Append(Key start, uint32_t value);

    std::vector<Key> starts_;       // ascending
    std::vector<uint32_t> values_;  // of the interval from there to the next
    std::vector<uint32_t> index_;   // leading bits -> first interval that begins with them or later; one place more
    int index_bits_ = 0;
  };

  Intervals<KeyV4> v4_;
  Intervals<KeyV6> v6_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_PREFIX_TABLE_H_
