#ifndef SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_
#define SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_

#include <immintrin.h>

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/common_offsets.h"
#include "dataplane/stage/fast_path.h"

// Frames of the most common kind, TCP over IPv4 without options, are checked eight at a time, in registers that hold
// one field of all eight, with a lane of 32 bits for each (row hash, 1 k flows).
namespace sluice::stage {

inline constexpr size_t kEight = 8;

// What stands in for a frame of another kind: its TCP header is too short.
alignas(64) inline constexpr std::array<uint8_t, 64> kNoFrame{};

// What the frames are compared with, in all lanes.
struct EightConstants {
  struct alignas(32) Lanes {
    constexpr explicit Lanes(uint32_t number) { lanes.fill(number); }
    SLUICE_FAST_PATH operator __m256i() const {
      return _mm256_load_si256(reinterpret_cast<const __m256i*>(lanes.data()));
    }
    std::array<uint32_t, kEight> lanes{};
  };

  Lanes low_8{0xff}, low_16{0xffff}, high_16{0xffff'0000};
  Lanes tcp_header{sizeof(net::TcpHeader)}, ip_header{sizeof(net::Ipv4Header)}, ether_header{sizeof(net::EtherHeader)};
  Lanes data_offset{0xf0};  // of the byte it is in
  Lanes loopback{127}, last_unicast{223};
  Lanes tcp{net::kProtocolTcp};
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
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load(i)), load(i + kEight / 2), 1);
  };
  const __m256i a = pair(0), b = pair(1), c = pair(2), d = pair(3);
  const __m256i ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
  const __m256i cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
  return {.first = _mm256_unpacklo_epi64(ab_low, cd_low),
          .second = _mm256_unpackhi_epi64(ab_low, cd_low),
          .third = _mm256_unpacklo_epi64(ab_high, cd_high),
          .fourth = _mm256_unpackhi_epi64(ab_high, cd_high)};
}

// A field of 32 bits of each, that at(i) points to.
template <typename At>
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i Gather(const At& at) {
  const auto half = [&](size_t i) SLUICE_FAST_PATH __attribute__((always_inline)) {
    const auto value = [&](size_t k) { return static_cast<int>(net::Load<uint32_t>(at(k))); };
    __m128i four = _mm_cvtsi32_si128(value(i));
    four = _mm_insert_epi32(four, value(i + 1), 1);
    four = _mm_insert_epi32(four, value(i + 2), 2);
    return _mm_insert_epi32(four, value(i + 3), 3);
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(half(0)), half(kEight / 2), 1);
}

// All ones where the checksum is right: the sum of the header's words is 0xffff, once its carries are added to it.
// Words may be in any byte order.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i ChecksumsAreGood(const EightConstants& constants,
                                                                                __m256i start, const FourFields& rest) {
  const auto halves = [&](__m256i lanes) SLUICE_FAST_PATH __attribute__((always_inline)) {
    return _mm256_add_epi32(_mm256_and_si256(lanes, constants.low_16), _mm256_srli_epi32(lanes, 16));
  };
  const __m256i sum =
      _mm256_add_epi32(halves(start), _mm256_add_epi32(_mm256_add_epi32(halves(rest.first), halves(rest.second)),
                                                       _mm256_add_epi32(halves(rest.third), halves(rest.fourth))));
  // Of ten words: adding the carries can carry once more, and is not 0xffff then either way.
  return _mm256_cmpeq_epi32(halves(sum), constants.low_16);
}

// All ones where no client can have the source.
SLUICE_FAST_PATH __attribute__((always_inline)) inline __m256i AreMartian(const EightConstants& constants,
                                                                          __m256i source, __m256i destination) {
  const __m256i network = _mm256_and_si256(source, constants.low_8);
  const __m256i nobody = _mm256_or_si256(_mm256_cmpeq_epi32(network, _mm256_setzero_si256()),
                                         _mm256_cmpeq_epi32(network, constants.loopback));
  return _mm256_or_si256(_mm256_or_si256(nobody, _mm256_cmpgt_epi32(network, constants.last_unicast)),
                         _mm256_cmpeq_epi32(source, destination));
}

