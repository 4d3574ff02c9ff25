#include "controlplane/rpc/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/reconcile/reconciler.h"
#include "sluice/v1/sluice.pb.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::rpc {
namespace {

using ::testing::HasSubstr;

// VIP www (203.0.113.10:80/tcp, l2) over web-1 and web-2.
class ExplainTest : public ::testing::Test {
 protected:
  ExplainTest() {
    services_ = SampleServices();
    Apply();
    dataplane_.next_hop.port = PortId(0);
    dataplane_.next_hop.on_link = true;
    dataplane_.next_hop.resolved = true;
    dataplane_.next_hop.source = *net::MacAddress::Parse("02:00:00:00:00:01");
    dataplane_.next_hop.destination = *net::MacAddress::Parse("02:00:00:00:00:11");
    fwd::PortStats port;
    port.id = PortId(0);
    port.name = "wan";
    dataplane_.ports = {port};
    question_ = {.client = *net::IpAddress::Parse("198.51.100.7"),
                 .destination = *net::IpAddress::Parse("203.0.113.10"),
                 .client_port = Be16::FromHost(40000),
                 .destination_port = Be16::FromHost(80),
                 .protocol = 6};
    finding_.vip = VipId(0);
    finding_.is_vip_address = true;
    finding_.rung = fwd::Rung::kScheduler;
    finding_.backend = finding_.scheduled = Id("web-1");
    finding_.slot = 17;
    finding_.slots = 65537;
  }
  void Apply() { ASSERT_TRUE(reconciler_.Apply(services_).ok()); }
  BackendId Id(const std::string& name) { return (*reconciler_.Current().registry->GetBackend("web", name))->id; }
  v1::ExplainFlowResponse Answer() {
    v1::ExplainFlowResponse response;
    Explain(reconciler_.Current(), question_, finding_, dataplane_, &response);
    return response;
  }
  static std::string PacketText(const v1::ExplainFlowResponse& response) {
    std::string text;
    for (const v1::PacketHeader& header : response.packet()) {
      text += header.protocol() + " " + header.source() + ">" + header.destination() +
              (header.detail().empty() ? "" : " (" + header.detail() + ")") + "\n";
    }
    return text;
  }

  config::ServiceConfig services_;
  FakeDataplane dataplane_;
  reconcile::Reconciler reconciler_{kSampleLimits, ValidateSample, dataplane_, dataplane_};
  fwd::FlowQuestion question_;
  fwd::FlowFinding finding_;
};

TEST_F(ExplainTest, ANewFlowGoesByItsSlot) {
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.fate(), "forwarded");
  EXPECT_EQ(answer.rung(), "scheduler");
  EXPECT_EQ(answer.vip().name(), "www");
  EXPECT_EQ(answer.backend(), "web-1");
  EXPECT_EQ(answer.slot_backend(), "web-1");
  EXPECT_EQ(answer.egress_port(), "wan");
  ASSERT_EQ(answer.backends_size(), 2);
  EXPECT_TRUE(answer.backends(0).chosen());
  EXPECT_EQ(answer.backends(0).reason(), "slot 17 is its own");
  EXPECT_FALSE(answer.backends(1).chosen());
  EXPECT_EQ(answer.backends(1).reason(), "slot 17 is web-1's");
  EXPECT_EQ(PacketText(answer),
            "Ethernet 02:00:00:00:00:01>02:00:00:00:00:11\n"
            "IPv4 198.51.100.7>203.0.113.10 (as it came)\n"
            "TCP 40000>80\n");
}

TEST_F(ExplainTest, ANewFlowGoesByThePolicy) {
  services_.pools[0].policy.scheduling = config::Scheduling::kLeastConnections;
  Apply();
  finding_.by_policy = true;
  finding_.backend = Id("web-2");
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.policy(), "least-connections");
  EXPECT_EQ(answer.backend(), "web-2");
  EXPECT_EQ(answer.slot_backend(), "web-1");
  EXPECT_THAT(answer.explanation(), HasSubstr("to web-2, which the pool's policy chooses now"));
  EXPECT_EQ(answer.backends(0).reason(), "policy least-connections chooses web-2 now");
  EXPECT_EQ(answer.backends(1).reason(), "policy least-connections chooses it for a connection that begins now");
}

TEST_F(ExplainTest, BackendsThatAreDownSayWhy) {
  ASSERT_TRUE(reconciler_.ReportHealth("web", "web-2", model::Health::kDown, "disk full").ok());
  EXPECT_EQ(Answer().backends(1).reason(), "down (disk full): it gets nothing new");
  finding_.backend = BackendId();
  finding_.rung = fwd::Rung::kConnectionTable;
  finding_.refusal = fwd::Refusal::kReset;
  v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.fate(), "answered");
  EXPECT_THAT(answer.explanation(), HasSubstr("on_down of pool web is reset"));
  finding_.rung = fwd::Rung::kNone;
  services_.pools[0].policy.no_backend = config::NoBackend::kReset;
  Apply();
  answer = Answer();
  EXPECT_EQ(answer.fate(), "answered");
  EXPECT_THAT(answer.explanation(), HasSubstr("by no_backend it is answered with reset"));
}

