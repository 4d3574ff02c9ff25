#ifndef SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_
#define SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "dataplane/net/bytes.h"
#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/encapsulate.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/wide.h"

// Frames of the most common kinds, TCP and UDP over IPv4 without options and over IPv6, are checked eight at a time, in
// registers that hold one field of all eight, with a lane for each, most often of 32 bits (rows hash and udp, 1 k
// flows).
namespace sluice::stage {

inline constexpr size_t kEight = 8;

// What stands in for a frame of another kind: its TCP header or datagram is too short.
alignas(64) inline constexpr std::array<uint8_t, 128> kNoFrame{};

// Calls f(i) for i from 0 to 7, with constants: as a loop this would count and branch as much as it does else.
template <typename F>
SLUICE_FAST_PATH __attribute__((always_inline)) inline void ForEight(const F& f) {
  const auto each = [&]<size_t... i>(std::index_sequence<i...>) SLUICE_FAST_PATH __attribute__((always_inline)) {
    (f(std::integral_constant<size_t, i>()), ...);
  };
  each(std::make_index_sequence<kEight>());
}

// The lane of a frame: 0, 1, 4, 5 in the lower half and 2, 3, 6, 7 in the upper one. So nothing crosses the halves
// between fields of 32 bits and those of 64, which are in order in two registers.
constexpr size_t LaneOf(size_t frame) { return (frame & 1) | (frame & 2) << 1 | (frame & 4) >> 1; }
// Of lanes in the order of frames.
SLUICE_FAST_PATH inline __m256i InOrder(__m256i lanes) {
  return _mm256_permute4x64_epi64(lanes, _MM_SHUFFLE(3, 1, 2, 0));
}

// What the fields are compared or masked with: in all lanes of 32 bits but where another width is told.
struct EightConstants {
  struct alignas(32) Lanes {
    constexpr explicit Lanes(uint32_t even, uint32_t odd) {
      for (size_t i = 0; i < kEight; ++i) lanes[i] = i % 2 == 0 ? even : odd;
    }
    constexpr explicit Lanes(uint32_t number) : Lanes(number, number) {}
    SLUICE_FAST_PATH operator __m256i() const {
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes.data()));
    }
    SLUICE_FAST_PATH operator __m128i() const { return _mm_load_si128(reinterpret_cast<const __m128i*>(lanes.data())); }
    std::array<uint32_t, kEight> lanes{};
  };

  Lanes low_16{0xffff}, words_of_one{0x0001'0001}, top_bits_of_words{0x8000'8000};
  Lanes good_sum{0xffff - 5};  // see ChecksumsAreGood
  Lanes tcp_header{sizeof(net::TcpHeader)}, udp_header{sizeof(net::UdpHeader)}, ip_header{sizeof(net::Ipv4Header)},
      ether_header{sizeof(net::EtherHeader)};
  Lanes ip_header_v6{sizeof(net::Ipv6Header)};
  Lanes data_offset{0xf0 >> 2};  // in bytes
  // Of the first byte of an address, as the highest one of a lane, once kBeyondClients is added to it.
  static constexpr uint32_t kBeyondClients = 127;
  Lanes beyond_clients{kBeyondClients << 24};
  Lanes last_client{(224 + kBeyondClients - 1) % 256 << 24 | 0xff'ffff}, loopback{(127 + kBeyondClients) << 24};
  // Lanes of 64 bits, of a VIP's address and both ports.
  Lanes address_and_vip_port{0xffff'ffff, 0xffff'0000}, tcp{0, net::kProtocolTcp}, udp{0, net::kProtocolUdp};
  // In lanes of 16 bits.
  static constexpr Lanes Words(uint32_t word) { return Lanes(word * 0x0001'0001); }
  Lanes shortest_v4 = Words(net::kCommonBytesV4), shortest_v6 = Words(net::kCommonBytesV6);
  // Of a TCP header's data offset and flags, as words: the flags.
  Lanes change_flags = Words(uint32_t{net::kTcpSyn | net::kTcpFin | net::kTcpRst} << 8);
  Lanes headers_v6 = Words(kL4<net::Family::kIpv6>);
  Lanes tcp_header_word = Words(sizeof(net::TcpHeader)), data_offset_word = Words(0xf0 >> 2);
  Lanes udp_header_word = Words(sizeof(net::UdpHeader));
};

// Read from memory, one operand of an instruction, because g++ makes three instructions of a constant that it knows.
inline const EightConstants& ReadEightConstants() {
  static constexpr EightConstants kConstants;
  const EightConstants* constants = &kConstants;
  asm("" : "+r"(constants));
  return *constants;
}

// Of 16 bytes of each frame, the four fields of 32 bits.
struct FourFields {
  __m256i first, second, third, fourth;
};
SLUICE_FAST_PATH __attribute__((always_inline)) inline FourFields Transpose(const uint8_t* const* frames,
                                                                            size_t offset) {
  const auto pair = [&](size_t i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    const auto load = [&](size_t k) SLUICE_FAST_PATH __attribute__((always_inline)) {
      return _mm_loadu_si128(reinterpret_cast<const __m128i*>(frames[k] + offset));
    };
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(i + 2), 1);
  };
  const __m256i a = pair(0), b = pair(1), c = pair(4), d = pair(5);
  const __m256i ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
  const __m256i cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
  return {.first = _mm256_unpacklo_epi64(ab_low, cd_low),
          .second = _mm256_unpackhi_epi64(ab_low, cd_low),
          .third = _mm256_unpacklo_epi64(ab_high, cd_high),
          .fourth = _mm256_unpackhi_epi64(ab_high, cd_high)};
}

// Of 8 bytes of four frames, in their order.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i LoadFour(const uint8_t* const* frames, size_t offset) {
  const auto two = [&](size_t i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    const __m128i first = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(frames[i] + offset));
    return _mm_insert_epi64(first, net::Load<int64_t>(frames[i + 1] + offset), 1);
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(two(0)), two(2), 1);
}

