#include "controlplane/store/state_file.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/unit/controlplane/journal_sample.h"

namespace sluice::store {
namespace {

TEST(StateFileTest, ChecksumIsTheStandardsOwn) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);  // RFC 3720's check value
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);
}

TEST(StateFileTest, WhatIsWrittenIsReadBack) {
  const std::string text = Encode(Entry(17), State());
  const auto entry = DecodeEntry(text);
  ASSERT_TRUE(entry.ok()) << entry.status();
  EXPECT_EQ(entry->version, 17u);
  EXPECT_EQ(entry->at, Entry(17).at);
  EXPECT_EQ(entry->author.user, Entry(17).author.user);
  EXPECT_EQ(entry->lines, Entry(17).lines);
  EXPECT_EQ(entry->lines_total, 7u);
  const auto state = DecodeState(text);
  ASSERT_TRUE(state.ok()) << state.status();
  EXPECT_EQ(*state, State());
}

TEST(StateFileTest, WhatIsNotCompressedIsReadToo) {
  model::KeptState state = State();
  state.operator_drains.clear();
  const std::string text = Plain(3, state);
  EXPECT_EQ(DecodeEntry(text)->version, 3u);
  EXPECT_EQ(*DecodeState(text), state);
  EXPECT_LT(Encode(Entry(3), state).size(), text.size());
}

TEST(StateFileTest, WhereOneEndsAndAnotherBegins) {
  const std::string text = Encode(Entry(17), State());
  EXPECT_EQ(SealedLength(text + Encode(Entry(18), State())), text.size());
  EXPECT_EQ(SealedLength(text.substr(0, text.size() - 1)), 0u);
  EXPECT_EQ(SealedLength(""), 0u);
  EXPECT_EQ(SealedLength("sluice-state 2 crc32c=00000000 bytes=18446744073709551615\n"), 0u);
  EXPECT_EQ(VersionIn(text), 17u);
  EXPECT_EQ(VersionIn(text.substr(0, 70)), 17u);
  EXPECT_EQ(VersionIn("rubbish"), 0u);
}

TEST(StateFileTest, CookiesSurvive) {
  model::KeptState state = State();
  state.desired.vips[0].cookies = config::Cookies::kBackend;
  state.desired.pools[0].policy.backup.clear();  // the two exclude each other
  state.desired.vips[0].cookie = config::CookieConfig{.backend_bits = 10, .check_bits = 2};
  state.desired.pools[0].backends[0].cookie_id = 3;
  state.desired.cookie_keys = {{0, std::string(32, 'a')}, {1, "00112233445566778899aabbccddeeff"}};
  state.desired.cookie_quarantine_s = 60;
  state.desired.pools[0].backends[0].quic_server_ids = {"31441a", "0b"};
  state.desired.quic_configs = {
      {.number = 2, .server_id_bytes = 3, .nonce_bytes = 4, .encrypted = true, .secret = std::string(32, 'b')},
      {.number = 4, .server_id_bytes = 1, .nonce_bytes = 5, .encrypted = false, .secret = ""}};
  state.resting_cookie_ids = {
      {"web", 7, *net::IpAddress::Parse("192.0.2.12"), std::nullopt, 1764432000},
      {"web", 8, *net::IpAddress::Parse("2001:db8::12"), 8080, 1764432001},
  };
  const auto read = DecodeState(Encode(Entry(17), state));
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(*read, state);
}

TEST(StateFileTest, EveryCutAndEveryAlteredByteIsSeen) {
  const std::string text = Encode(Entry(17), State());
  for (size_t length = 0; length < text.size(); ++length) {
    EXPECT_EQ(DecodeState(text.substr(0, length)).status().code(), absl::StatusCode::kDataLoss) << length;
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string altered = text;
    altered[i] = static_cast<char>(altered[i] ^ 0x10);
    EXPECT_FALSE(DecodeEntry(altered).ok()) << i;
  }
  EXPECT_FALSE(DecodeState(text + "x").ok());
}

}  // namespace
}  // namespace sluice::store
