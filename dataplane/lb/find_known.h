#ifndef SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
#define SLUICE_DATAPLANE_LB_FIND_KNOWN_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/lb/connection_table.h"

// Connections that go on, which are nearly all that a packet is ever looked up for, found without a branch for each
// entry: which of a bucket's entries it is, no CPU can predict. One comparison of all entries takes key and state
// together, so that what is found needs no more of the state machine. One bucket is looked at: the first, or where that
// has not room for all, the second. And room for those that begin. For functions that are compiled for AVX2.
namespace sluice::lb {

// The bits of ConnectionValue that must be as `state`, and those of the VIP's id in front of it, as one number of 64
// bits that ends with the entry.
inline constexpr uint64_t kVipAndStateMask = uint64_t{0x07} << 56 | 0xffff;
constexpr uint64_t VipAndState(VipId vip, FlowState state) {
  return uint64_t{static_cast<uint8_t>(state)} << 56 | vip.value();
}

// The entry of the key in this state, or null. `client_and_ports`: the first eight bytes of the key.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV4* FindKnown(
    std::array<ConnectionEntryV4, ConnectionTableV4::kWays>& entries, uint64_t client_and_ports, VipId vip,
    FlowState state) {
  static_assert(offsetof(ConnectionEntryV4, value) == 10 && sizeof(entries) == 64);
  const auto first = static_cast<long long>(client_and_ports);
  const auto second = static_cast<long long>(VipAndState(vip, state));
  const auto mask = static_cast<long long>(kVipAndStateMask);
  const __m256i wanted = _mm256_set_epi64x(second, first, second, first);
  const __m256i masks = _mm256_set_epi64x(mask, -1, mask, -1);
  const auto* const halves = reinterpret_cast<const __m256i*>(entries.data());
  const __m256i low = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(halves), masks), wanted);
  const __m256i high = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(halves + 1), masks), wanted);
  // Two bits for each entry; both of one are set where all of it is as wanted.
  const auto equal = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(low)) |
                                           _mm256_movemask_pd(_mm256_castsi256_pd(high)) << 4);
  const unsigned found = equal & equal >> 1 & 0x55;
  if (found == 0) return nullptr;
  return &entries[static_cast<size_t>(__builtin_ctz(found)) / 2];
}

// The same of IPv6. `client`: the address; `ports`: those of the key, the client's first.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV6* FindKnown(
    std::array<ConnectionEntryV6, ConnectionTableV6::kWays>& entries, const uint8_t* client, uint32_t ports, VipId vip,
    FlowState state) {
  static_assert(offsetof(ConnectionEntryV6, value) == 22 && sizeof(ConnectionEntryV6) == 28);
  // The last 16 bytes of an entry begin with the address's last four.
  constexpr size_t kTail = sizeof(ConnectionEntryV6) - sizeof(__m128i);
  uint32_t last_of_client = 0;
  std::memcpy(&last_of_client, client + kTail, sizeof(last_of_client));
  const __m128i address = _mm_loadu_si128(reinterpret_cast<const __m128i*>(client));
  const __m128i tail = _mm_set_epi64x(static_cast<long long>(VipAndState(vip, state)),
                                      static_cast<long long>(last_of_client | uint64_t{ports} << 32));
  const __m128i mask = _mm_set_epi64x(static_cast<long long>(kVipAndStateMask), -1);
  const auto is_wanted = [&](const ConnectionEntryV6& entry) __attribute__((target("avx2,bmi"))) {
    const auto* const at = reinterpret_cast<const uint8_t*>(&entry);
    const __m128i differs = _mm_or_si128(
        _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), address),
        _mm_xor_si128(_mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + kTail)), mask), tail));
    return static_cast<unsigned>(_mm_testz_si128(differs, differs));
  };
  static_assert(ConnectionTableV6::kWays == 2);
  const unsigned second = is_wanted(entries[1]);
  if ((is_wanted(entries[0]) | second) == 0) return nullptr;
  return entries.data() + second;
}

// The entry that ConnectionTable::Insert would take for a key that the table does not have: the first free one. Null
// where it is not certain that it has not: an entry, living or not, is the key's or did not fit here; or all are taken.
template <typename Entry, size_t kWays>
inline Entry* FindRoom(std::array<Entry, kWays>& entries, const decltype(Entry::key)& key) {
  constexpr uint8_t kStateBits = 0x07;
  constexpr uint8_t kOverflowBits = 0xf0;
  bool known = (entries[0].value.state_bits & kOverflowBits) != 0;
  size_t room = kWays;
  for (size_t i = kWays; i-- > 0;) {
    known |= entries[i].key == key;
    room = (entries[i].value.state_bits & kStateBits) == 0 ? i : room;
  }
  return known || room == kWays ? nullptr : &entries[room];
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
