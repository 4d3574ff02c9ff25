#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <string>

#include "controlplane/rpc/convert.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tests/unit/controlplane/manage_fixture.h"

// The API's management of whole states, single objects, history and events, and who may use it.
namespace sluice::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST_F(ManageTest, DryRunSaysWhatWouldChangeAndChangesNothing) {
  Start();
  dataplane_.backends[BackendId(1)] = {.packets = 0, .bytes = 0, .flows_started = 9, .flows_ended = 2};
  config::ServiceConfig desired = SampleServices();
  desired.pools[0].backends.pop_back();
  v1::ApplyRequest request;
  request.set_dry_run(true);
  ToProto(desired, request.mutable_desired());
  v1::ApplyResponse response;
  ASSERT_TRUE(Manage(&v1::Manager::Stub::Apply, request, &response).ok());
  EXPECT_THAT(response.changes(), ElementsAre("- backend web/web-2: active -> removed"));
  EXPECT_EQ(response.impact().flows_on_removed(), 7u);
  EXPECT_NEAR(response.impact().slots_moved(), 0.5, 0.05);
  EXPECT_TRUE(response.impact().fits());
  EXPECT_EQ(response.version(), 1u);
  EXPECT_EQ(dataplane_.states.size(), 1u);
  EXPECT_EQ(journal_.Entries().size(), 1u);
  EXPECT_EQ(TextOf(directory_ / "audit.log"), "");
}

TEST_F(ManageTest, WhatDoesNotFitInMemoryIsRefusedAndSaidBefore) {
  uint64_t available = 1 << 10;
  reconciler_.Attach(&journal_, &events_, [&] { return available; });
  Start();
  config::ServiceConfig desired = SampleServices();
  desired.pools[0].table_size = 65537;
  v1::ApplyRequest request;
  request.set_dry_run(true);
  ToProto(desired, request.mutable_desired());
  v1::ApplyResponse response;
  ASSERT_TRUE(Manage(&v1::Manager::Stub::Apply, request, &response).ok());
  EXPECT_FALSE(response.impact().fits());
  request.set_dry_run(false);
  EXPECT_EQ(Manage(&v1::Manager::Stub::Apply, request, &response).error_code(), grpc::RESOURCE_EXHAUSTED);
  available = 1 << 30;
  EXPECT_TRUE(Manage(&v1::Manager::Stub::Apply, request, &response).ok());
}

TEST_F(ManageTest, StaleVersionIsAborted) {
  Start();
  v1::DrainBackendRequest drain;
  drain.set_pool("web");
  drain.set_backend("web-1");
  drain.set_expected_version(7);
  v1::DrainBackendResponse drained;
  const grpc::Status status = Manage(&v1::Manager::Stub::DrainBackend, drain, &drained);
  EXPECT_EQ(status.error_code(), grpc::ABORTED);
  EXPECT_THAT(status.error_message(), HasSubstr("expected_version: 7"));
  drain.set_expected_version(1);
  EXPECT_TRUE(Manage(&v1::Manager::Stub::DrainBackend, drain, &drained).ok());
}

