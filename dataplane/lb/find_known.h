#ifndef SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
#define SLUICE_DATAPLANE_LB_FIND_KNOWN_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/lb/connection_table.h"
#include "dataplane/net/bytes.h"

// Connections that go on, which are nearly all that a packet is ever looked up for, found without a branch for each
// entry: which of a bucket's entries it is, no CPU can predict. One comparison of all entries takes key and state
// together, so that what is found needs no more of the state machine. One bucket is looked at: the first, or where that
// has not room for all, the second. And room for those that begin, found in the same way. For functions that are
// compiled for AVX2.
namespace sluice::lb {

// A connection's key as it is at hand in a packet, but for the VIP, which is of EndOf.
struct TupleV4 {
  __m128i client_and_ports;  // the lower half: the first eight bytes of the key
};
struct TupleV6 {
  __m128i client;  // the address
  uint32_t ports;  // those of the key, the client's first
};

// An IPv6 entry, and zeros behind it. In halves: so it is made, and what is stored of 32 bytes g++ takes apart again.
struct EntryBytesV6 {
  __m128i client;
  __m128i ports_and_end;
};

// The VIP's id and ConnectionValue, with which every entry ends, as one number, and the bits of it that FindWanted and
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

// An entry of the tuple, with this end.
__attribute__((target("avx2,bmi"))) inline __m128i EntryOf(const TupleV4& tuple, uint64_t end) {
  return _mm_insert_epi64(tuple.client_and_ports, static_cast<long long>(end), 1);
}
__attribute__((target("avx2,bmi"))) inline EntryBytesV6 EntryOf(const TupleV6& tuple, uint64_t end) {
  return {.client = tuple.client,
          .ports_and_end =
              _mm_set_epi32(0, static_cast<int>(end >> 32), static_cast<int>(end), static_cast<int>(tuple.ports))};
}

// The key of an entry that EntryOf made, where its bytes are wanted.
inline ConnectionKeyV4 KeyOf(const __m128i& entry) {
  const auto* const at = reinterpret_cast<const uint8_t*>(&entry);
  return {.client = net::Load<uint32_t>(at),
          .client_port = net::Load<Be16>(at + 4),
          .destination_port = net::Load<Be16>(at + 6),
          .vip = net::Load<VipId>(at + 8)};
}
inline ConnectionKeyV6 KeyOf(const EntryBytesV6& entry) {
  const auto* const at = reinterpret_cast<const uint8_t*>(&entry);
  return {.client_high = net::Load<uint64_t>(at),
          .client_low = net::Load<uint64_t>(at + 8),
          .client_port = net::Load<Be16>(at + 16),
          .destination_port = net::Load<Be16>(at + 18),
          .vip = net::Load<VipId>(at + 20)};
}

// The entry with another end; `change`: the bits in which the ends differ.
__attribute__((target("avx2,bmi"))) inline __m128i ChangeEnd(__m128i entry, uint64_t change) {
  return _mm_xor_si128(entry, EntryOf(TupleV4{.client_and_ports = _mm_setzero_si128()}, change));
}
__attribute__((target("avx2,bmi"))) inline EntryBytesV6 ChangeEnd(const EntryBytesV6& entry, uint64_t change) {
  const TupleV6 none = {.client = _mm_setzero_si128(), .ports = 0};
  return {.client = entry.client,
          .ports_and_end = _mm_xor_si128(entry.ports_and_end, EntryOf(none, change).ports_and_end)};
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

// The bits of an IPv6 entry that are its key, and of its end those of the mask.
__attribute__((target("avx2,bmi"))) inline __m256i KeyAndEnd(uint64_t end_mask) {
  const TupleV6 all = {.client = _mm_set1_epi64x(-1), .ports = UINT32_MAX};
  const EntryBytesV6 mask = EntryOf(all, end_mask);
  return _mm256_set_m128i(mask.ports_and_end, mask.client);
}
// Not the usual intrinsic, of which g++ makes two instructions.
__attribute__((target("avx2,bmi"))) inline __m256i LoadEntry(const void* at) {
  return _mm256_lddqu_si256(static_cast<const __m256i*>(at));
}
// Whether the entry is `wanted`, as far as the mask goes. `wanted` has no other bits.
__attribute__((target("avx2,bmi"))) inline unsigned IsEqual(const ConnectionEntryV6& entry, __m256i wanted,
                                                            __m256i mask) {
  static_assert(offsetof(ConnectionEntryV6, value) == 22 && sizeof(ConnectionEntryV6) == 28);
  static_assert((ConnectionTableV6::kWays - 1) * sizeof(entry) + sizeof(wanted) <= ConnectionTableV6::kCacheLine,
                "what is read behind an entry is of the bucket too");
  const __m256i differs = _mm256_xor_si256(_mm256_and_si256(LoadEntry(&entry), mask), wanted);
  return static_cast<unsigned>(_mm256_testz_si256(differs, differs));
}
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV6* FindWanted(ConnectionTableV6::Entries& entries,
                                                                         const EntryBytesV6& wanted) {
  static_assert(ConnectionTableV6::kWays == 2);
  const __m256i bytes = LoadEntry(&wanted);
  const __m256i mask = KeyAndEnd(kVipOfEnd | kStateOfEnd);
  const unsigned second = IsEqual(entries[1], bytes, mask);
  if ((IsEqual(entries[0], bytes, mask) | second) == 0) return nullptr;
  return entries.data() + second;
}

// The entry that ConnectionTable::Insert would take for a connection that the table does not have: the first free one.
// Null where it is not certain that it has not: an entry, living or not, may be the connection's, or did not fit here;
// or all are taken. `wanted`: EntryOf the connection, in whichever state.
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV4* FindRoom(ConnectionTableV4::Entries& entries,
                                                                       __m128i wanted) {
  // Of client and ports alone, whichever the VIP: then an entry's other half says that it is free.
  static_assert(EndOf(VipId(0), FlowState::kFree) == 0);
  const EqualHalves equal = CompareHalves(entries, _mm_move_epi64(wanted), kStateOfEnd);
  const auto halves = static_cast<unsigned>(_mm256_movemask_pd(_mm256_castsi256_pd(equal.first_two)) |
                                            _mm256_movemask_pd(_mm256_castsi256_pd(equal.last_two)) << 4);
  if ((halves & 0x55) != 0) return nullptr;
  const unsigned room = halves & 0xaa;
  if (room == 0 || ConnectionTableV4::Overflows(entries)) return nullptr;
  return EntryOfHalf(entries, static_cast<size_t>(__builtin_ctz(room)) - 1);
}
__attribute__((target("avx2,bmi"))) inline ConnectionEntryV6* FindRoom(ConnectionTableV6::Entries& entries,
                                                                       const EntryBytesV6& wanted) {
  const __m256i mask = KeyAndEnd(kVipOfEnd);
  const __m256i key = _mm256_and_si256(LoadEntry(&wanted), mask);
  const unsigned known = IsEqual(entries[0], key, mask) | IsEqual(entries[1], key, mask);
  ConnectionEntryV6* const room = entries.data() + (entries[0].state() == FlowState::kFree ? 0 : 1);
  if (known != 0 || room->state() != FlowState::kFree || ConnectionTableV6::Overflows(entries)) return nullptr;
  return room;
}

// Whether all of a bucket's entries are taken. Without a branch for each, as above.
__attribute__((target("avx2,bmi"))) inline bool IsFull(const ConnectionTableV4::Entries& entries) {
  const EqualHalves equal = CompareHalves(entries, _mm_setzero_si128(), kStateOfEnd);
  const __m256i free = _mm256_unpackhi_epi64(equal.first_two, equal.last_two);
  return _mm256_testz_si256(free, free) != 0;
}
inline bool IsFull(const ConnectionTableV6::Entries& entries) {
  const auto is_taken = [&](size_t i) { return static_cast<unsigned>(entries[i].state() != FlowState::kFree); };
  return (is_taken(0) & is_taken(1)) != 0;
}
// Whether a connection that these entries of its first bucket do not have may lie in its second one, or begin there.
template <typename Entry, size_t ways>
__attribute__((target("avx2,bmi"))) inline bool NeedsSecond(const std::array<Entry, ways>& entries) {
  const bool overflows = ConnectionTable<Entry>::Overflows(entries);
  return (static_cast<unsigned>(IsFull(entries)) | static_cast<unsigned>(overflows)) != 0;
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
__attribute__((target("avx2,bmi"))) inline void Fill(ConnectionEntryV6& entry, const EntryBytesV6& whole,
                                                     BackendId backend, uint8_t generation) {
  constexpr int kTail = sizeof(__m128i);
  constexpr int kBackend = offsetof(ConnectionEntryV6, value) + offsetof(ConnectionValue, backend) - kTail;
  constexpr int kGeneration = offsetof(ConnectionEntryV6, value) + offsetof(ConnectionValue, generation) - kTail;
  static_assert(sizeof(entry) == kTail + sizeof(uint64_t) + sizeof(uint32_t) && kBackend % 2 == 0);
  __m128i tail = _mm_insert_epi16(whole.ports_and_end, backend.value(), kBackend / 2);
  tail = _mm_insert_epi8(tail, generation, kGeneration);
  auto* const at = reinterpret_cast<uint8_t*>(&entry);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(at), whole.client);
  _mm_storel_epi64(reinterpret_cast<__m128i*>(at + kTail), tail);
  const int last = _mm_extract_epi32(tail, 2);
  std::memcpy(at + kTail + sizeof(uint64_t), &last, sizeof(last));
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_FIND_KNOWN_H_
