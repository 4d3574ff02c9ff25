#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/text_format.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "controlplane/rpc/request_check.h"
#include "sluice/v1/sluice.grpc.pb.h"
#include "tests/unit/controlplane/manage_fixture.h"

// What holds for every call of the API, found by its descriptors, so that a call that is added later is tested too.
namespace sluice::rpc {
namespace {

using google::protobuf::DescriptorPool;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::MessageFactory;
using google::protobuf::MethodDescriptor;
using ::testing::HasSubstr;
using ::testing::StartsWith;

std::vector<const MethodDescriptor*> MethodsOf(const char* service_name) {
  const auto* service = DescriptorPool::generated_pool()->FindServiceByName(service_name);
  std::vector<const MethodDescriptor*> methods;
  for (int i = 0; i < service->method_count(); ++i) methods.push_back(service->method(i));
  return methods;
}

std::vector<const MethodDescriptor*> AllMethods() {
  std::vector<const MethodDescriptor*> methods = MethodsOf("sluice.v1.Manager");
  for (const MethodDescriptor* method : MethodsOf("sluice.v1.Inspector")) methods.push_back(method);
  return methods;
}

std::unique_ptr<Message> NewRequest(const MethodDescriptor& method) {
  return std::unique_ptr<Message>(MessageFactory::generated_factory()->GetPrototype(method.input_type())->New());
}

class EveryCallTest : public ManageTest {
 protected:
  grpc::Status CallBytes(const MethodDescriptor& method, const std::string& bytes) {
    grpc::GenericStub stub(channel_);
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(60));
    grpc::CompletionQueue queue;
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    const auto call =
        stub.PrepareUnaryCall(&context, "/" + method.service()->full_name() + "/" + method.name(), request, &queue);
    call->StartCall();
    grpc::ByteBuffer response;
    grpc::Status status;
    call->Finish(&response, &status, this);
    void* tag = nullptr;
    bool ok = false;
    queue.Next(&tag, &ok);
    return status;
  }
  grpc::Status CallMessage(const MethodDescriptor& method, const Message& request) {
    return CallBytes(method, request.SerializeAsString());
  }
  void ExpectNothingChanged() {
    EXPECT_EQ(reconciler_.Current().version, 1u);
    EXPECT_EQ(dataplane_.states.size(), 1u);
  }