TEST_F(ManageTest, SingleObjectsAreCreatedUpdatedAndDeleted) {
  Start();
  v1::ChangeResponse done;
  v1::CreatePoolRequest create_pool;
  create_pool.mutable_pool()->set_name("api");
  create_pool.mutable_pool()->set_table_size(251);
  ASSERT_TRUE(Manage(&v1::Manager::Stub::CreatePool, create_pool, &done).ok());
  EXPECT_EQ(done.version(), 2u);
  EXPECT_EQ(Manage(&v1::Manager::Stub::CreatePool, create_pool, &done).error_code(), grpc::ALREADY_EXISTS);

  v1::CreateVipRequest create;
  ToProto(SampleVip("api4", "203.0.113.11", 80, "api"), create.mutable_vip());
  ASSERT_TRUE(Manage(&v1::Manager::Stub::CreateVip, create, &done).ok());
  create.mutable_vip()->set_name("other");
  const grpc::Status same = Manage(&v1::Manager::Stub::CreateVip, create, &done);
  EXPECT_EQ(same.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(same.error_message(), HasSubstr("vip"));

  v1::UpdateBackendRequest update;
  update.set_pool("web");
  ToProto(SampleBackend("web-1", "10.0.0.1", 5), update.mutable_backend());
  ASSERT_TRUE(Manage(&v1::Manager::Stub::UpdateBackend, update, &done).ok());
  EXPECT_THAT(done.changes(), ElementsAre("~ backend web/web-1: weight 100 -> 5"));
  update.mutable_backend()->set_weight(5000);
  const grpc::Status weight = Manage(&v1::Manager::Stub::UpdateBackend, update, &done);
  EXPECT_EQ(weight.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(weight.error_message(), HasSubstr("backend.weight"));
  update.mutable_backend()->set_name("web-9");
  EXPECT_EQ(Manage(&v1::Manager::Stub::UpdateBackend, update, &done).error_code(), grpc::NOT_FOUND);

  v1::DeletePoolRequest delete_pool;
  delete_pool.set_name("api");
  const grpc::Status used = Manage(&v1::Manager::Stub::DeletePool, delete_pool, &done);
  EXPECT_EQ(used.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(used.error_message(), HasSubstr("api4"));
  v1::DeleteVipRequest delete_vip;
  delete_vip.set_name("api4");
  ASSERT_TRUE(Manage(&v1::Manager::Stub::DeleteVip, delete_vip, &done).ok());
  EXPECT_TRUE(Manage(&v1::Manager::Stub::DeletePool, delete_pool, &done).ok());
  EXPECT_EQ(Manage(&v1::Manager::Stub::DeletePool, delete_pool, &done).error_code(), grpc::NOT_FOUND);
}

TEST_F(ManageTest, HistoryIsKeptAndRolledBack) {
  Start();
  v1::RemoveBackendRequest remove;
  remove.set_pool("web");
  remove.set_backend("web-2");
  v1::RemoveBackendResponse removed;
  ASSERT_TRUE(Manage(&v1::Manager::Stub::RemoveBackend, remove, &removed).ok());
  v1::ListChangesResponse history;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::ListChanges, v1::ListChangesRequest(), &history).ok());
  ASSERT_EQ(history.changes_size(), 2);
  EXPECT_EQ(history.changes(0).version(), 2u);
  EXPECT_EQ(history.changes(0).user(), "local");
  EXPECT_EQ(history.changes(0).action(), "RemoveBackend");
  EXPECT_EQ(history.changes(1).user(), "start");

  v1::RollbackRequest back;
  back.set_to_version(1);
  v1::ApplyResponse applied;
  ASSERT_TRUE(Manage(&v1::Manager::Stub::Rollback, back, &applied).ok());
  EXPECT_EQ(applied.version(), 3u);
  EXPECT_NE(reconciler_.Current().registry->FindPool("web")->Find("web-2"), nullptr);
  back.set_to_version(77);
  EXPECT_EQ(Manage(&v1::Manager::Stub::Rollback, back, &applied).error_code(), grpc::NOT_FOUND);

  v1::GetDesiredRequest of_two;
  of_two.set_version(2);
  v1::GetDesiredResponse desired;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetDesired, of_two, &desired).ok());
  EXPECT_EQ(desired.desired().pools(0).backends_size(), 1);
  EXPECT_EQ(desired.desired().seed(), "");
}

TEST_F(ManageTest, ChangeThatTheWorkersDoNotTakeIsNotInTheHistory) {
  dataplane_.next_publish = absl::ResourceExhaustedError("a worker is stuck");
  EXPECT_FALSE(reconciler_.SetDrain("web", "web-1", true).ok());
  EXPECT_EQ(journal_.Entries().size(), 1u);
  EXPECT_EQ(reconciler_.Current().version, 1u);
}

TEST_F(ManageTest, WatchersHearOfChangesAndResume) {
  Start();
  const auto stub = v1::Inspector::NewStub(channel_);
  v1::WatchRequest request;
  v1::WatchResponse response;
  std::string resume;
  {
    grpc::ClientContext context;
    const auto stream = stub->Watch(&context, request);
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_FALSE(response.has_event());
    ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", true, {.author = {"alice", "DrainBackend"}}).ok());
    ASSERT_TRUE(stream->Read(&response));
    EXPECT_EQ(response.event().object(), "backend web/web-1");
    EXPECT_EQ(response.event().user(), "alice");
    EXPECT_EQ(response.event().version(), 2u);
    resume = response.resume();
    context.TryCancel();
    while (stream->Read(&response)) {
    }
    stream->Finish();
  }
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-1", false).ok());
  request.set_resume(resume);
  grpc::ClientContext context;
  const auto stream = stub->Watch(&context, request);
  ASSERT_TRUE(stream->Read(&response));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_THAT(response.event().message(), HasSubstr("draining -> active"));
  server_->Stop(std::chrono::seconds(10));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::UNAVAILABLE);
}