// Two bytes of each frame in words by LaneOf, as they are in memory.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m128i GatherWords(const uint8_t* const* frames,
                                                                           size_t offset) {
  __m128i words = _mm_setzero_si128();
  ForEight([&](auto i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    words = _mm_insert_epi16(words, net::Load<int16_t>(frames[i] + offset), static_cast<int>(LaneOf(i)));
  });
  return words;
}
// Of network byte order.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m128i GatherNumbers(const uint8_t* const* frames,
                                                                             size_t offset) {
  const __m128i swapped = _mm_setr_epi8(1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 15, 14);
  return _mm_shuffle_epi8(GatherWords(frames, offset), swapped);
}

// All ones where the checksum is right: the sum of the header's words is 0xffff, once its carries are added to it.
// Words may be in any byte order.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i ChecksumsAreGood(const EightConstants& constants,
                                                                                const FourFields& ip,
                                                                                __m256i destination) {
  // There is an instruction that adds two words with a sign. With the top bit turned over a word has one, and is less
  // by 2^15: the sum of ten by 5 * 2^16.
  const auto halves = [&](__m256i lanes) SLUICE_FAST_PATH __attribute__((always_inline)) {
    return _mm256_madd_epi16(_mm256_xor_si256(lanes, constants.top_bits_of_words), constants.words_of_one);
  };
  const __m256i sum = _mm256_add_epi32(_mm256_add_epi32(_mm256_add_epi32(halves(ip.first), halves(ip.second)),
                                                        _mm256_add_epi32(halves(ip.third), halves(ip.fourth))),
                                       halves(destination));
  // Adding the carries can carry once more, and is not 0xffff then either way.
  const __m256i carried = _mm256_add_epi32(_mm256_and_si256(sum, constants.low_16), _mm256_srai_epi32(sum, 16));
  return _mm256_cmpeq_epi32(carried, constants.good_sum);
}

