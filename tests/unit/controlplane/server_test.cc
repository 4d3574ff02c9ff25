#include "controlplane/rpc/server.h"

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "controlplane/rpc/convert.h"
#include "controlplane/rpc/grpc_status.h"
#include "controlplane/rpc/listen_address.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::rpc {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ServerTest : public ::testing::Test {
 protected:
  ServerTest() { EXPECT_TRUE(reconciler_.Apply(SampleServices()).ok()); }

  absl::StatusOr<std::unique_ptr<Server>> Start() {
    const Instance instance{"edge-1", "1.2.3", std::chrono::steady_clock::now(), &calls_};
    return Server::Start("unix:" + socket_.string(), instance, reconciler_, dataplane_);
  }

  // A method of the API through a real socket.
  template <typename Service, typename Request, typename Response>
  grpc::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    const auto stub =
        Service::NewStub(grpc::CreateChannel("unix:" + socket_.string(), grpc::InsecureChannelCredentials()));
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context.set_wait_for_ready(true);
    return (stub.get()->*method)(&context, request, response);
  }

  const TemporaryDirectory directory_;
  const std::filesystem::path socket_ = directory_.path() / "run" / "api.sock";
  FakeDataplane dataplane_;
  model::CallStats calls_;
  reconcile::Reconciler reconciler_{kSampleLimits, ValidateSample, dataplane_, dataplane_};
};

TEST_F(ServerTest, SocketIsForItsOwnerAndGroupOnlyAndGoesWithTheServer) {
  auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  struct stat info {};
  ASSERT_EQ(stat(socket_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  ASSERT_EQ(stat(socket_.parent_path().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0755u);
  server->reset();
  EXPECT_FALSE(std::filesystem::exists(socket_));
}

TEST_F(ServerTest, LiveServerIsNotPushedAside) {
  auto first = Start();
  ASSERT_TRUE(first.ok());
  const auto second = Start();
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(socket_.string()));
  v1::GetStatusResponse status;
  EXPECT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetStatus, v1::GetStatusRequest(), &status).ok());
}

TEST_F(ServerTest, SocketOfADeadProcessIsReplaced) {
  std::filesystem::create_directories(socket_.parent_path());
  const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, socket_.c_str(), socket_.string().size());
  ASSERT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  close(fd);  // as a killed process leaves it
  ASSERT_TRUE(std::filesystem::exists(socket_));
  EXPECT_TRUE(Start().ok());
}

TEST_F(ServerTest, OtherFilesAreNotRemoved) {
  std::filesystem::create_directories(socket_.parent_path());
  std::ofstream(socket_) << "precious";
  EXPECT_EQ(Start().status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_regular_file(socket_));
}

TEST_F(ServerTest, ListensOnLoopbackOnly) {
  EXPECT_TRUE(PrepareToListen("127.0.0.1:0").ok());
  EXPECT_TRUE(PrepareToListen("[::1]:9106").ok());
  EXPECT_TRUE(PrepareToListen("localhost:9106").ok());
  for (const char* address : {"0.0.0.0:9106", "192.0.2.1:9106", "[::]:9106", "127.0.0.1", "example.com:80", ""}) {
    EXPECT_EQ(PrepareToListen(address).code(), absl::StatusCode::kInvalidArgument) << address;
  }
  EXPECT_EQ(PrepareToListen("unix:").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PrepareToListen("unix:/tmp/" + std::string(200, 'x')).code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ServerTest, StatusCountsWhatThereIs) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  dataplane_.totals.received = 10;
  dataplane_.totals.dropped[0] = 4;
  dataplane_.generation_in_use = 1;
  dataplane_.workers.resize(2);
  dataplane_.workers[1].stalled = true;
  dataplane_.backends[BackendId(0)] = {.packets = 9, .bytes = 900, .flows_started = 5, .flows_ended = 2};
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok());
  v1::GetStatusResponse status;
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetStatus, v1::GetStatusRequest(), &status).ok());
  EXPECT_EQ(status.node(), "edge-1");
  EXPECT_EQ(status.version(), "1.2.3");
  EXPECT_EQ(status.state_generation(), 2u);
  EXPECT_EQ(status.state_generation_in_use(), 1u);
  EXPECT_EQ(status.backends(), 2u);
  EXPECT_EQ(status.backends_draining(), 1u);
  EXPECT_EQ(status.workers(), 2u);
  EXPECT_EQ(status.workers_stalled(), 1u);
  EXPECT_EQ(status.flows_alive(), 3u);
  EXPECT_EQ(status.packets().received(), 10u);
  EXPECT_EQ(status.packets().dropped(), 4u);
  EXPECT_EQ(status.packets().dropped_by_reason().size(), 1u);
  EXPECT_GT(status.last_change_unix_ms(), 1'600'000'000'000u);
}

