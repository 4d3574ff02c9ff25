#include "dataplane/net/tcp_options.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "dataplane/net/headers.h"
#include "tests/support/packet_vectors.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using namespace test;

// A header with these options, padded with end-of-list.
Bytes WithOptions(const Bytes& options, uint8_t flags = kTcpSyn) {
  const auto words = static_cast<uint8_t>(5 + (options.size() + 3) / 4);
  Bytes tcp = Tcp(flags, words);
  std::copy(options.begin(), options.end(), tcp.begin() + 20);
  return tcp;
}

std::vector<std::pair<int, int>> KindsAndOffsets(const Bytes& tcp, bool* malformed) {
  const ExactCopy copy(tcp);
  TcpOptionWalk walk(copy.data(), copy.size());
  std::vector<std::pair<int, int>> found;
  while (const auto option = walk.Next()) found.emplace_back(option->kind, option->offset);
  *malformed = walk.malformed();
  return found;
}

using Found = std::vector<std::pair<int, int>>;

TEST(TcpOptionsTest, WalksInOrderOverNops) {
  bool malformed = true;
  // MSS, NOP, window scale, NOP, NOP, timestamps, SACK permitted.
  const Bytes options = FromHex("02040578 01 030307 01 01 080a0000000100000002 0402");
  EXPECT_EQ(KindsAndOffsets(WithOptions(options), &malformed), (Found{{2, 20}, {3, 25}, {8, 30}, {4, 40}}));
  EXPECT_FALSE(malformed);
  EXPECT_EQ(KindsAndOffsets(Tcp(kTcpAck), &malformed), Found());
  EXPECT_FALSE(malformed);
}

TEST(TcpOptionsTest, EndOfListEndsTheWalk) {
  bool malformed = true;
  EXPECT_EQ(KindsAndOffsets(WithOptions(FromHex("0402 00 02 04")), &malformed), (Found{{4, 20}}));
  EXPECT_FALSE(malformed);
}

TEST(TcpOptionsTest, TellsMalformedOptions) {
  bool malformed = false;
  for (const char* options : {"04020100 01010102", "04020200", "04020201", "04020205", "040222ff"}) {
    const bool bad = std::string_view(options).substr(4, 4) != "0100";
    EXPECT_EQ(KindsAndOffsets(WithOptions(FromHex(options)), &malformed).size(), 1u) << options;
    EXPECT_EQ(malformed, bad) << options;
  }
  // A kind without its length as the last byte.
  KindsAndOffsets(WithOptions(FromHex("01010102")), &malformed);
  EXPECT_TRUE(malformed);
}

TEST(TcpOptionsTest, HeadersThatDoNotFit) {
  bool malformed = false;
  Bytes tcp = WithOptions(FromHex("02040578"));
  tcp.pop_back();
  EXPECT_TRUE(KindsAndOffsets(tcp, &malformed).empty());
  EXPECT_TRUE(malformed);
  for (const size_t size : {0u, 1u, 19u}) {
    EXPECT_TRUE(KindsAndOffsets(Bytes(size, 0x50), &malformed).empty());
    EXPECT_TRUE(malformed);
  }
  tcp = Tcp(kTcpSyn);
  tcp[12] = 0x40;
  EXPECT_EQ(TcpHeaderLength(tcp.data(), tcp.size()), 0);
  EXPECT_FALSE(ClampMss(tcp.data(), tcp.size(), 1));
  tcp[12] = 0x50;
  EXPECT_EQ(TcpHeaderLength(tcp.data(), tcp.size()), 20);
}

enum class Begin { kV4 = 20, kV6 = 40 };

// Applies `change(tcp, size)` to the vector's packet.
template <typename Change>
void ExpectVector(const oracle::PacketVector& vector, Begin l4, Change change) {
  const ExactCopy packet(FromHex(vector.before));
  const auto offset = static_cast<uint32_t>(l4);
  change(packet.data() + offset, packet.size() - offset);
  EXPECT_EQ(packet.bytes(), FromHex(vector.after));
}

