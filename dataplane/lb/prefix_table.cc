#include "dataplane/lb/prefix_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace sluice::lb {
namespace {

constexpr int kMaxIndexBits = 16;
constexpr size_t kIntervalsPerPlace = 4;

// Ones in the last 64 - `bits` bits.
constexpr uint64_t HostMask(int bits) {
  if (bits <= 0) return UINT64_MAX;
  return bits >= 64 ? 0 : UINT64_MAX >> bits;
}

}  // namespace

PrefixTable::KeyV6 PrefixTable::LoadV6(const uint8_t* address) {
  KeyV6 key;
  std::memcpy(&key.high, address, sizeof(key.high));
  std::memcpy(&key.low, address + sizeof(key.high), sizeof(key.low));
  return {__builtin_bswap64(key.high), __builtin_bswap64(key.low)};
}

PrefixTable::KeyV4 PrefixTable::LoadKey(const net::IpAddress& address, KeyV4) { return address.v4().Host(); }
PrefixTable::KeyV6 PrefixTable::LoadKey(const net::IpAddress& address, KeyV6) { return LoadV6(address.data()); }

PrefixTable::KeyV4 PrefixTable::LastKey(KeyV4 first, int length) {
  return first | static_cast<KeyV4>(HostMask(32 + length));
}
PrefixTable::KeyV6 PrefixTable::LastKey(KeyV6 first, int length) {
  return {first.high | HostMask(length), first.low | HostMask(length - 64)};
}
PrefixTable::KeyV6 PrefixTable::FirstKey(KeyV6 any, int length) {
  return {any.high & ~HostMask(length), any.low & ~HostMask(length - 64)};
}

PrefixTable::PrefixTable(const std::vector<PrefixValue>& prefixes) {
  v4_.Build(prefixes, net::Family::kIpv4);
  v6_.Build(prefixes, net::Family::kIpv6);
}

template <typename Key>
void PrefixTable::Intervals<Key>::Append(Key start, uint32_t value) {
  if (!starts_.empty() && starts_.back() == start) {
    values_.back() = value;
    return;
  }
  starts_.push_back(start);
  values_.push_back(value);
}

template <typename Key>
void PrefixTable::Intervals<Key>::Build(const std::vector<PrefixValue>& prefixes, net::Family family) {
  struct Range {
    Key first;
    Key last;
    uint32_t value;
  };
  std::vector<Range> ranges;
  for (const PrefixValue& each : prefixes) {
    if (each.prefix.address.family() != family) continue;
    const Key first = FirstKey(LoadKey(each.prefix.address, Key()), each.prefix.length);
    ranges.push_back({first, LastKey(first, each.prefix.length), each.value});
  }
  // Those that contain others come before them; equal ones stay in their order.
  std::stable_sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.first != b.first ? a.first < b.first : b.last < a.last;
  });
  std::vector<Range> open;  // each within the one before it
  Append(Key(), kNone);
  const auto close = [&] {
    const Key last = open.back().last;
    open.pop_back();
    // Where several end together, the outermost one comes last and replaces what the others said.
    if (last != LastKey(Key(), 0)) Append(Next(last), open.empty() ? kNone : open.back().value);
  };
  for (const Range& range : ranges) {
    while (!open.empty() && open.back().last < range.first) close();
    Append(range.first, range.value);
    open.push_back(range);
  }
  while (!open.empty()) close();

  index_bits_ = std::clamp(static_cast<int>(std::bit_width(starts_.size() / kIntervalsPerPlace)), 0, kMaxIndexBits);
  index_.assign((size_t{1} << index_bits_) + 1, static_cast<uint32_t>(starts_.size()));
  for (size_t i = starts_.size(); i-- > 0;) index_[Leading(starts_[i], index_bits_)] = static_cast<uint32_t>(i);
  // Places where no interval begins: those of the next place.
  for (size_t place = index_.size() - 1; place-- > 0;) index_[place] = std::min(index_[place], index_[place + 1]);
}

}  // namespace sluice::lb