TEST_F(ServerTest, ListsBackendsWithTheirNextHop) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  fwd::PortStats wan;
  wan.id = PortId(3);
  wan.name = "wan";
  dataplane_.ports = {wan};
  dataplane_.next_hop.port = PortId(3);
  dataplane_.next_hop.resolved = true;
  v1::ListBackendsResponse list;
  v1::ListBackendsRequest request;
  request.set_pool("web");
  ASSERT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::ListBackends, request, &list).ok());
  ASSERT_EQ(list.backends_size(), 2);
  EXPECT_EQ(list.backends(0).backend().name(), "web-1");
  EXPECT_EQ(list.backends(0).next_hop().port(), "wan");
  EXPECT_NEAR(list.backends(0).slot_share() + list.backends(1).slot_share(), 1.0, 1e-9);
  request.set_pool("wob");
  EXPECT_EQ(Call<v1::Inspector>(&v1::Inspector::Stub::ListBackends, request, &list).error_code(),
            grpc::StatusCode::NOT_FOUND);
}

TEST_F(ServerTest, ChangesAnswerWithWhatTheyDid) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  v1::AddBackendRequest add;
  add.set_pool("web");
  add.mutable_backend()->set_name("web-3");
  add.mutable_backend()->set_address("10.0.0.3");
  v1::AddBackendResponse added;
  ASSERT_TRUE(Call<v1::Manager>(&v1::Manager::Stub::AddBackend, add, &added).ok());
  EXPECT_EQ(added.backend().backend().weight(), 100u);
  EXPECT_EQ(added.backend().lifecycle(), v1::BACKEND_LIFECYCLE_ACTIVE);

  v1::DrainBackendRequest drain;
  drain.set_pool("web");
  drain.set_backend("web-3");
  v1::DrainBackendResponse drained;
  ASSERT_TRUE(Call<v1::Manager>(&v1::Manager::Stub::DrainBackend, drain, &drained).ok());
  EXPECT_EQ(drained.backend().lifecycle(), v1::BACKEND_LIFECYCLE_DRAINING);

  dataplane_.backends[BackendId(2)] = {.packets = 0, .bytes = 0, .flows_started = 7, .flows_ended = 3};
  v1::RemoveBackendRequest remove;
  remove.set_pool("web");
  remove.set_backend("web-3");
  v1::RemoveBackendResponse removed;
  ASSERT_TRUE(Call<v1::Manager>(&v1::Manager::Stub::RemoveBackend, remove, &removed).ok());
  EXPECT_EQ(removed.flows_alive(), 4u);

  v1::ApplyRequest apply;
  config::ServiceConfig desired = SampleServices();
  desired.pools[0].backends[0].weight = 7;
  ToProto(desired, apply.mutable_desired());
  v1::ApplyResponse applied;
  ASSERT_TRUE(Call<v1::Manager>(&v1::Manager::Stub::Apply, apply, &applied).ok());
  EXPECT_THAT(applied.changes(), ElementsAre("~ backend web/web-1: weight 100 -> 7"));
  EXPECT_EQ(applied.state_generation(), 5u);
}