TEST_F(ExplainTest, ABackendOfTheBackupIsNamed) {
  config::PoolConfig spare = services_.pools[0];
  spare.name = "spare";
  spare.backends = {SampleBackend("spare-1", "10.0.0.9")};
  services_.pools.push_back(spare);
  services_.pools[0].policy.backup = "spare";
  Apply();
  finding_.backend = finding_.scheduled = (*reconciler_.Current().registry->GetBackend("spare", "spare-1"))->id;
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.fate(), "forwarded");
  EXPECT_EQ(answer.backend(), "spare-1");
  EXPECT_EQ(answer.slot_backend(), "spare-1");
  ASSERT_EQ(answer.backends_size(), 3);
  EXPECT_TRUE(answer.backends(2).chosen());
}

TEST_F(ExplainTest, ASessionOfABackendThatGivesItsFlowsAwayIsReset) {
  finding_.has_session = true;
  finding_.rung = fwd::Rung::kConnectionTable;
  finding_.backend = BackendId();
  finding_.refusal = fwd::Refusal::kReset;
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.fate(), "answered");
  EXPECT_EQ(answer.rung(), "session");
  EXPECT_EQ(answer.backend(), "");
  EXPECT_THAT(answer.explanation(), HasSubstr("the backend of its session is down"));
}

TEST_F(ExplainTest, AKnownFlowStaysWithADrainingBackend) {
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok());
  finding_.rung = fwd::Rung::kConnectionTable;
  finding_.backend = Id("web-2");
  finding_.tracked = {.exists = true,
                      .backend_exists = true,
                      .over = false,
                      .backend = Id("web-2"),
                      .state = lb::FlowState::kEstablished,
                      .idle_s = 4};
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.backend(), "web-2");
  EXPECT_EQ(answer.entry().backend(), "web-2");
  EXPECT_EQ(answer.entry().state(), "established");
  EXPECT_EQ(answer.entry().idle_s(), 4u);
  EXPECT_EQ(answer.backends(0).reason(), "the connection stays with web-2; a new one would come here");
  EXPECT_EQ(answer.backends(1).reason(), "the connection's entry names it");
  // A flow that is not known does not go there.
  finding_.rung = fwd::Rung::kScheduler;
  finding_.backend = finding_.scheduled;
  finding_.tracked = {};
  EXPECT_THAT(Answer().backends(1).reason(), HasSubstr("draining"));
}

TEST_F(ExplainTest, ACookieGoesFirst) {
  EXPECT_FALSE(Answer().has_cookie_backend());
  question_.has_echo = true;
  EXPECT_FALSE(Answer().has_cookie_backend()) << "the VIP has no cookies";
  services_.vips[0].cookies = config::Cookies::kBackend;
  services_.cookie_keys.push_back({0, "000102030405060708090a0b0c0d0e0f"});
  Apply();
  EXPECT_EQ(Answer().cookie_backend(), "");
  ASSERT_TRUE(Answer().has_cookie_backend());
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok());
  finding_.cookie = finding_.backend = Id("web-2");
  finding_.rung = fwd::Rung::kCookie;
  const v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.rung(), "cookie");
  EXPECT_EQ(answer.cookie_backend(), "web-2");
  EXPECT_EQ(answer.explanation(), "to web-2, as the packet's cookie says");
  EXPECT_EQ(answer.backends(0).reason(), "the packet's cookie names web-2");
  EXPECT_EQ(answer.backends(1).reason(), "the packet's cookie names it");
}

TEST_F(ExplainTest, EveryModesPacket) {
  finding_.tunnel_source = *net::IpAddress::Parse("192.0.2.2");
  finding_.udp_source_port = 50001;
  const auto packet = [&](config::ForwardingMode mode) {
    services_.vips[0].mode = mode;
    Apply();
    return PacketText(Answer());
  };
  const std::string inner = "IPv4 198.51.100.7>203.0.113.10 (as it came)\nTCP 40000>80\n";
  EXPECT_THAT(packet(config::ForwardingMode::kIpip), HasSubstr("IPv4 192.0.2.2>10.0.0.1\n" + inner));
  EXPECT_THAT(packet(config::ForwardingMode::kGre), HasSubstr("IPv4 192.0.2.2>10.0.0.1\nGRE >\n" + inner));
  EXPECT_THAT(packet(config::ForwardingMode::kGue), HasSubstr("UDP 50001>6080\nGUE > (variant 0)\n" + inner));
  finding_.second = Id("web-2");
  EXPECT_THAT(packet(config::ForwardingMode::kGue), HasSubstr("GUE > (variant 0; behind the SYN it names web-2)\n"));
  EXPECT_THAT(packet(config::ForwardingMode::kNat),
              HasSubstr("IPv4 198.51.100.7>10.0.0.1 (one hop less)\nTCP 40000>80\n"));
  EXPECT_THAT(packet(config::ForwardingMode::kFullNat), HasSubstr("IPv4 a local address>10.0.0.1"));
  finding_.has_session = finding_.source_translated = true;
  finding_.local = *net::IpAddress::Parse("192.0.2.3");
  finding_.local_port = Be16::FromHost(2000);
  EXPECT_THAT(packet(config::ForwardingMode::kFullNat),
              HasSubstr("IPv4 192.0.2.3>10.0.0.1 (one hop less)\nTCP 2000>80"));
  EXPECT_EQ(Answer().rung(), "session");
}

