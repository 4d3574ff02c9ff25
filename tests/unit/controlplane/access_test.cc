#include "controlplane/rpc/access.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "controlplane/reconcile/reconciler.h"
#include "controlplane/rpc/audit.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::rpc {
namespace {

using config::Role;
using ::testing::HasSubstr;
using Kind = Target::Kind;

class AccessTest : public ::testing::Test {
 protected:
  AccessTest() {
    config::ServiceConfig services = SampleServices();
    services.pools.push_back({.name = "api", .table_size = 251, .backends = {SampleBackend("a", "10.0.1.1")}});
    services.pools.push_back({.name = "spare", .table_size = 251, .backends = {}});
    services.vips.push_back(SampleVip("api4", "203.0.113.11", 80, "api"));
    services.vips.push_back(SampleVip("www-tls", "203.0.113.10", 443, "web"));
    EXPECT_TRUE(reconciler_.Apply(services).ok());
  }
  absl::Status May(const Caller& caller, const Target& target) {
    return MayChange(caller, "Do", target, *reconciler_.Current().registry);
  }

  FakeDataplane dataplane_;
  reconcile::Reconciler reconciler_{{.vips = 8, .pools = 8, .backends = 8}, ValidateSample, dataplane_, dataplane_};
};

TEST_F(AccessTest, NamesOfCertificatesHaveRoles) {
  const std::vector<config::ApiRoleConfig> roles = {{"alice", Role::kAdmin, {}}, {"bob", Role::kOperator, {"www"}}};
  const auto bob = CallerOf({"unknown.example", "bob"}, roles);
  ASSERT_TRUE(bob.ok());
  EXPECT_EQ(bob->user, "bob");
  EXPECT_EQ(bob->vips, std::vector<std::string>{"www"});
  const auto nobody = CallerOf({"mallory"}, roles);
  EXPECT_EQ(nobody.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(nobody.status().message()), HasSubstr("mallory"));
  EXPECT_EQ(CallerOf({}, roles).status().code(), absl::StatusCode::kPermissionDenied);
}

TEST_F(AccessTest, ViewersChangeNothingAndAdminsEverything) {
  for (const Kind kind : {Kind::kInventory, Kind::kWhole, Kind::kVip, Kind::kPool}) {
    EXPECT_EQ(May({"v", Role::kViewer, {}}, {kind, "web"}).code(), absl::StatusCode::kPermissionDenied);
    EXPECT_TRUE(May({"a", Role::kAdmin, {}}, {kind, "web"}).ok());
  }
}

TEST_F(AccessTest, OperatorsDoAllButReplaceEverything) {
  const Caller caller{"o", Role::kOperator, {}};
  EXPECT_TRUE(May(caller, {Kind::kInventory}).ok());
  EXPECT_TRUE(May(caller, {Kind::kPool, "web"}).ok());
  EXPECT_FALSE(May(caller, {Kind::kWhole}).ok());
}

TEST_F(AccessTest, LimitedOperatorsKeepToTheirVips) {
  const Caller api{"o", Role::kOperator, {"api4"}};
  EXPECT_TRUE(May(api, {Kind::kPool, "api"}).ok());
  EXPECT_TRUE(May(api, {Kind::kVip, "api4", "api"}).ok());
  EXPECT_FALSE(May(api, {Kind::kVip, "api4", "web"}).ok());
  EXPECT_FALSE(May(api, {Kind::kVip, "www"}).ok());
  EXPECT_FALSE(May(api, {Kind::kPool, "web"}).ok());
  EXPECT_FALSE(May(api, {Kind::kPool, "spare"}).ok());
  EXPECT_FALSE(May(api, {Kind::kInventory}).ok());
  // A pool that another's VIP uses as well is not his.
  const absl::Status shared = May({"o", Role::kOperator, {"www"}}, {Kind::kPool, "web"});
  EXPECT_EQ(shared.code(), absl::StatusCode::kPermissionDenied);
  EXPECT_THAT(std::string(shared.message()), HasSubstr("www-tls"));
  EXPECT_TRUE(May({"o", Role::kOperator, {"www", "www-tls"}}, {Kind::kPool, "web"}).ok());
}

TEST_F(AccessTest, ABackupTakesTheLoadOfThosePoolsThatHaveIt) {
  config::ServiceConfig services = SampleServices();
  services.pools.push_back({.name = "api", .table_size = 251, .backends = {SampleBackend("a", "10.0.1.1")}});
  services.pools.push_back({.name = "spare", .table_size = 251, .backends = {}});
  services.pools[0].policy.backup = "spare";
  services.vips.push_back(SampleVip("api4", "203.0.113.11", 80, "api"));
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const Caller api{"o", Role::kOperator, {"api4"}};
  EXPECT_FALSE(May(api, {Kind::kPool, "api", "spare"}).ok()) << "the backup of another's pool";
  EXPECT_FALSE(May(api, {Kind::kPool, "api", "web"}).ok());
  EXPECT_FALSE(May(api, {Kind::kPool, "spare"}).ok());
  const Caller www{"o", Role::kOperator, {"www"}};
  EXPECT_TRUE(May(www, {Kind::kPool, "web", "spare"}).ok()) << "as it is";
  EXPECT_TRUE(May(www, {Kind::kPool, "spare"}).ok());
}

TEST(AuditTest, LineIsJsonThatNoTextCanBreak) {
  AuditRecord record{"eve\"\n",
                     "ipv4:192.0.2.9:1234",
                     "DrainBackend",
                     "backend web/web-1",
                     absl::OkStatus(),
                     18,
                     {"~ backend web/web-1: active -> draining"}};
  EXPECT_EQ(AuditLine(record, 1764345600123),
            "{\"time\":\"2025-11-28T16:00:00.123Z\",\"user\":\"eve\\\"\\u000a\",\"peer\":\"ipv4:192.0.2.9:1234\","
            "\"action\":\"DrainBackend\",\"object\":\"backend web/web-1\",\"result\":\"OK\",\"version\":18,"
            "\"changes_total\":1,\"changes\":[\"~ backend web/web-1: active -> draining\"]}\n");
  record.result = absl::NotFoundError("no such pool");
  EXPECT_THAT(AuditLine(record, 0), HasSubstr("\"result\":\"NOT_FOUND\",\"reason\":"));
}

}  // namespace
}  // namespace sluice::rpc
