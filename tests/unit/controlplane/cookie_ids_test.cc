#include "controlplane/model/cookie_ids.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/model/document.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::model {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr std::string_view kSecret = "00112233445566778899aabbccddeeff";
constexpr uint64_t kDayS = 24 * 3600;

class NothingHeld : public DataplaneFacts {
 public:
  bool SweptSince(uint64_t) const override { return true; }
  VipCounts CountsOf(VipId) const override { return {}; }
  BackendCounts CountsOf(BackendId) const override { return {}; }
};

class CookieIdsTest : public ::testing::Test {
 protected:
  CookieIdsTest() {
    services_ = SampleServices();
    services_.vips[0].cookies = config::Cookies::kBackend;
    services_.cookie_keys = {{0, std::string(kSecret)}};
    Apply();
  }
  absl::Status Try(absl::StatusOr<Change> change) {
    if (!change.ok()) return change.status();
    registry_ = change->next;
    lines_ = change->lines;
    return absl::OkStatus();
  }
  void Apply() { ASSERT_EQ(Try(ApplyDesired(registry_, services_, Context())), absl::OkStatus()); }
  ChangeContext Context() { return {++generation_, facts_, now_s_}; }
  int IdOf(std::string_view backend) { return (*registry_.GetBackend("web", backend))->desired.cookie_id.value_or(-1); }

  NothingHeld facts_;
  uint64_t generation_ = 0;
  uint64_t now_s_ = 1'000'000;
  DesiredState services_;
  Registry registry_{Limits{.vips = 4, .pools = 4, .backends = 400}};
  std::vector<std::string> lines_;
};

TEST_F(CookieIdsTest, TheLowestAreAllocatedAndShown) {
  EXPECT_EQ(IdOf("web-1"), 0);
  EXPECT_EQ(IdOf("web-2"), 1);
  EXPECT_THAT(lines_, Contains("~ backend web/web-2: cookie_id 1 allocated"));
  EXPECT_THAT(lines_, Contains("+ cookie key 0"));
  Apply();
  EXPECT_TRUE(lines_.empty()) << lines_[0];
}

TEST_F(CookieIdsTest, AnIdRestsForADayAndComesBackToItsOwner) {
  ASSERT_EQ(Try(RemoveBackend(registry_, "web", "web-1", Context())), absl::OkStatus());
  ASSERT_EQ(Try(AddBackend(registry_, "web", SampleBackend("web-3", "10.0.0.3"), Context())), absl::OkStatus());
  EXPECT_EQ(IdOf("web-3"), 2);
  ASSERT_EQ(Try(AddBackend(registry_, "web", SampleBackend("again", "10.0.0.1"), Context())), absl::OkStatus());
  EXPECT_EQ(IdOf("again"), 0);
  ASSERT_EQ(Try(RemoveBackend(registry_, "web", "again", Context())), absl::OkStatus());
  now_s_ += kDayS;
  ASSERT_EQ(Try(AddBackend(registry_, "web", SampleBackend("web-4", "10.0.0.4"), Context())), absl::OkStatus());
  EXPECT_EQ(IdOf("web-4"), 0);
}

TEST_F(CookieIdsTest, AStatedIdThatRestsForAnotherIsRefused) {
  ASSERT_EQ(Try(RemoveBackend(registry_, "web", "web-1", Context())), absl::OkStatus());
  DesiredBackend other = SampleBackend("web-3", "10.0.0.3");
  other.cookie_id = 0;
  const absl::Status status = Try(AddBackend(registry_, "web", other, Context()));
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("cookie_id 0 was that of 10.0.0.1"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("or wait 86400 s"));
}

TEST_F(CookieIdsTest, AnotherIdLaysTheOldOneToRest) {
  services_.pools[0].backends[0].cookie_id = 9;
  Apply();
  EXPECT_THAT(lines_, Contains("~ backend web/web-1: cookie_id 0 -> 9"));
  ASSERT_EQ(Try(AddBackend(registry_, "web", SampleBackend("web-3", "10.0.0.3"), Context())), absl::OkStatus());
  EXPECT_EQ(IdOf("web-3"), 2);
}