SLUICE_FAST_PATH inline uint32_t BitsOf(__m256i lanes) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(lanes)));
}

// Eight frames, each of which begins as kStart<kIpv4, kProtocolTcp> with the station's address and has kCommonBytesV4,
// or is kNoFrame. `bytes`: how long each is, in 32-byte alignment. `sums_are_good`: the device found so. Returns a bit
// for each that is sound, as ParseCommonIp and CommonIpv4ChecksumIsValid want it, and from where clients are (not
// IsMartian); and of all the length of the IP packet and VipKey::key.
SLUICE_FAST_PATH __attribute__((always_inline)) inline uint32_t CheckEight(const uint8_t* const* frames,
                                                                           const uint32_t* bytes, bool sums_are_good,
                                                                           uint32_t* ip_bytes_of, uint64_t* vip_keys) {
  using net::Family, net::Ipv4Header, net::TcpHeader;
  const EightConstants& constants = ReadEightConstants();
  const __m256i start = Gather([&](size_t i) { return frames[i] + kL3; });
  const FourFields ip = Transpose(frames, kL3 + offsetof(Ipv4Header, id));
  const FourFields tcp = Transpose(frames, kL4<Family::kIpv4>);
  static_assert(offsetof(Ipv4Header, source) == offsetof(Ipv4Header, id) + 8);
  const __m256i source = ip.third, destination = ip.fourth;

  // The start's last two bytes, in network byte order.
  static_assert(offsetof(Ipv4Header, total_length) == 2);
  const __m256i length_bytes = _mm256_setr_epi8(3, 2, -1, -1, 7, 6, -1, -1, 11, 10, -1, -1, 15, 14, -1, -1,  //
                                                3, 2, -1, -1, 7, 6, -1, -1, 11, 10, -1, -1, 15, 14, -1, -1);
  const __m256i ip_bytes = _mm256_shuffle_epi8(start, length_bytes);
  const __m256i most_bytes =
      _mm256_sub_epi32(_mm256_load_si256(reinterpret_cast<const __m256i*>(bytes)), constants.ether_header);
  static_assert(offsetof(TcpHeader, data_offset) == 12);
  const __m256i header_bytes = _mm256_srli_epi32(_mm256_and_si256(tcp.fourth, constants.data_offset), 2);
  const __m256i tcp_bytes = _mm256_sub_epi32(ip_bytes, constants.ip_header);
  const __m256i too_long = _mm256_cmpgt_epi32(ip_bytes, most_bytes);
  const __m256i cut = _mm256_cmpgt_epi32(header_bytes, tcp_bytes);
  const __m256i too_short = _mm256_cmpgt_epi32(constants.tcp_header, header_bytes);
  const __m256i bad = _mm256_or_si256(_mm256_or_si256(too_long, cut),
                                      _mm256_or_si256(too_short, AreMartian(constants, source, destination)));
  uint32_t good = ~BitsOf(bad) & 0xff;
  if (!sums_are_good) good &= BitsOf(ChecksumsAreGood(constants, start, ip));

  // The address, and of the ports the client's makes room for the protocol.
  const __m256i service = _mm256_or_si256(_mm256_and_si256(tcp.first, constants.high_16), constants.tcp);
  const __m256i low = _mm256_unpacklo_epi32(destination, service), high = _mm256_unpackhi_epi32(destination, service);
  auto* const keys = reinterpret_cast<__m256i*>(vip_keys);
  _mm256_store_si256(keys, _mm256_permute2x128_si256(low, high, 0x20));
  _mm256_store_si256(keys + 1, _mm256_permute2x128_si256(low, high, 0x31));
  _mm256_store_si256(reinterpret_cast<__m256i*>(ip_bytes_of), ip_bytes);
  return good;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_EIGHT_FRAMES_H_
