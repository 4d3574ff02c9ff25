#ifndef SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
#define SLUICE_DATAPLANE_LB_FIND_KNOWN_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/lb/connection_table.h"

// Connections that go on, which are nearly all that a packet is ever looked up for, found without a branch for each
// entry: which of a bucket's entries it is, no CPU can predict. One comparison of all entries takes key and state
// together, so that what is found needs no more of the state machine. One bucket is looked at: the first, or where that
// has not room for all, the second. And room for those that begin, found in the same way. For functions that are
// compiled for AVX2.
namespace sluice::lb {

// A connection's key as it is at hand in a packet.
struct TupleV4 {
  __m128i client_and_ports;  // the lower half: the first eight bytes of the key
  VipId vip;
};
struct TupleV6 {
  const uint8_t* client;  // the address
  uint32_t ports;         // those of the key, the client's first
  VipId vip;
};

// The VIP's id and ConnectionValue, with which every entry ends, as one number, and the bits of it that FindKnown and
// FindRoom compare.
constexpr uint64_t EndOf(VipId vip, const ConnectionValue& value) {
  return uint64_t{vip.value()} | uint64_t{value.backend.value()} << 16 | uint64_t{value.last_seen_s} << 32 |
         uint64_t{value.generation} << 48 | uint64_t{value.state_bits} << 56;
}
constexpr uint64_t EndOf(VipId vip, FlowState state) {
  return uint64_t{vip.value()} | uint64_t{static_cast<uint8_t>(state)} << 56;
}
inline constexpr uint64_t kStateOfEnd = uint64_t{0x07} << 56;
inline constexpr uint64_t kVipOfEnd = 0xffff;

// An IPv4 entry of the tuple, with this end.
__attribute__((target("avx2,bmi"))) inline __m128i EntryOf(const TupleV4& tuple, uint64_t end) {
  return _mm_insert_epi64(tuple.client_and_ports, static_cast<long long>(end), 1);
}

// Which halves of the entries are as wanted, all ones: the first eight bytes, and the end, as far as the mask goes.
struct EqualHalves {
  __m256i first_two, last_two;
};
__attribute__((target("avx2,bmi"))) inline EqualHalves CompareHalves(const ConnectionTableV4::Entries& entries,
                                                                     __m128i wanted_entry, uint64_t end_mask) {
  static_assert(offsetof(ConnectionEntryV4, value) == 10 && sizeof(entries) == 64);
  const __m256i wanted = _mm256_broadcastsi128_si256(wanted_entry);
  const auto mask = static_cast<long long>(end_mask);
  const __m256i masks = _mm256_set_epi64x(mask, -1, mask, -1);
  const auto* const halves = reinterpret_cast<const __m256i*>(entries.data());
  return {.first_two = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(halves), masks), wanted),
          .last_two = _mm256_cmpeq_epi64(_mm256_and_si256(_mm256_load_si256(halves + 1), masks), wanted)};
}

// The entry that is `wanted`, but for what else its end says than VIP and state; or null. `wanted`: EntryOf those.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV4* FindWanted(ConnectionTableV4::Entries& entries,
                                                                         __m128i wanted) {
  const EqualHalves equal = CompareHalves(entries, wanted, kVipOfEnd | kStateOfEnd);
  // Both halves of an entry side by side, in 64 bits: of the first, the third, the second and the last.
  const __m256i whole = _mm256_cmpeq_epi64(_mm256_packs_epi32(equal.first_two, equal.last_two), _mm256_set1_epi64x(-1));
  const auto found = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(whole)));
  if (found == 0) return nullptr;
  // In bytes. There is never more than one.
  static constexpr std::array<uint8_t, 16> kPlace = {0, 0, 32, 0, 16, 0, 0, 0, 48};
  return reinterpret_cast<ConnectionEntryV4*>(reinterpret_cast<uint8_t*>(entries.data()) + kPlace[found]);
}

// The entry whose first half this is, by an address that needs no shifts.
inline ConnectionEntryV4* EntryOfHalf(ConnectionTableV4::Entries& entries, size_t half) {
  static_assert(sizeof(ConnectionEntryV4) == 2 * sizeof(uint64_t));
  return reinterpret_cast<ConnectionEntryV4*>(reinterpret_cast<uint8_t*>(entries.data()) + half * sizeof(uint64_t));
}

