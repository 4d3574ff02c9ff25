// That eight frames at a time are taken for what the parser and the checks of single ones take each of them for.

#include "dataplane/stage/eight_frames.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <random>
#include <tuple>
#include <vector>

#include "dataplane/lb/exact_vips.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/parser.h"
#include "dataplane/stage/fast_path.h"
#include "dataplane/stage/martian.h"

namespace sluice::test {
namespace {

using net::Family;
using stage::kEight;
using stage::kL3;

struct Frame {
  std::vector<uint8_t> bytes;  // none: kNoFrame
  uint32_t length = 0;
};
using Frames = std::array<Frame, kEight>;

// What is handed over of frames.
struct Eight {
  explicit Eight(const Frames& frames) {
    for (size_t i = 0; i < kEight; ++i) {
      lengths[stage::LaneOf(i)] = static_cast<uint16_t>(frames[i].length);
      begins[i] = frames[i].bytes.empty() ? stage::kNoFrame.data() : frames[i].bytes.data();
    }
  }
  __m128i Lengths() const { return _mm_load_si128(reinterpret_cast<const __m128i*>(lengths.data())); }

  std::array<const uint8_t*, kEight> begins;
  alignas(16) std::array<uint16_t, kEight> lengths;
};

// What headers of TCP and datagrams state of their length.
constexpr std::array<size_t, 24> kStated = {0,  4,  7,  8,  9,  12, 16, 19, 20,  24,   28,   32,
                                            36, 40, 44, 48, 52, 56, 60, 61, 512, 1460, 1480, 65535};
// Where.
size_t StatedAt(uint8_t protocol) { return protocol == net::kProtocolTcp ? 12 : 4; }
void StateL4(std::vector<uint8_t>& frame, size_t l4, uint8_t protocol, size_t stated) {
  uint8_t* const at = &frame[l4 + StatedAt(protocol)];
  if (protocol == net::kProtocolTcp) {
    at[0] = static_cast<uint8_t>(stated / 4 << 4 | (stated * 5 & 0xf));  // and anything behind it
  } else {
    at[0] = static_cast<uint8_t>(stated >> 8);
    at[1] = static_cast<uint8_t>(stated);
  }
}

// Whether the device found the sums good, and a protocol.
class EightFramesTest : public testing::TestWithParam<std::tuple<bool, uint8_t>> {
 protected:
  static bool SumsAreGood() { return std::get<0>(GetParam()); }
  static uint8_t Protocol() { return std::get<1>(GetParam()); }
  size_t Draw(size_t below) { return random_() % below; }

  // IPv4 to the station, as far as its beginning tells.
  Frame Begin(size_t length) {
    Frame frame = {.bytes = std::vector<uint8_t>(length), .length = static_cast<uint32_t>(length)};
    for (size_t i = 0; i < std::min<size_t>(length, 80); ++i) frame.bytes[i] = static_cast<uint8_t>(random_());
    uint8_t* const ip = &frame.bytes[kL3];
    frame.bytes[12] = 0x08;
    frame.bytes[13] = ip[7] = 0;
    ip[0] = 0x45;
    ip[6] &= 0xc0;
    ip[9] = Protocol();
    ip[12] = static_cast<uint8_t>(1 + Draw(126));
    StateL4(frame.bytes, stage::kL4<Family::kIpv4>, Protocol(), 20);
    StateLength(frame, length - kL3);
    return frame;
  }
  static void StateLength(Frame& frame, size_t ip_bytes) {
    frame.bytes[kL3 + 2] = static_cast<uint8_t>(ip_bytes >> 8);
    frame.bytes[kL3 + 3] = static_cast<uint8_t>(ip_bytes);
  }
  static void MakeSumGood(Frame& frame) {
    std::memset(&frame.bytes[kL3 + 10], 0, 2);
    const uint16_t sum = net::InternetChecksum(&frame.bytes[kL3], 20);
    std::memcpy(&frame.bytes[kL3 + 10], &sum, sizeof(sum));
  }

