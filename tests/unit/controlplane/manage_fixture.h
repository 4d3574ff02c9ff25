#ifndef SLUICE_TESTS_UNIT_CONTROLPLANE_MANAGE_FIXTURE_H_
#define SLUICE_TESTS_UNIT_CONTROLPLANE_MANAGE_FIXTURE_H_

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include "controlplane/model/event_bus.h"
#include "controlplane/rpc/server.h"
#include "controlplane/store/memory_journal.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::rpc {

inline std::string TextOf(const std::filesystem::path& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// The API of the sample services over a data plane that takes all states, and a client of it.
class ManageTest : public ::testing::Test {
 protected:
  ManageTest() {
    reconciler_.Attach(&journal_, &events_, nullptr);
    EXPECT_TRUE(reconciler_.Apply(SampleServices(), {.author = {"start", "Start"}}).ok());
  }

  void Start() {
    options_.journal = &journal_;
    options_.events = &events_;
    options_.api.audit_log = (directory_ / "audit.log").string();
    const Instance instance{"edge-1", "1.2.3", std::chrono::steady_clock::now()};
    auto server =
        Server::Start("unix:" + (directory_ / "api.sock").string(), instance, reconciler_, dataplane_, options_);
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel("unix:" + (directory_ / "api.sock").string(), grpc::InsecureChannelCredentials());
  }

  template <typename Service, typename Request, typename Response>
  grpc::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                    const Request& request, Response* response) {
    const auto stub = Service::NewStub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    return (stub.get()->*method)(&context, request, response);
  }
  template <typename Request, typename Response>
  grpc::Status Manage(grpc::Status (v1::Manager::Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                      const Request& request, Response* response) {
    return Call<v1::Manager>(method, request, response);
  }

  // A CA, and certificates of it, in directory_.
  void MakeCertificates() {
    const auto run = [&](const std::string& command) {
      ASSERT_EQ(std::system(("cd " + directory_.string() + " && " + command + " 2>>openssl.log").c_str()), 0)
          << TextOf(directory_ / "openssl.log");
    };
    const std::string key = " -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes ";
    run("openssl req -x509 -days 2 -subj /CN=ca" + key + "-keyout ca.key -out ca.crt");
    for (const char* name : {"server", "alice", "bob", "mallory"}) {
      const std::string n = name;
      run("openssl req -subj /CN=" + n + key + "-keyout " + n + ".key -out " + n + ".csr");
      run("printf 'subjectAltName=DNS:" + n + ".example,IP:127.0.0.1' > " + n + ".ext");
      run("openssl x509 -req -days 2 -in " + n + ".csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile " + n +
          ".ext -out " + n + ".crt");
    }
  }
  // The server's options: alice is an operator, bob a viewer, mallory nobody.
  void ListenWithTls() {
    ASSERT_NO_FATAL_FAILURE(MakeCertificates());
    config::ApiTcpConfig& tcp = options_.api.tcp;
    tcp.listen = "127.0.0.1:0";
    tcp.certificate = (directory_ / "server.crt").string();
    tcp.key = (directory_ / "server.key").string();
    tcp.client_ca = (directory_ / "ca.crt").string();
    options_.api.roles = {{"alice.example", config::Role::kOperator, {}}, {"bob", config::Role::kViewer, {}}};
  }
  void ConnectAs(const std::string& name) {
    grpc::SslCredentialsOptions options;
    options.pem_root_certs = TextOf(directory_ / "ca.crt");
    if (!name.empty()) {
      options.pem_cert_chain = TextOf(directory_ / (name + ".crt"));
      options.pem_private_key = TextOf(directory_ / (name + ".key"));
    }
    channel_ = grpc::CreateChannel(server_->tcp_address(), grpc::SslCredentials(options));
  }

  const TemporaryDirectory temporary_;  // until the server has gone
  const std::filesystem::path& directory_ = temporary_.path();
  FakeDataplane dataplane_;
  model::EventBus events_;
  store::MemoryJournal journal_;
  reconcile::Reconciler reconciler_{{.vips = 8, .pools = 8, .backends = 8}, ValidateSample, dataplane_, dataplane_};
  ServerOptions options_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace sluice::rpc

#endif  // SLUICE_TESTS_UNIT_CONTROLPLANE_MANAGE_FIXTURE_H_
