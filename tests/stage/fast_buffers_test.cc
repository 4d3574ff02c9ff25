// What is read of a burst's buffers, beside each buffer asked by itself.

#include "dataplane/stage/fast_buffers.h"

#include <gtest/gtest.h>
#include <rte_mbuf.h>

#include <array>
#include <random>
#include <vector>

#include "dataplane/net/bytes.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/frame_bytes.h"
#include "tests/stage/pipeline_fixture.h"

namespace sluice::test {
namespace {

// The parameter is the seed of what is drawn.
class FastBuffersTest : public PipelineTest, public testing::WithParamInterface<unsigned> {
 protected:
  void SetUp() override {
    PipelineTest::SetUp();
    ASSERT_TRUE(stage::FastPathIsSupported()) << "this CPU has no AVX2, so the fast path cannot be tested";
  }

  size_t Draw(size_t count) { return random_() % count; }
  // Of any length up to the longest, alone or in pieces, at any place in its buffer, with any word of the device's.
  rte_mbuf* AnyMbuf(size_t pieces) {
    const Bytes frame(pieces + Draw(2000), 0);
    rte_mbuf* const mbuf = MakeMbuf(frame, (frame.size() + pieces - 1) / pieces);
    if (Draw(4) == 0) rte_pktmbuf_prepend(mbuf, 2);
    constexpr std::array<uint64_t, 4> kSums = {0, RTE_MBUF_F_RX_IP_CKSUM_GOOD, RTE_MBUF_F_RX_IP_CKSUM_BAD,
                                               RTE_MBUF_F_RX_IP_CKSUM_NONE};
    mbuf->ol_flags = kSums[Draw(kSums.size())];
    return mbuf;
  }
  // The 16 bytes in which buffers are compared.
  static std::array<uint64_t, 2> TraitsOf(const rte_mbuf* mbuf) {
    const auto* const at = reinterpret_cast<const uint8_t*>(mbuf) + stage::kTraits;
    return {net::Load<uint64_t>(at), net::Load<uint64_t>(at + 8)};
  }

  std::mt19937 random_{GetParam()};
};

TEST_P(FastBuffersTest, SayWhatEachBufferSays) {
  for (int round = 0; round < 300; ++round) {
    const size_t count = 1 + Draw(stage::kBurstSize);
    // All in one piece or in two, or some in others.
    const size_t pieces = 1 + Draw(2);
    const bool all = Draw(2) == 0;
    std::vector<rte_mbuf*> mbufs;
    for (size_t i = 0; i < count; ++i) mbufs.push_back(AnyMbuf(all || Draw(count) != 0 ? pieces : 1 + Draw(3)));
    std::array<const uint8_t*, stage::kBurstSize> frames{};
    stage::Buffers buffers{};
    const bool second_lines = Draw(2) == 0;
    const uint64_t bytes = stage::ReadBuffers(mbufs.data(), count, second_lines, frames.data(), buffers);
    EXPECT_EQ(bytes, stage::FrameBytes(mbufs.data(), count)) << count << " frames";
    std::array<uint64_t, 2> unlike_any{};
    for (size_t first = 0; first + stage::kEight <= count; first += stage::kEight) {
      const stage::Buffers::Eight& eight = buffers.eights[first / stage::kEight];
      std::array<uint64_t, 2> unlike{};
      for (size_t i = 0; i < stage::kEight; ++i) {
        const auto* const lengths = reinterpret_cast<const uint8_t*>(&eight.lengths);
        EXPECT_EQ(net::Load<uint16_t>(lengths + 2 * stage::LaneOf(i)), mbufs[first + i]->data_len);
        for (size_t k = 0; k < 2; ++k) unlike[k] |= TraitsOf(mbufs[first + i])[k] ^ TraitsOf(mbufs[0])[k];
      }
      for (size_t k = 0; k < 2; ++k) {
        EXPECT_EQ(net::Load<uint64_t>(reinterpret_cast<const uint8_t*>(&eight.unlike) + 8 * k), unlike[k]);
        unlike_any[k] |= unlike[k];
      }
    }
    for (size_t k = 0; k < 2; ++k) {
      EXPECT_EQ(net::Load<uint64_t>(reinterpret_cast<const uint8_t*>(&buffers.unlike_any) + 8 * k), unlike_any[k]);
    }
    for (size_t i = 0; i < count; ++i) EXPECT_EQ(frames[i], rte_pktmbuf_mtod(mbufs[i], const uint8_t*));
    rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(count));
  }
}

INSTANTIATE_TEST_SUITE_P(Seeds, FastBuffersTest, testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace sluice::test