  SLUICE_FAST_PATH void Check(const Frames& frames) {
    const Eight eight(frames);
    const auto& begins = eight.begins;
    alignas(32) std::array<uint32_t, kEight> ip_bytes;
    alignas(32) std::array<uint64_t, kEight> keys;
    std::array<uint16_t, kEight> changes;
    std::array<uint32_t, kEight> tos_and_lengths;
    const stage::EightFields fields = {.ip_bytes = ip_bytes.data(),
                                       .vip_keys = keys.data(),
                                       .changes = changes.data(),
                                       .tos_and_lengths = tos_and_lengths.data()};
    const bool sums_are_good = SumsAreGood();
    const uint32_t good =
        Protocol() == net::kProtocolTcp
            ? stage::CheckEight<net::kProtocolTcp>(begins.data(), eight.Lengths(), sums_are_good, fields)
            : stage::CheckEight<net::kProtocolUdp>(begins.data(), eight.Lengths(), sums_are_good, fields);
    ASSERT_EQ(good >> kEight, 0u);
    for (size_t i = 0; i < kEight; ++i) {
      if (frames[i].bytes.empty()) {
        ASSERT_EQ(good >> i & 1, 0u);
        continue;
      }
      const uint8_t* const ip = begins[i] + kL3;
      const net::ParsedHeaders headers = net::ParseFrame(begins[i], frames[i].length, frames[i].length);
      const bool sound = headers.status == net::ParseStatus::kOk && headers.l4_status == net::L4Status::kPorts &&
                         (sums_are_good || net::ChecksumIsValid(ip, 20)) &&
                         !stage::IsMartian(Family::kIpv4, ip + 12, ip + 16);
      ASSERT_EQ(good >> i & 1, sound ? 1u : 0u) << testing::PrintToString(frames[i].bytes);
      (sound ? taken_ : refused_) += 1;
      if (!sound) continue;
      using Vips = lb::ExactVips<lb::VipAddressV4>;
      ASSERT_EQ(ip_bytes[i], headers.ip_length);
      ASSERT_EQ(keys[i],
                Vips::KeyOf({net::Load<uint32_t>(ip + 16)}, Vips::ServiceOf(Protocol(), headers.destination_port)));
      if (Protocol() != net::kProtocolTcp) continue;
      ASSERT_EQ(changes[i], (headers.tcp_flags & (net::kTcpSyn | net::kTcpFin | net::kTcpRst)) << 8);
      ASSERT_EQ(tos_and_lengths[i], (uint32_t{ip[1]} << 16) + headers.ip_length + 20);
    }
  }