// All ones where no client can have the source.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i AreMartian(const EightConstants& constants,
                                                                          __m256i source, __m256i destination) {
  // Of numbers with a sign the networks 224 to 255 and 0 are the highest now.
  const __m256i network = _mm256_add_epi32(_mm256_slli_epi32(source, 24), constants.beyond_clients);
  const __m256i nobody = _mm256_or_si256(_mm256_cmpgt_epi32(network, constants.last_client),
                                         _mm256_cmpeq_epi32(network, constants.loopback));
  return _mm256_or_si256(nobody, _mm256_cmpeq_epi32(source, destination));
}

// Words by LaneOf in the order of frames.
SLUICE_FAST_PATH inline __m128i WordsInOrder(__m128i words) {
  return _mm_shuffle_epi8(words, _mm_setr_epi8(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15));
}

// Where CheckEight writes what it has of eight frames.
struct EightFields {
  uint32_t* ip_bytes;
  uint64_t* vip_keys;
  // Of TCP only:
  uint16_t* changes;          // Parsed::changes
  uint32_t* tos_and_lengths;  // Parsed::tos_and_length
};

// Eight frames, each of which begins as kStart<kIpv4, protocol> with the station's address and has kCommonBytesV4, or
// is kNoFrame. `lengths`: words by LaneOf, how long each is. `sums_are_good`: the device found so. Returns a bit for
// each that is sound, as ParseCommonIp and CommonIpv4ChecksumIsValid want it, and from where clients are (not
// IsMartian); and the fields of all.
template <uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline uint32_t CheckEight(const uint8_t* const* frames,
                                                                           __m128i lengths, bool sums_are_good,
                                                                           const EightFields& fields) {
  using net::Family, net::Ipv4Header, net::TcpHeader, net::UdpHeader;
  constexpr bool kIsTcp = protocol == net::kProtocolTcp;
  const EightConstants& constants = ReadEightConstants();
  const FourFields ip = Transpose(frames, kL3);
  static_assert(offsetof(Ipv4Header, source) == 12 && offsetof(Ipv4Header, destination) == 16,
                "the source is the fourth field, and what follows is address and ports");
  const __m256i to_first = LoadFour(frames, kDestination<Family::kIpv4>);
  const __m256i to_last = LoadFour(frames + kEight / 2, kDestination<Family::kIpv4>);
  const __m256i source = ip.fourth;
  const __m256i destination = _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(to_first), _mm256_castsi256_ps(to_last), _MM_SHUFFLE(2, 0, 2, 0)));

  // The start's last two bytes, in network byte order, below the one in front of them.
  static_assert(offsetof(Ipv4Header, tos) == 1 && offsetof(Ipv4Header, total_length) == 2);
  const __m256i host_order = _mm256_setr_epi8(3, 2, 1, -1, 7, 6, 5, -1, 11, 10, 9, -1, 15, 14, 13, -1,  //
                                              3, 2, 1, -1, 7, 6, 5, -1, 11, 10, 9, -1, 15, 14, 13, -1);
  const __m256i tos_and_length = _mm256_shuffle_epi8(ip.first, host_order);
  const __m256i ip_bytes = _mm256_and_si256(tos_and_length, constants.low_16);
  const __m256i most_bytes = _mm256_sub_epi32(_mm256_cvtepu16_epi32(lengths), constants.ether_header);
  // What TCP says of its header, and UDP of the datagram.
  __m256i stated;
  if constexpr (kIsTcp) {
    static_assert(offsetof(TcpHeader, flags) == offsetof(TcpHeader, data_offset) + 1);
    const __m128i words = GatherWords(frames, kL4<Family::kIpv4> + offsetof(TcpHeader, data_offset));
    stated = _mm256_and_si256(_mm256_srli_epi32(_mm256_cvtepu16_epi32(words), 2), constants.data_offset);
    const __m128i changes = WordsInOrder(_mm_and_si128(words, constants.change_flags));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(fields.changes), changes);
    static_assert(OuterIpBytes(Family::kIpv4) == sizeof(Ipv4Header));
    StoreAnywhere32(fields.tos_and_lengths, InOrder(_mm256_add_epi32(tos_and_length, constants.ip_header)));
  } else {
    stated = _mm256_cvtepu16_epi32(GatherNumbers(frames, kL4<Family::kIpv4> + offsetof(UdpHeader, length)));
  }
  const __m256i l4_bytes = _mm256_sub_epi32(ip_bytes, constants.ip_header);
  const __m256i too_long = _mm256_cmpgt_epi32(ip_bytes, most_bytes);
  const __m256i cut = _mm256_cmpgt_epi32(stated, l4_bytes);
  const __m256i too_short = _mm256_cmpgt_epi32(kIsTcp ? constants.tcp_header : constants.udp_header, stated);
  const __m256i bad = _mm256_or_si256(_mm256_or_si256(too_long, cut),
                                      _mm256_or_si256(too_short, AreMartian(constants, source, destination)));
  const __m256i sums = sums_are_good ? _mm256_set1_epi32(-1) : ChecksumsAreGood(constants, ip, destination);
  const __m256i good = InOrder(_mm256_andnot_si256(bad, sums));

  // The protocol stands where the client's port is.
  const auto key_of = [&](__m256i to) SLUICE_FAST_PATH __attribute__((always_inline)) {
    return _mm256_or_si256(_mm256_and_si256(to, constants.address_and_vip_port),
                           kIsTcp ? constants.tcp : constants.udp);
  };
  // Not aligned: a group of a burst begins anywhere.
  StoreAnywhere32(fields.vip_keys, key_of(to_first));
  StoreAnywhere32(fields.vip_keys + kEight / 2, key_of(to_last));
  StoreAnywhere32(fields.ip_bytes, InOrder(ip_bytes));
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(good)));
}