TEST(TcpOptionsTest, ClampsTheMss) {
  const auto clamp = [](uint8_t* tcp, size_t size) { EXPECT_TRUE(ClampMss(tcp, size, 1400)); };
  ExpectVector(oracle::kClampMss, Begin::kV4, clamp);
  ExpectVector(oracle::kClampMssOdd, Begin::kV6, clamp);
}

TEST(TcpOptionsTest, LeavesAnMssThatFits) {
  const auto expect_same = [](Bytes tcp) {
    const Bytes before = tcp;
    EXPECT_FALSE(ClampMss(tcp.data(), tcp.size(), 1400));
    EXPECT_EQ(tcp, before);
  };
  expect_same(WithOptions(FromHex("02040578")));
  expect_same(WithOptions(FromHex("02040100")));
  expect_same(WithOptions(FromHex("02050fff00")));
  expect_same(WithOptions(FromHex("02040fff"), kTcpAck));
  expect_same(Tcp(kTcpSyn));
}

TEST(TcpOptionsTest, FindsAndReplacesTimestamps) {
  const auto replace = [](uint8_t* tcp, size_t size) {
    const auto found = FindTimestamps(tcp, size);
    ASSERT_TRUE(found);
    EXPECT_EQ(found->value.Host(), 0x01020304u);
    EXPECT_EQ(found->echo.Host(), 0x0a0b0c0du);
    EXPECT_EQ(found->echo_offset, found->value_offset + 4);
    ReplaceTcpField(tcp, found->value_offset, Be32::FromHost(0xffeeddcc));
  };
  ExpectVector(oracle::kTimestamp, Begin::kV4, replace);
  ExpectVector(oracle::kTimestampOdd, Begin::kV4, replace);
}

TEST(TcpOptionsTest, TimestampsBehindOthersOrNotAtAll) {
  const auto find = [](const Bytes& tcp) {
    const ExactCopy copy(tcp);
    return FindTimestamps(copy.data(), copy.size());
  };
  const auto behind = find(WithOptions(FromHex("02040578 0402 080a0000000700000009")));
  ASSERT_TRUE(behind);
  EXPECT_EQ(behind->value_offset, 28);
  EXPECT_EQ(behind->echo.Host(), 9u);
  EXPECT_FALSE(find(Tcp(kTcpAck)));
  EXPECT_FALSE(find(WithOptions(FromHex("02040578"))));
  EXPECT_FALSE(find(WithOptions(FromHex("0809 00000007000000"))));
  // The common beginning in a header that ends too early.
  EXPECT_FALSE(find(WithOptions(FromHex("0101080a"))));
  EXPECT_FALSE(find(WithOptions(FromHex("0101080a 00000007"))));
}

TEST(TcpOptionsTest, ShiftsSackBlocks) {
  const auto shift = [](uint8_t* tcp, size_t size) {
    EXPECT_EQ(ShiftSackBlocks(tcp, size, static_cast<uint32_t>(-28)), 2);
  };
  ExpectVector(oracle::kSack, Begin::kV4, shift);
  ExpectVector(oracle::kSackOdd, Begin::kV4, shift);
  Bytes odd_length = WithOptions(FromHex("0509 00000001000000"), kTcpAck);
  const Bytes before = odd_length;
  EXPECT_EQ(ShiftSackBlocks(odd_length.data(), odd_length.size(), 1), 0);
  EXPECT_EQ(odd_length, before);
}