  std::mt19937_64 random_{1};
  size_t taken_ = 0, refused_ = 0;
};

TEST_P(EightFramesTest, AnyFrames) {
  for (int round = 0; round < 20'000; ++round) {
    Frames frames;
    for (Frame& frame : frames) {
      frame.length = static_cast<uint32_t>(Draw(70'000));
      if (Draw(16) == 0) continue;
      frame = Begin(std::array<size_t, 8>{54, 55, 60, 66, 74, 100, 1514, 9000}[Draw(8)]);
      if (Draw(4) == 0) StateLength(frame, Draw(2) == 0 ? frame.length - kL3 + Draw(9) - 4 : Draw(100));
      if (Draw(4) == 0)
        StateL4(frame.bytes, stage::kL4<Family::kIpv4>, Protocol(), Draw(2) == 0 ? Draw(64) : frame.length - Draw(64));
      if (Draw(4) == 0) frame.bytes[kL3 + 12] = std::array<uint8_t, 8>{0, 1, 126, 127, 128, 223, 224, 255}[Draw(8)];
      if (Draw(16) == 0) std::memcpy(&frame.bytes[kL3 + 16], &frame.bytes[kL3 + 12], 4);
      if (Draw(4) != 0) MakeSumGood(frame);
      if (Draw(16) == 0) frame.bytes[kL3 + 10 + Draw(2)] ^= static_cast<uint8_t>(1 << Draw(8));
    }
    ASSERT_NO_FATAL_FAILURE(Check(frames));
  }
  EXPECT_GT(taken_, 10'000u);
  EXPECT_GT(refused_, 10'000u);
}

TEST_P(EightFramesTest, AllLengthsOfEveryHeader) {
  for (const size_t length : {54u, 60u, 74u, 75u, 114u, 1514u}) {
    Frames frames;
    frames.fill(Begin(length));
    for (const size_t l4 : kStated) {
      for (size_t stated = 0; stated < 2048; stated += kEight) {
        for (size_t i = 0; i < kEight; ++i) {
          StateL4(frames[i].bytes, stage::kL4<Family::kIpv4>, Protocol(), l4);
          StateLength(frames[i], stated + i);
          MakeSumGood(frames[i]);
        }
        ASSERT_NO_FATAL_FAILURE(Check(frames));
      }
    }
  }
}

TEST_P(EightFramesTest, AllChecksums) {
  for (const uint8_t rest : std::array<uint8_t, 3>{0x00, 0xff, 0x5a}) {
    Frames frames;
    frames.fill(Begin(60));
    for (Frame& frame : frames) std::memset(&frame.bytes[kL3 + 13], rest, 7);
    for (uint32_t sum = 0; sum < 0x10000; sum += kEight) {
      for (uint32_t i = 0; i < kEight; ++i) {
        const auto own = static_cast<uint16_t>(sum + i);
        std::memcpy(&frames[i].bytes[kL3 + 10], &own, sizeof(own));
      }
      ASSERT_NO_FATAL_FAILURE(Check(frames));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(SumsAreGood, EightFramesTest,
                         testing::Combine(testing::Bool(), testing::Values(net::kProtocolTcp, net::kProtocolUdp)));

class EightFramesV6Test : public testing::TestWithParam<uint8_t> {
 protected:
  size_t Draw(size_t below) { return random_() % below; }

  // IPv6 to the station, as far as its beginning tells.
  Frame Begin(size_t length) {
    Frame frame = {.bytes = std::vector<uint8_t>(length), .length = static_cast<uint32_t>(length)};
    for (size_t i = 0; i < std::min<size_t>(length, 80); ++i) frame.bytes[i] = static_cast<uint8_t>(random_());
    frame.bytes[12] = 0x86;
    frame.bytes[13] = 0xdd;
    frame.bytes[kL3] = 0x60;
    frame.bytes[kL3 + 6] = GetParam();
    StateL4(frame.bytes, stage::kL4<Family::kIpv6>, GetParam(), 20);
    StatePayload(frame, length - kL3 - 40);
    return frame;
  }
  static void StatePayload(Frame& frame, size_t bytes) {
    frame.bytes[kL3 + 4] = static_cast<uint8_t>(bytes >> 8);
    frame.bytes[kL3 + 5] = static_cast<uint8_t>(bytes);
  }

  SLUICE_FAST_PATH void Check(const Frames& frames) {
    const Eight eight(frames);
    alignas(32) std::array<uint32_t, kEight> ip_bytes;
    const uint32_t good =
        GetParam() == net::kProtocolTcp
            ? stage::CheckEightV6<net::kProtocolTcp>(eight.begins.data(), eight.Lengths(), ip_bytes.data())
            : stage::CheckEightV6<net::kProtocolUdp>(eight.begins.data(), eight.Lengths(), ip_bytes.data());
    ASSERT_EQ(good >> kEight, 0u);
    for (size_t i = 0; i < kEight; ++i) {
      if (frames[i].bytes.empty()) {
        ASSERT_EQ(good >> i & 1, 0u);
        continue;
      }
      const net::ParsedHeaders headers = net::ParseFrame(eight.begins[i], frames[i].length, frames[i].length);
      const bool sound = headers.status == net::ParseStatus::kOk && headers.l4_status == net::L4Status::kPorts;
      ASSERT_EQ(good >> i & 1, sound ? 1u : 0u) << testing::PrintToString(frames[i].bytes);
      (sound ? taken_ : refused_) += 1;
      if (!sound) continue;
      ASSERT_EQ(ip_bytes[i], headers.ip_length);
    }
  }

  std::mt19937_64 random_{1};
  size_t taken_ = 0, refused_ = 0;
};

TEST_P(EightFramesV6Test, AnyFrames) {
  for (int round = 0; round < 20'000; ++round) {
    Frames frames;
    for (Frame& frame : frames) {
      frame.length = static_cast<uint32_t>(Draw(70'000));
      if (Draw(16) == 0) continue;
      frame = Begin(std::array<size_t, 6>{74, 75, 86, 100, 1514, 65535}[Draw(6)]);
      if (Draw(4) == 0) StatePayload(frame, Draw(2) == 0 ? frame.length - kL3 - 40 + Draw(9) - 4 : Draw(65536));
      if (Draw(4) == 0)
        StateL4(frame.bytes, stage::kL4<Family::kIpv6>, GetParam(), Draw(2) == 0 ? Draw(64) : frame.length - Draw(64));
    }
    ASSERT_NO_FATAL_FAILURE(Check(frames));
  }
  EXPECT_GT(taken_, 10'000u);
  EXPECT_GT(refused_, 10'000u);
}

TEST_P(EightFramesV6Test, AllLengthsOfEveryHeader) {
  for (const size_t length : {74u, 75u, 114u, 1514u}) {
    Frames frames;
    frames.fill(Begin(length));
    for (const size_t l4 : kStated) {
      for (size_t stated = 0; stated < 2048; stated += kEight) {
        for (size_t i = 0; i < kEight; ++i) {
          StateL4(frames[i].bytes, stage::kL4<Family::kIpv6>, GetParam(), l4);
          StatePayload(frames[i], stated + i);
        }
        ASSERT_NO_FATAL_FAILURE(Check(frames));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Protocols, EightFramesV6Test, testing::Values(net::kProtocolTcp, net::kProtocolUdp));

}  // namespace
}  // namespace sluice::test