  // Visits the fields of `at`, a part of `request`, that lies at `path`; `use(path)` is called with each set to what a
  // field of its kind must not be.
  void SpoilEach(const Message& request, Message* at, const std::string& path,
                 const std::function<void(const std::string&)>& use) {
    const auto* reflection = at->GetReflection();
    for (int i = 0; i < at->GetDescriptor()->field_count(); ++i) {
      const FieldDescriptor* field = at->GetDescriptor()->field(i);
      const bool repeated = field->is_repeated();
      const std::string here = path + (path.empty() ? "" : ".") +
                               (field->name() == "desired" ? "services" : field->name()) + (repeated ? "[0]" : "");
      const auto use_text = [&](const std::string& text) {
        repeated ? reflection->AddString(at, field, text) : reflection->SetString(at, field, text);
        use(here);
        reflection->ClearField(at, field);
      };
      switch (field->cpp_type()) {
        case FieldDescriptor::CPPTYPE_STRING:
          use_text("web\x1b[2J");
          use_text(std::string(kMaxTextBytes + 1, 'x'));
          break;
        case FieldDescriptor::CPPTYPE_ENUM:
          repeated ? reflection->AddEnumValue(at, field, 99) : reflection->SetEnumValue(at, field, 99);
          use(here);
          reflection->ClearField(at, field);
          break;
        case FieldDescriptor::CPPTYPE_MESSAGE: {
          Message* inner = repeated ? reflection->AddMessage(at, field) : reflection->MutableMessage(at, field);
          inner->GetReflection()->MutableUnknownFields(inner)->AddVarint(999, 1);
          use(here);
          inner->GetReflection()->MutableUnknownFields(inner)->Clear();
          SpoilEach(request, inner, here, use);
          reflection->ClearField(at, field);
          break;
        }
        default:
          break;
      }
    }
  }
};

TEST_F(EveryCallTest, AsksWhoCallsAndWhetherTheyMay) {
  ASSERT_NO_FATAL_FAILURE(ListenWithTls());
  Start();
  ConnectAs("mallory");  // of our CA, and without a role
  for (const MethodDescriptor* method : AllMethods()) {
    EXPECT_EQ(CallBytes(*method, "").error_code(), grpc::PERMISSION_DENIED) << method->full_name();
  }
  ConnectAs("bob");  // who may look
  for (const MethodDescriptor* method : MethodsOf("sluice.v1.Manager")) {
    const grpc::Status status = CallBytes(*method, "");
    EXPECT_EQ(status.error_code(), grpc::PERMISSION_DENIED) << method->full_name();
    EXPECT_THAT(status.error_message(), HasSubstr("viewer")) << method->full_name();
    EXPECT_THAT(TextOf(directory_ / "audit.log"), HasSubstr("\"action\":\"" + method->name() + "\""))
        << "what is refused is on record";
  }
  for (const MethodDescriptor* method : MethodsOf("sluice.v1.Inspector")) {
    if (method->server_streaming()) continue;  // does not end
    EXPECT_NE(CallBytes(*method, "").error_code(), grpc::PERMISSION_DENIED) << method->full_name();
  }
  ExpectNothingChanged();
}

TEST_F(EveryCallTest, RefusesBytesThatAreNoMessage) {
  Start();
  for (const MethodDescriptor* method : AllMethods()) {
    // gRPC's own word for what it cannot parse.
    EXPECT_EQ(CallBytes(*method, std::string(64, '\xff')).error_code(), grpc::INTERNAL) << method->full_name();
    EXPECT_EQ(CallBytes(*method, "\x0a\xff\xff\xff\xff\x0f").error_code(), grpc::INTERNAL) << method->full_name();
  }
  ExpectNothingChanged();
}

TEST_F(EveryCallTest, RefusesFieldsAndEnumeratorsThatItDoesNotKnowAndTextsThatAreNone) {
  Start();
  size_t fields = 0;
  for (const MethodDescriptor* method : AllMethods()) {
    const std::unique_ptr<Message> request = NewRequest(*method);
    request->GetReflection()->MutableUnknownFields(request.get())->AddVarint(999, 1);
    const grpc::Status unknown = CallMessage(*method, *request);
    EXPECT_EQ(unknown.error_code(), grpc::INVALID_ARGUMENT) << method->full_name();
    EXPECT_THAT(unknown.error_message(), StartsWith("field 999 of ")) << method->full_name();
    request->Clear();
    SpoilEach(*request, request.get(), "", [&](const std::string& path) {
      ++fields;
      const grpc::Status status = CallMessage(*method, *request);
      EXPECT_EQ(status.error_code(), grpc::INVALID_ARGUMENT) << method->full_name() << " " << path;
      EXPECT_THAT(status.error_message(), StartsWith(path + ": ")) << method->full_name();
    });
  }
  EXPECT_GT(fields, 200u);
  ExpectNothingChanged();
}

struct BadCall {
  const char* method;
  const char* request;  // text format
  grpc::StatusCode code;
  const char* says;
};

constexpr grpc::StatusCode kInvalid = grpc::INVALID_ARGUMENT;

// Requests that are well formed, and wrong: there is no such thing, there is one already, out of range, against itself,
// or against what is in force.
constexpr BadCall kBadCalls[] = {
    {"ListVips", "pool: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"ListBackends", "pool: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"GetVip", "", grpc::NOT_FOUND, "vip \"\""},
    {"GetVip", "name: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"GetBackend", "pool: 'nope' backend: 'web-1'", grpc::NOT_FOUND, "pool \"nope\""},
    {"GetBackend", "pool: 'web' backend: 'nope'", grpc::NOT_FOUND, "backend \"nope\""},
    {"GetPool", "name: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"GetDesired", "version: 99", grpc::NOT_FOUND, "version 99"},
    {"Watch", "resume: 'nonsense'", kInvalid, "resume: "},
    {"Watch", "resume: '1-1' from_oldest: true", kInvalid, "from_oldest: "},
    {"ExplainFlow", "", kInvalid, "protocol"},
    {"ExplainFlow", "protocol: PROTOCOL_TCP client: 'x' address: '203.0.113.10' port: 80", kInvalid, "client: "},
    {"ExplainFlow", "protocol: PROTOCOL_TCP client: '192.0.2.1' client_port: 70000 address: '203.0.113.10' port: 80",
     kInvalid, "client_port: "},
    {"ExplainFlow", "protocol: PROTOCOL_TCP client: '2001:db8::1' client_port: 1 address: '203.0.113.10' port: 80",
     kInvalid, "client: "},
    {"Apply", "", kInvalid, "desired: "},
    {"Apply", "desired { seed: 'ffffffffffffffffffffffffffffffff' }", grpc::FAILED_PRECONDITION, "services.seed: "},
    {"Apply", "desired { seed: '00' }", kInvalid, "services.seed: "},
    {"Apply", "desired { vips { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 1 mode: 1 pool: 'x' } }",
     kInvalid, "services.vips[0].pool: "},
    {"Apply", "desired { pools { name: 'a' } pools { name: 'a' } }", kInvalid, "services.pools[1].name: "},
    {"Apply", "desired { cookie_keys { number: 99 secret: 'x' } }", kInvalid, "services.cookie_keys[0]"},
    {"Apply", "desired { quic_configs { number: 99 } }", kInvalid, "services.quic_configs[0]"},
    {"Apply", "desired { } expected_version: 9", grpc::ABORTED, "expected_version: "},
    {"AddBackend", "pool: 'nope' backend { name: 'a' address: '10.0.0.9' }", grpc::NOT_FOUND, "\"nope\""},
    {"AddBackend", "pool: 'web'", kInvalid, "backend.address: "},
    {"AddBackend", "pool: 'web' backend { address: '10.0.0.9' }", kInvalid, "backend.name: "},
    {"AddBackend", "pool: 'web' backend { name: 'a' address: '224.0.0.1' }", kInvalid, "backend.address: "},
    {"AddBackend", "pool: 'web' backend { name: 'a' address: '10.0.0.9' weight: 1001 }", kInvalid, "backend.weight: "},
    {"AddBackend", "pool: 'web' backend { name: 'a' address: '10.0.0.9' port: 0 }", kInvalid, "backend.port: "},
    {"AddBackend", "pool: 'web' backend { name: 'a' address: '10.0.0.9' cookie_id: 70000 }", kInvalid,
     "backend.cookie_id: "},
    {"AddBackend", "pool: 'web' backend { name: 'web-1' address: '10.0.0.9' }", grpc::ALREADY_EXISTS, "\"web-1\""},
    {"AddBackend", "pool: 'web' backend { name: 'a' address: '10.0.0.1' }", grpc::ALREADY_EXISTS, "10.0.0.1"},
    {"RemoveBackend", "pool: 'web' backend: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"RemoveBackend", "pool: 'web' backend: 'web-1' expected_version: 9", grpc::ABORTED, "expected_version: "},
    {"DrainBackend", "pool: 'nope' backend: 'web-1'", grpc::NOT_FOUND, "\"nope\""},
    {"UndrainBackend", "pool: 'web' backend: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"StartDrain", "", kInvalid, "scope: "},
    {"StartDrain", "scope: DRAIN_SCOPE_BACKEND pool: 'web'", kInvalid, "backend: "},
    {"StartDrain", "scope: DRAIN_SCOPE_POOL", kInvalid, "pool: "},
    {"StartDrain", "scope: DRAIN_SCOPE_NODE pool: 'web'", kInvalid, "pool: "},
    {"StartDrain", "scope: DRAIN_SCOPE_NODE then: DRAIN_THEN_REMOVE", kInvalid, "then: "},
    {"StartDrain", "scope: DRAIN_SCOPE_POOL pool: 'web' deadline_s: 4000000000", kInvalid, "deadline_s: "},
    // The instance of this test has none; of one that has, drain_test tells.
    {"CancelDrain", "id: 99", grpc::UNIMPLEMENTED, "drains"},
    {"GetDrain", "id: 99", grpc::UNIMPLEMENTED, "drains"},
    {"CreateVip", "", kInvalid, "vip.address: "},
    {"CreateVip", "vip { name: 'www' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 1 mode: 1 pool: 'web' }",
     grpc::ALREADY_EXISTS, "\"www\""},
    {"CreateVip", "vip { name: 'a' address: '203.0.113.10' protocol: PROTOCOL_TCP port: 80 mode: 1 pool: 'web' }",
     kInvalid, "vip"},
    {"CreateVip", "vip { name: 'a' address: '203.0.113.9/40' protocol: PROTOCOL_TCP port: 80 mode: 1 pool: 'web' }",
     kInvalid, "vip.address: "},
    {"CreateVip",
     "vip { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 80 mode: 1 pool: 'web' "
     "gue_port: 6080 }",
     kInvalid, "vip.gue_port: "},
    {"CreateVip",
     "vip { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 80 mode: 1 pool: 'web' "
     "quic: true }",
     kInvalid, "vip.quic: "},
    {"CreateVip",
     "vip { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 80 mode: 1 pool: 'web' "
     "consistency: CONSISTENCY_TRACK connection_tracking: CONNECTION_TRACKING_OFF }",
     kInvalid, "vip.consistency: "},
    {"CreateVip",
     "vip { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP mode: 1 pool: 'web' "
     "ports { first: 9 last: 8 } }",
     kInvalid, "vip.port"},
    {"CreateVip",
     "vip { name: 'a' address: '203.0.113.9' protocol: PROTOCOL_TCP all_ports: false mode: 1 pool: 'web' }", kInvalid,
     "vip.port: "},
    {"UpdateVip", "vip { name: 'nope' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 1 mode: 1 pool: 'web' }",
     grpc::NOT_FOUND, "\"nope\""},
    {"UpdateVip", "vip { name: 'www' address: '203.0.113.9' protocol: PROTOCOL_TCP port: 1 mode: 1 pool: 'nope' }",
     kInvalid, "vip.pool: "},
    {"DeleteVip", "name: 'nope'", grpc::NOT_FOUND, "\"nope\""},
    {"CreatePool", "", kInvalid, "pool.name: "},
    {"CreatePool", "pool { name: 'a b' }", kInvalid, "pool.name: "},
    {"CreatePool", "pool { name: 'web' }", grpc::ALREADY_EXISTS, "\"web\""},
    {"CreatePool", "pool { name: 'a' table_size: 250 }", kInvalid, "pool.table_size: "},
    {"CreatePool", "pool { name: 'a' backup: 'a' }", kInvalid, "pool.backup: "},
    {"CreatePool", "pool { name: 'a' panic_threshold_percent: 101 }", kInvalid, "pool.panic_threshold_percent: "},
    {"CreatePool", "pool { name: 'a' health_check { } }", kInvalid, "pool.health_check.type: "},
    {"CreatePool", "pool { name: 'a' health_check { type: CHECK_TYPE_TCP path: '/x' } }", kInvalid,
     "pool.health_check.path: "},
    {"CreatePool", "pool { name: 'a' health_check { type: CHECK_TYPE_TCP port: 0 } }", kInvalid,
     "pool.health_check.port: "},
    {"UpdatePool", "pool { name: 'nope' }", grpc::NOT_FOUND, "\"nope\""},
    {"UpdatePool", "pool { name: 'web' backends { name: 'a' address: '' } }", kInvalid, "pool.backends[0].address: "},
    {"DeletePool", "name: 'web'", grpc::FAILED_PRECONDITION, "\"www\""},
    {"UpdateBackend", "pool: 'web' backend { name: 'nope' address: '10.0.0.9' }", grpc::NOT_FOUND, "\"nope\""},
    {"UpdateBackend", "pool: 'web' backend { name: 'web-1' address: '10.0.0.2' }", kInvalid, "backend"},
    {"UpdateBackend", "pool: 'web' backend { name: 'web-1' address: '10.0.0.1' quic_server_ids: 'xyz' }", kInvalid,
     "backend.quic_server_ids"},
    {"Rollback", "to_version: 99", grpc::NOT_FOUND, "version 99"},
    {"Rollback", "", grpc::NOT_FOUND, "version 0"},
    {"ReportHealth", "pool: 'web' backend: 'web-1'", kInvalid, "health: "},
    {"ReportHealth", "pool: 'web' backend: 'nope' health: BACKEND_HEALTH_UP", grpc::NOT_FOUND, "\"nope\""},
};

TEST_F(EveryCallTest, RefusesWhatIsWrongAndNamesIt) {
  Start();
  // Without a field, or only with texts to compare with and numbers of which all are right.
  std::set<std::string> untested = {"GetStatus", "ListPorts",   "ListWorkers", "GetStats",
                                    "ListPools", "ListChanges", "ListDrains"};
  for (const MethodDescriptor* method : AllMethods()) {
    bool tested = untested.erase(method->name()) > 0;
    for (const BadCall& bad : kBadCalls) {
      if (bad.method != method->name()) continue;
      tested = true;
      const std::unique_ptr<Message> request = NewRequest(*method);
      ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(bad.request, request.get())) << bad.request;
      const grpc::Status status = CallMessage(*method, *request);
      EXPECT_EQ(status.error_code(), bad.code) << bad.method << " {" << bad.request << "}: " << status.error_message();
      EXPECT_THAT(status.error_message(), HasSubstr(bad.says)) << bad.method << " {" << bad.request << "}";
    }
    EXPECT_TRUE(tested) << method->full_name() << " has no row in kBadCalls";
  }
  ExpectNothingChanged();
}

}  // namespace
}  // namespace sluice::rpc