TEST_F(ExplainTest, DropsHaveTheReasonThatIsCounted) {
  dataplane_.next_hop.resolved = false;
  EXPECT_EQ(Answer().drop_reason(), "next_hop_unresolved");
  EXPECT_EQ(Answer().packet_size(), 0);
  dataplane_.next_hop.resolved = true;
  dataplane_.next_hop.on_link = false;
  EXPECT_EQ(Answer().drop_reason(), "backend_not_on_link");
  services_.vips[0].mode = config::ForwardingMode::kIpip;
  Apply();
  EXPECT_EQ(Answer().drop_reason(), "no_tunnel_source");
  finding_.backend = finding_.scheduled = BackendId();
  finding_.slots = 0;
  finding_.rung = fwd::Rung::kNone;
  EXPECT_EQ(Answer().drop_reason(), "no_backend");
  finding_.vip = VipId();
  EXPECT_EQ(Answer().drop_reason(), "vip_no_service");
  EXPECT_FALSE(Answer().has_vip());
  finding_.is_vip_address = false;
  EXPECT_EQ(Answer().fate(), "punted");
}

TEST_F(ExplainTest, BadQuestionsNameTheField) {
  v1::ExplainFlowRequest request;
  const auto complaint = [&] {
    const absl::Status status = ReadQuestion(request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    return std::string(status.message());
  };
  EXPECT_THAT(complaint(), HasSubstr("protocol: "));
  request.set_protocol(v1::PROTOCOL_UDP);
  request.set_client("nobody");
  EXPECT_THAT(complaint(), HasSubstr("client: \"nobody\""));
  request.set_client("2001:db8::1");
  request.set_address("203.0.113.10");
  EXPECT_THAT(complaint(), HasSubstr("two IP versions"));
  request.set_client("198.51.100.7");
  EXPECT_THAT(complaint(), HasSubstr("client_port: 0"));
  request.set_client_port(1);
  request.set_port(70000);
  EXPECT_THAT(complaint(), HasSubstr("port: 70000"));
  request.set_port(53);
  request.set_echo(7);
  EXPECT_THAT(complaint(), HasSubstr("echo: only TCP"));
  request.clear_echo();
  ASSERT_TRUE(ReadQuestion(request).ok());
  EXPECT_EQ(ReadQuestion(request)->protocol, 17);
}

TEST_F(ExplainTest, UnsafeConnectionsMayBeAtHome) {
  services_.vips[0].tracking = config::ConnectionTracking::kUnsafe;
  Apply();
  finding_.home = Id("web-2");
  v1::ExplainFlowResponse answer = Answer();
  EXPECT_EQ(answer.backend(), "web-1");
  EXPECT_EQ(answer.home_backend(), "web-2");
  EXPECT_EQ(answer.explanation(),
            "to web-1, whose slot the flow's hash chooses; if it began before its slot moved, to web-2, its home");
  finding_.home = Id("web-1");
  finding_.rung = fwd::Rung::kSafe;
  answer = Answer();
  EXPECT_EQ(answer.rung(), "safe");
  EXPECT_EQ(answer.home_backend(), "");
  EXPECT_EQ(answer.backends(0).reason(), "slot 17 is its own");
  EXPECT_EQ(
      answer.explanation(),
      "to web-1, whose slot the flow's hash chooses; no change of backends could move it, so nothing is remembered");
}

TEST_F(ExplainTest, TheWorkerThatKnowsTheFlowIsBelieved) {
  std::vector<fwd::FlowFinding> findings(3);
  for (uint8_t i = 0; i < 3; ++i) findings[i].worker = WorkerId(i);
  EXPECT_EQ(MostTelling(findings).worker, WorkerId(0));
  findings[2].tracked.exists = true;
  EXPECT_EQ(MostTelling(findings).worker, WorkerId(2));
  findings[1].tracked.exists = findings[1].tracked.backend_exists = true;
  EXPECT_EQ(MostTelling(findings).worker, WorkerId(1));
  findings[0].has_session = true;
  EXPECT_EQ(MostTelling(findings).worker, WorkerId(0));
}

}  // namespace
}  // namespace sluice::rpc