TEST_F(CookieIdsTest, WhenIdsRunOutABackendIsRefusedWithTheRemedy) {
  services_.vips[0].cookie = config::CookieConfig{.backend_bits = 2};
  services_.pools[0].backends.push_back(SampleBackend("web-3", "10.0.0.3"));
  services_.pools[0].backends.push_back(SampleBackend("web-4", "10.0.0.4"));
  Apply();
  absl::Status status = Try(AddBackend(registry_, "web", SampleBackend("web-5", "10.0.0.5"), Context()));
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(status.message()), HasSubstr("all 4 cookie ids are taken; give the VIPs of the pool more"));
  ASSERT_EQ(Try(RemoveBackend(registry_, "web", "web-4", Context())), absl::OkStatus());
  status = Try(AddBackend(registry_, "web", SampleBackend("web-5", "10.0.0.5"), Context()));
  EXPECT_THAT(std::string(status.message()), HasSubstr("try again in 86400 s"));
}

TEST_F(CookieIdsTest, KeysStayWithoutASecretAndAreNeverTold) {
  services_.cookie_keys = {{0, ""}, {1, "ffffffffffffffffffffffffffffffff"}};
  Apply();
  EXPECT_EQ(lines_, std::vector<std::string>{"+ cookie key 1"});
  EXPECT_EQ(registry_.cookie_keys[0].secret, kSecret);
  services_.cookie_keys = {};
  Apply();
  EXPECT_EQ(registry_.cookie_keys.size(), 2u);
  services_.cookie_keys = {{1, ""}};
  Apply();
  EXPECT_EQ(lines_, std::vector<std::string>{"- cookie key 0"});
  services_.cookie_keys = {{3, ""}};
  const absl::Status status = Try(ApplyDesired(registry_, services_, Context()));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("key 3 comes without a secret"));
}

TEST_F(CookieIdsTest, QuicConfigurationsStayWithoutTheirKeys) {
  const config::QuicConfig encrypted = {
      .number = 1, .server_id_bytes = 3, .nonce_bytes = 4, .encrypted = true, .secret = std::string(kSecret)};
  const config::QuicConfig plain = {
      .number = 0, .server_id_bytes = 1, .nonce_bytes = 6, .encrypted = false, .secret = ""};
  services_.quic_configs = {encrypted, plain};
  services_.pools[0].backends[0].quic_server_ids = {"31441a"};
  Apply();
  EXPECT_THAT(lines_, Contains("+ quic configuration 1: server ids of 3 bytes, nonces of 4, encrypted"));
  EXPECT_THAT(lines_, Contains("+ quic configuration 0: server ids of 1 bytes, nonces of 6, plain"));
  EXPECT_THAT(lines_, Contains(HasSubstr("quic_server_ids none -> 31441a")));
  services_.quic_configs = {};
  Apply();
  EXPECT_EQ(registry_.quic_configs, (std::vector<config::QuicConfig>{plain, encrypted}));
  EXPECT_TRUE(lines_.empty()) << lines_[0];
  services_.quic_configs = {encrypted};
  services_.quic_configs[0].secret.clear();
  Apply();
  EXPECT_EQ(registry_.quic_configs, std::vector<config::QuicConfig>{encrypted});
  EXPECT_EQ(lines_, std::vector<std::string>{"- quic configuration 0"});
  services_.quic_configs[0].number = 3;
  const absl::Status status = Try(ApplyDesired(registry_, services_, Context()));
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), HasSubstr("configuration 3 comes without a secret"));
}

TEST_F(CookieIdsTest, RestSurvivesARestart) {
  const BackendRecord gone = **registry_.GetBackend("web", "web-1");
  ASSERT_EQ(Try(RemoveBackend(registry_, "web", "web-1", Context())), absl::OkStatus());
  const KeptState kept = Keep(registry_, services_);
  registry_ = Registry{Limits{.vips = 4, .pools = 4, .backends = 400}};
  ASSERT_EQ(Try(Restore(registry_, kept, Context())), absl::OkStatus());
  DesiredBackend other = gone.desired;
  other.name = "other";
  other.address = *net::IpAddress::Parse("192.0.2.200");
  other.cookie_id.reset();
  ASSERT_EQ(Try(AddBackend(registry_, "web", other, Context())), absl::OkStatus());
  EXPECT_NE(IdOf("other"), *gone.desired.cookie_id);
  DesiredBackend back = gone.desired;
  back.cookie_id.reset();
  ASSERT_EQ(Try(AddBackend(registry_, "web", back, Context())), absl::OkStatus());
  EXPECT_EQ(IdOf("web-1"), *gone.desired.cookie_id);
}

}  // namespace
}  // namespace sluice::model