TEST_F(ManageTest, ResumingElsewhereIsSaid) {
  Start();
  const auto stub = v1::Inspector::NewStub(channel_);
  v1::WatchRequest request;
  v1::WatchResponse response;
  request.set_resume("123-4");  // of another run
  grpc::ClientContext context;
  const auto stream = stub->Watch(&context, request);
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_TRUE(response.restarted());
  context.TryCancel();
  stream->Finish();
  for (const char* place : {"nonsense", "12", "1-x", "-"}) {
    request.set_resume(place);
    grpc::ClientContext bad;
    const auto refused = stub->Watch(&bad, request);
    EXPECT_FALSE(refused->Read(&response));
    EXPECT_EQ(refused->Finish().error_code(), grpc::INVALID_ARGUMENT) << place;
  }
}

TEST_F(ManageTest, FileManagementRefusesChangesButDrains) {
  options_.management = config::Management::kFile;
  Start();
  v1::RemoveBackendRequest remove;
  remove.set_pool("web");
  remove.set_backend("web-2");
  v1::RemoveBackendResponse removed;
  const grpc::Status status = Manage(&v1::Manager::Stub::RemoveBackend, remove, &removed);
  EXPECT_EQ(status.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(status.error_message(), HasSubstr("node.management"));
  v1::DrainBackendRequest drain;
  drain.set_pool("web");
  drain.set_backend("web-2");
  v1::DrainBackendResponse drained;
  EXPECT_TRUE(Manage(&v1::Manager::Stub::DrainBackend, drain, &drained).ok());
  const std::string audit = TextOf(directory_ / "audit.log");
  EXPECT_THAT(audit,
              HasSubstr("\"action\":\"RemoveBackend\",\"object\":\"backend web/web-2\",\"result\":\"FAILED_PREC"));
  EXPECT_THAT(audit, HasSubstr("\"action\":\"DrainBackend\",\"object\":\"backend web/web-2\",\"result\":\"OK\""));
}

TEST_F(ManageTest, HealthIsReportedWhoeverManagesTheState) {
  options_.management = config::Management::kFile;
  Start();
  v1::ReportHealthRequest report;
  report.set_pool("web");
  report.set_backend("web-2");
  report.set_health(v1::BACKEND_HEALTH_DOWN);
  report.set_reason("disk full");
  v1::ReportHealthResponse reported;
  const auto manage = [&] { return Manage(&v1::Manager::Stub::ReportHealth, report, &reported); };
  ASSERT_TRUE(manage().ok());
  EXPECT_EQ(reported.backend().health(), v1::BACKEND_HEALTH_DOWN);
  EXPECT_EQ(reported.backend().health_reported(), v1::BACKEND_HEALTH_DOWN);
  EXPECT_EQ(reported.backend().health_checked(), v1::BACKEND_HEALTH_UNCHECKED);
  EXPECT_EQ(reported.backend().health_reason(), "disk full");
  EXPECT_GT(reported.backend().health_since_unix_ms(), 0u);
  EXPECT_EQ(reported.backend().slot_share(), 0);
  EXPECT_EQ(journal_.Entries().size(), 1u) << "the first state alone";
  EXPECT_THAT(TextOf(directory_ / "audit.log"),
              HasSubstr("\"action\":\"ReportHealth\",\"object\":\"backend web/web-2\",\"result\":\"OK\""));
  v1::GetStatusResponse status;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetStatus, v1::GetStatusRequest(), &status).ok());
  EXPECT_EQ(status.backends_down(), 1u);
  v1::ListBackendsRequest list;
  list.set_health(v1::BACKEND_HEALTH_DOWN);
  v1::ListBackendsResponse listed;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::ListBackends, list, &listed).ok());
  ASSERT_EQ(listed.backends_size(), 1);
  EXPECT_EQ(listed.backends(0).backend().name(), "web-2");

  report.set_backend("web-1");
  ASSERT_TRUE(manage().ok());
  v1::GetPoolRequest get;
  get.set_name("web");
  v1::PoolStatus pool;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetPool, get, &pool).ok());
  EXPECT_EQ(pool.served_by(), v1::POOL_SERVICE_NONE);
  EXPECT_EQ(pool.backends_active(), 0u);

  report.set_health(v1::BACKEND_HEALTH_UNSPECIFIED);
  grpc::Status refused = manage();
  EXPECT_EQ(refused.error_code(), grpc::INVALID_ARGUMENT);
  EXPECT_THAT(refused.error_message(), HasSubstr("health: "));
  report.set_health(v1::BACKEND_HEALTH_UP);
  report.set_reason(std::string(201, 'x'));
  EXPECT_THAT(manage().error_message(), HasSubstr("reason: has 201 bytes"));
  report.clear_reason();
  report.set_backend("web-7");
  EXPECT_EQ(manage().error_code(), grpc::NOT_FOUND);
}