// Whether the entry is the tuple's and its end is this, as far as the mask goes.
__attribute__((target("avx2,bmi"))) inline unsigned IsEqual(const ConnectionEntryV6& entry, const TupleV6& tuple,
                                                            uint64_t end, uint64_t end_mask) {
  static_assert(offsetof(ConnectionEntryV6, value) == 22 && sizeof(ConnectionEntryV6) == 28);
  // The last 16 bytes of an entry begin with the address's last four.
  constexpr size_t kTail = sizeof(ConnectionEntryV6) - sizeof(__m128i);
  uint32_t last_of_client = 0;
  std::memcpy(&last_of_client, tuple.client + kTail, sizeof(last_of_client));
  const __m128i address = _mm_loadu_si128(reinterpret_cast<const __m128i*>(tuple.client));
  const __m128i tail =
      _mm_set_epi64x(static_cast<long long>(end), static_cast<long long>(last_of_client | uint64_t{tuple.ports} << 32));
  const __m128i mask = _mm_set_epi64x(static_cast<long long>(end_mask), -1);
  const auto* const at = reinterpret_cast<const uint8_t*>(&entry);
  const __m128i differs = _mm_or_si128(
      _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)), address),
      _mm_xor_si128(_mm_and_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at + kTail)), mask), tail));
  return static_cast<unsigned>(_mm_testz_si128(differs, differs));
}

// The connection's entry, if it is in this state, or null.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV4* FindKnown(ConnectionTableV4::Entries& entries,
                                                                        const TupleV4& tuple, FlowState state) {
  return FindWanted(entries, EntryOf(tuple, EndOf(tuple.vip, state)));
}
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV6* FindKnown(ConnectionTableV6::Entries& entries,
                                                                        const TupleV6& tuple, FlowState state) {
  static_assert(ConnectionTableV6::kWays == 2);
  const uint64_t end = EndOf(tuple.vip, state);
  const unsigned second = IsEqual(entries[1], tuple, end, kVipOfEnd | kStateOfEnd);
  if ((IsEqual(entries[0], tuple, end, kVipOfEnd | kStateOfEnd) | second) == 0) return nullptr;
  return entries.data() + second;
}

// The entry that ConnectionTable::Insert would take for a connection that the table does not have: the first free one.
// Null where it is not certain that it has not: an entry, living or not, may be the connection's, or did not fit here;
// or all are taken.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV4* FindRoom(ConnectionTableV4::Entries& entries,
                                                                       const TupleV4& tuple) {
  // Of client and ports alone, whichever the VIP: then an entry's other half says that it is free.
  static_assert(EndOf(VipId(0), FlowState::kFree) == 0);
  const EqualHalves equal = CompareHalves(entries, _mm_move_epi64(tuple.client_and_ports), kStateOfEnd);
  const auto halves = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(equal.first_two)) |
                                            _mm256_movemask_pd(_mm256_castsi256_pd(equal.last_two)) << 4);
  if ((halves & 0x55) != 0) return nullptr;
  const unsigned room = halves & 0xaa;
  if (room == 0 || ConnectionTableV4::Overflows(entries)) return nullptr;
  return EntryOfHalf(entries, static_cast<size_t>(__builtin_ctz(room)) - 1);
}
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV6* FindRoom(ConnectionTableV6::Entries& entries,
                                                                       const TupleV6& tuple) {
  const uint64_t end = EndOf(tuple.vip, FlowState::kFree);
  const unsigned known = IsEqual(entries[0], tuple, end, kVipOfEnd) | IsEqual(entries[1], tuple, end, kVipOfEnd);
  ConnectionEntryV6* const room = entries.data() + (entries[0].state() == FlowState::kFree ? 0 : 1);
  if (known != 0 || room->state() != FlowState::kFree || ConnectionTableV6::Overflows(entries)) return nullptr;
  return room;
}

// Makes an entry that FindRoom gave the connection's, in few stores. `whole`: EntryOf it, with backend and generation
// 0, which are what varies in a run of connections that begin.
__attribute__((target("avx2,bmi"))) inline void Fill(ConnectionEntryV4& entry, __m128i whole, BackendId backend,
                                                     uint8_t generation) {
  constexpr int kBackend = offsetof(ConnectionEntryV4, value) + offsetof(ConnectionValue, backend);
  constexpr int kGeneration = offsetof(ConnectionEntryV4, value) + offsetof(ConnectionValue, generation);
  static_assert(sizeof(entry) == sizeof(__m128i) && kBackend % 2 == 0);
  whole = _mm_insert_epi16(whole, backend.value(), kBackend / 2);
  whole = _mm_insert_epi8(whole, generation, kGeneration);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&entry), whole);
}
inline void Fill(ConnectionEntryV6& entry, const TupleV6& tuple, const ConnectionValue& value) {
  auto* const at = reinterpret_cast<uint8_t*>(&entry);
  const uint64_t end = EndOf(tuple.vip, value);
  std::memcpy(at, tuple.client, 16);
  std::memcpy(at + 16, &tuple.ports, sizeof(tuple.ports));
  std::memcpy(at + 20, &end, sizeof(end));
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