// The same over IPv6, of which only lengths are looked at: an address is wider than a lane.
template <uint8_t protocol>
SLUICE_FAST_PATH __attribute__((always_inline)) inline uint32_t CheckEightV6(const uint8_t* const* frames,
                                                                             __m128i lengths, uint32_t* ip_bytes_of) {
  using net::Family, net::Ipv6Header, net::TcpHeader, net::UdpHeader;
  constexpr bool kIsTcp = protocol == net::kProtocolTcp;
  const EightConstants& constants = ReadEightConstants();
  const __m128i l4_bytes = GatherNumbers(frames, kL3 + offsetof(Ipv6Header, payload_length));
  __m128i stated;
  if constexpr (kIsTcp) {
    const __m128i offsets = GatherWords(frames, kL4<Family::kIpv6> + offsetof(TcpHeader, data_offset));
    stated = _mm_and_si128(_mm_srli_epi16(offsets, 2), constants.data_offset_word);
  } else {
    stated = GatherNumbers(frames, kL4<Family::kIpv6> + offsetof(UdpHeader, length));
  }
  // What is left of one without the other, where that is more.
  const __m128i too_long = _mm_subs_epu16(l4_bytes, _mm_sub_epi16(lengths, constants.headers_v6));
  const __m128i cut = _mm_subs_epu16(stated, l4_bytes);
  const __m128i too_short = _mm_subs_epu16(kIsTcp ? constants.tcp_header_word : constants.udp_header_word, stated);
  const __m128i bad = _mm_or_si128(_mm_or_si128(too_long, cut), too_short);
  const __m128i good = _mm_cmpeq_epi16(bad, _mm_setzero_si128());
  const __m256i ip_bytes = _mm256_add_epi32(_mm256_cvtepu16_epi32(l4_bytes), constants.ip_header_v6);
  StoreAnywhere32(ip_bytes_of, InOrder(ip_bytes));
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(InOrder(_mm256_cvtepi16_epi32(good)))));
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_