TEST(TcpOptionsTest, CutsNumbersOutOfSackBlocks) {
  // Numbers 1000 to 1028, in backends' reports of what came twice among other blocks.
  const auto cut = [](const char* before, const char* after, int blocks) {
    Bytes tcp = WithOptions(FromHex(before), kTcpAck);
    const Bytes expected = WithOptions(FromHex(after), kTcpAck);
    EXPECT_EQ(CutSackBlocks(tcp.data(), tcp.size(), 1000, 28), blocks) << before;
    EXPECT_EQ(Bytes(tcp.begin() + 20, tcp.end()), Bytes(expected.begin() + 20, expected.end())) << before;
  };
  cut("0101 050a 000003e8 00000404", "0101 0101 01010101 01010101", 1);
  cut("0101 050a 000003f0 00000404", "0101 0101 01010101 01010101", 1);
  cut("0101 050a 000003e8 00000405", "0101 050a 00000404 00000405", 1);
  cut("0101 050a 00000404 00000405", "0101 050a 00000404 00000405", 0);
  cut("0101 050a 000003e7 00000400", "0101 050a 000003e7 00000400", 0);
  cut("0101 0512 000003e8 00000404 00000500 00000600", "0101 050a 00000500 00000600 01010101 01010101", 1);
  cut("0101 0512 00000500 00000600 000003e8 00000404", "0101 050a 00000500 00000600 01010101 01010101", 1);
  cut("01 0512 000003e8 00000404 000003f0 00000400 01", "01 0101 01010101 01010101 01010101 01010101 01", 2);
}

TEST(TcpOptionsTest, StripsFastOpenInBothForms) {
  const auto strip = [](uint8_t* tcp, size_t size) {
    EXPECT_EQ(StripFastOpen(tcp, size), 1);
    EXPECT_EQ(StripFastOpen(tcp, size), 0);
  };
  ExpectVector(oracle::kFastOpen, Begin::kV4, strip);
  ExpectVector(oracle::kFastOpenExperiment, Begin::kV4, strip);
  // Another experiment, and one too short to say whose it is.
  Bytes other = WithOptions(FromHex("fe041234 fe03f9 01"));
  EXPECT_EQ(StripFastOpen(other.data(), other.size()), 0);
}

TEST(TcpOptionsTest, ChecksumStaysRightOnRandomHeaders) {
  std::mt19937 random(5);
  for (int round = 0; round < 20000; ++round) {
    Bytes options;
    while (options.size() < 30 && random() % 5 != 0) {
      const uint8_t kinds[] = {1, 1, 2, 4, 5, 8, 34, 254};
      const uint8_t kind = kinds[random() % 8];
      if (kind == 1) {
        options.push_back(1);
        continue;
      }
      const size_t body = kind == 2 ? 2 : kind == 8 ? 8 : kind == 5 ? 8 : random() % 6;
      options = options + Bytes{kind, static_cast<uint8_t>(body + 2)};
      for (size_t i = 0; i < body; ++i) options.push_back(static_cast<uint8_t>(random() % 2 ? random() : 0xf9));
    }
    options.resize(std::min<size_t>(options.size(), 40));
    const Bytes tcp = WithOptions(options);
    const Bytes packet = Sealed(Ipv4(6, tcp.size()) + tcp, 20, kProtocolTcp);
    const ExactCopy copy(packet);
    uint8_t* const header = copy.data() + 20;
    const size_t size = copy.size() - 20;
    ClampMss(header, size, static_cast<uint16_t>(random()));
    if (const auto found = FindTimestamps(header, size)) {
      ReplaceTcpField(header, found->echo_offset, Be32::FromHost(static_cast<uint32_t>(random())));
    }
    ShiftSackBlocks(header, size, static_cast<uint32_t>(random()));
    TcpOptionWalk walk(header, size);
    while (const auto option = walk.Next()) {
      if (option->kind != kTcpOptionSack || option->length < 10) continue;
      // A block's own first number, so that it is cut.
      const uint8_t* left = header + option->offset + 2;
      CutSackBlocks(header, size, uint32_t{left[0]} << 24 | uint32_t{left[1]} << 16 | uint32_t{left[2]} << 8 | left[3],
                    static_cast<uint32_t>(random()) >> random() % 32);
      break;
    }
    StripTcpOption(header, size, kTcpOptionSackPermitted);
    StripFastOpen(header, size);
    ASSERT_EQ(copy.bytes(), Sealed(copy.bytes(), 20, kProtocolTcp)) << round;
  }
}

}  // namespace
}  // namespace sluice::net