TEST_F(ManageTest, PoliciesOfPoolsAreKeptThroughTheApi) {
  Start();
  v1::UpdatePoolRequest update;
  {
    v1::GetPoolRequest get;
    get.set_name("web");
    v1::PoolStatus pool;
    ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetPool, get, &pool).ok());
    *update.mutable_pool() = pool.pool();
  }
  update.mutable_pool()->set_on_down(v1::ON_DOWN_RESET);
  update.mutable_pool()->set_no_backend(v1::NO_BACKEND_RESET);
  update.mutable_pool()->set_panic_threshold_percent(20);
  v1::ChangeResponse changed;
  ASSERT_TRUE(Manage(&v1::Manager::Stub::UpdatePool, update, &changed).ok());
  EXPECT_THAT(changed.changes(), ElementsAre("~ pool web: on_down keep -> reset, no_backend drop -> reset, "
                                             "panic_threshold_percent 0 -> 20"));
  v1::GetDesiredResponse desired;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetDesired, v1::GetDesiredRequest(), &desired).ok());
  EXPECT_EQ(desired.desired().pools(0).on_down(), v1::ON_DOWN_RESET);
  EXPECT_EQ(desired.desired().pools(0).panic_threshold_percent(), 20u);
  // A pool that is another's backup stays.
  v1::CreatePoolRequest create;
  create.mutable_pool()->set_name("spare");
  create.mutable_pool()->set_table_size(251);
  ASSERT_TRUE(Manage(&v1::Manager::Stub::CreatePool, create, &changed).ok());
  update.mutable_pool()->set_backup("spare");
  ASSERT_TRUE(Manage(&v1::Manager::Stub::UpdatePool, update, &changed).ok());
  v1::DeletePoolRequest remove;
  remove.set_name("spare");
  const grpc::Status refused = Manage(&v1::Manager::Stub::DeletePool, remove, &changed);
  EXPECT_EQ(refused.error_code(), grpc::FAILED_PRECONDITION);
  EXPECT_THAT(refused.error_message(), HasSubstr("it is the backup of pool \"web\""));
}

TEST_F(ManageTest, CertificatesDecideOverTls) {
  ASSERT_NO_FATAL_FAILURE(ListenWithTls());
  Start();
  v1::GetStatusResponse status;
  v1::DrainBackendRequest drain;
  drain.set_pool("web");
  drain.set_backend("web-1");
  v1::DrainBackendResponse drained;
  const auto look = [&] {
    return Call<v1::Inspector>(&v1::Inspector::Stub::GetStatus, v1::GetStatusRequest(), &status).error_code();
  };
  const auto change = [&] { return Manage(&v1::Manager::Stub::DrainBackend, drain, &drained).error_code(); };

  ConnectAs("alice");
  EXPECT_EQ(look(), grpc::OK);
  EXPECT_EQ(change(), grpc::OK);
  EXPECT_EQ(journal_.Entries()[0].author.user, "alice.example");
  ConnectAs("bob");  // by his common name
  EXPECT_EQ(look(), grpc::OK);
  EXPECT_EQ(change(), grpc::PERMISSION_DENIED);
  ConnectAs("mallory");  // of our CA, and without a role
  EXPECT_EQ(look(), grpc::PERMISSION_DENIED);
  EXPECT_EQ(change(), grpc::PERMISSION_DENIED);
  ConnectAs("");  // no certificate at all
  EXPECT_EQ(look(), grpc::UNAVAILABLE);
  channel_ = grpc::CreateChannel(server_->tcp_address(), grpc::InsecureChannelCredentials());
  EXPECT_EQ(look(), grpc::UNAVAILABLE);
}

}  // namespace
}  // namespace sluice::rpc