TEST_F(ServerTest, ErrorsHaveTheDocumentedCodes) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  v1::AddBackendRequest add;
  v1::AddBackendResponse added;
  const auto add_code = [&](const char* pool, const char* name, const char* address, uint32_t weight) {
    add.set_pool(pool);
    add.mutable_backend()->set_name(name);
    add.mutable_backend()->set_address(address);
    add.mutable_backend()->set_weight(weight);
    return Call<v1::Manager>(&v1::Manager::Stub::AddBackend, add, &added);
  };
  EXPECT_EQ(add_code("wob", "web-3", "10.0.0.3", 1).error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_EQ(add_code("web", "web-1", "10.0.0.3", 1).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  EXPECT_EQ(add_code("web", "web-3", "10.0.0.1", 1).error_code(), grpc::StatusCode::ALREADY_EXISTS);
  const grpc::Status address = add_code("web", "web-3", "10.0.0", 1);
  EXPECT_EQ(address.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(address.error_message(), HasSubstr("backend.address"));
  const grpc::Status weight = add_code("web", "web-3", "10.0.0.3", 1001);
  EXPECT_EQ(weight.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(weight.error_message(), HasSubstr("backend.weight"));
  EXPECT_TRUE(add_code("web", "web-3", "10.0.0.3", 1).ok());
  EXPECT_TRUE(add_code("web", "web-4", "10.0.0.4", 1).ok());
  EXPECT_EQ(add_code("web", "web-5", "10.0.0.5", 1).error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED);

  v1::UndrainBackendRequest undrain;
  undrain.set_pool("web");
  undrain.set_backend("web-9");
  v1::UndrainBackendResponse undrained;
  EXPECT_EQ(Call<v1::Manager>(&v1::Manager::Stub::UndrainBackend, undrain, &undrained).error_code(),
            grpc::StatusCode::NOT_FOUND);

  v1::ApplyResponse applied;
  const grpc::Status missing = Call<v1::Manager>(&v1::Manager::Stub::Apply, v1::ApplyRequest(), &applied);
  EXPECT_EQ(missing.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(missing.error_message(), HasSubstr("desired"));

  dataplane_.next_publish = absl::ResourceExhaustedError("worker 0 is stuck");
  undrain.set_backend("web-1");
  v1::DrainBackendRequest drain;
  drain.set_pool("web");
  drain.set_backend("web-1");
  v1::DrainBackendResponse drained;
  EXPECT_EQ(Call<v1::Manager>(&v1::Manager::Stub::DrainBackend, drain, &drained).error_code(),
            grpc::StatusCode::UNAVAILABLE);
}

TEST_F(ServerTest, VeryLongMessagesArriveCut) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  v1::ApplyRequest apply;
  ToProto(SampleServices(), apply.mutable_desired());
  for (int i = 0; i < 2000; ++i) apply.mutable_desired()->add_vips()->set_address("nonsense \"\\");
  v1::ApplyResponse applied;
  const grpc::Status status = Call<v1::Manager>(&v1::Manager::Stub::Apply, apply, &applied);
  EXPECT_EQ(status.error_code(), grpc::StatusCode::INVALID_ARGUMENT);
  EXPECT_THAT(status.error_message(), HasSubstr("services.vips[1].address"));
  EXPECT_THAT(status.error_message(), HasSubstr("correct these first"));
}

// What grpc.health.v1 says of the whole server: field 1 of the answer, 1 for SERVING and 2 for NOT_SERVING.
std::string HealthOf(const std::string& socket) {
  grpc::TemplatedGenericStub<grpc::ByteBuffer, grpc::ByteBuffer> stub(
      grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials()));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  const grpc::ByteBuffer request(nullptr, 0);
  const auto call = stub.PrepareUnaryCall(&context, "/grpc.health.v1.Health/Check", request, &queue);
  call->StartCall();
  grpc::ByteBuffer response;
  grpc::Status status;
  call->Finish(&response, &status, &context);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  EXPECT_TRUE(status.ok()) << status.error_message();
  grpc::Slice bytes;
  EXPECT_TRUE(response.DumpToSingleSlice(&bytes).ok());
  return std::string(bytes.begin(), bytes.end());
}

TEST_F(ServerTest, TheStandardHealthServiceTellsOfAWorkerThatStandsStill) {
  dataplane_.workers.resize(2);
  {
    const auto server = Start();
    ASSERT_TRUE(server.ok());
    EXPECT_EQ(HealthOf(socket_), "\x08\x01");
  }
  dataplane_.workers[1].stalled = true;
  const auto server = Start();
  ASSERT_TRUE(server.ok());
  EXPECT_EQ(HealthOf(socket_), "\x08\x02");
}

TEST_F(ServerTest, OversizedRequestsAreRefused) {
  auto server = Start();
  ASSERT_TRUE(server.ok());
  v1::ApplyRequest apply;
  apply.mutable_desired()->set_seed(std::string(17 << 20, '0'));
  v1::ApplyResponse applied;
  EXPECT_EQ(Call<v1::Manager>(&v1::Manager::Stub::Apply, apply, &applied).error_code(),
            grpc::StatusCode::RESOURCE_EXHAUSTED);
  EXPECT_EQ(dataplane_.states.size(), 1u);
}

TEST_F(ServerTest, CallsAreCountedByMethodAndCode) {
  auto server = Start();
  ASSERT_TRUE(server.ok()) << server.status();
  v1::ListBackendsRequest of_nobody;
  of_nobody.set_pool("nobody");
  v1::ListBackendsResponse backends;
  EXPECT_EQ(Call<v1::Inspector>(&v1::Inspector::Stub::ListBackends, of_nobody, &backends).error_code(),
            grpc::StatusCode::NOT_FOUND);
  v1::GetStatusResponse status;
  for (int i = 0; i < 2; ++i)
    EXPECT_TRUE(Call<v1::Inspector>(&v1::Inspector::Stub::GetStatus, v1::GetStatusRequest(), &status).ok());
  const model::CallStats::Methods methods = calls_.All();
  ASSERT_THAT(methods, ::testing::SizeIs(2));
  const model::CallStats::Method& list = methods.at("Inspector/ListBackends");
  EXPECT_THAT(list.by_code, ElementsAre(::testing::Pair("NOT_FOUND", 1)));
  EXPECT_EQ(list.latency.count(), 1u);
  EXPECT_GT(list.latency.total.count(), 0);
  EXPECT_THAT(methods.at("Inspector/GetStatus").by_code, ElementsAre(::testing::Pair("OK", 2)));
}

}  // namespace
}  // namespace sluice::rpc
