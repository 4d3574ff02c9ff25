#include "controlplane/rpc/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "controlplane/rpc/convert_stats.h"
#include "controlplane/rpc/grpc_status.h"
#include "sluice/v1/types.pb.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::rpc {
namespace {

using ::testing::HasSubstr;

config::ServiceConfig Everything() {
  config::ServiceConfig services = SampleServices();
  services.pools[0].backends[0].drain = true;
  services.pools[0].backends[0].weight = 0;
  services.pools[0].backends[1].drain = false;
  services.pools.push_back({"dns", 1009, {SampleBackend("ns-1", "2001:db8::53", 1000)}});
  services.vips[0].mode = config::ForwardingMode::kIpip;
  config::VipConfig dns = SampleVip("dns", "2001:db8:1::53", 53, "dns");
  dns.protocol = config::Protocol::kUdp;
  dns.quic = true;
  dns.second_chance = true;
  services.vips.push_back(dns);
  services.pools[1].backends[0].quic_server_ids = {"31441a", "0b"};
  services.quic_configs = {
      {.number = 3, .server_id_bytes = 3, .nonce_bytes = 4, .encrypted = true, .secret = std::string(32, 'c')}};
  config::VipConfig wide = SampleVip("wide", "2001:db8:2::/64", 0, "web");
  wide.ports = {8000, 8999};
  wide.mode = config::ForwardingMode::kGue;
  wide.gue_port = 6081;
  wide.hash = config::HashInput::kClientPort;
  wide.tracking = config::ConnectionTracking::kOff;
  wide.answer_echo = false;
  wide.timeouts = {11, 12, 13, 14, 15};
  services.vips.push_back(wide);
  config::VipConfig all = SampleVip("all", "203.0.113.0/24", 0, "web");
  all.ports = config::PortRange::All();
  all.mode = config::ForwardingMode::kGre;
  all.hash = config::HashInput::kClient;
  services.vips.push_back(all);
  config::VipConfig direct = SampleVip("direct", "203.0.113.11", 80, "web");
  direct.mode = config::ForwardingMode::kGueDirect;
  direct.gue_port = config::kDefaultGuePort;
  direct.timeouts.udp_s = 9;
  services.vips.push_back(direct);
  config::VipConfig nat = SampleVip("nat", "203.0.113.12", 80, "nat");
  nat.mode = config::ForwardingMode::kNat;
  services.vips.push_back(nat);
  nat = SampleVip("full-nat", "203.0.113.13", 80, "nat");
  nat.mode = config::ForwardingMode::kFullNat;
  nat.proxy_protocol = config::ProxyProtocol::kV2;
  nat.clamp_mss = false;
  services.vips.push_back(nat);
  services.pools.push_back({"nat", 1009, {SampleBackend("app-1", "10.0.1.1")}});
  services.pools.back().backends[0].port = 8080;
  services.pools.back().policy = {.on_down = config::OnDown::kReschedule,
                                  .no_backend = config::NoBackend::kReset,
                                  .backup = "web",
                                  .panic_threshold_percent = 33,
                                  .scheduling = config::Scheduling::kLeastConnections,
                                  .slow_start_s = 45,
                                  .slow_start_steps = 9,
                                  .weight_by_load = true,
                                  .weight_floor_percent = 40};
  return services;
}

TEST(Convert, DesiredStateSurvivesTheRoundTrip) {
  v1::DesiredState message;
  ToProto(Everything(), &message);
  const auto back = FromProto(message);
  ASSERT_TRUE(back.ok()) << back.status();
  v1::DesiredState again;
  ToProto(*back, &again);
  EXPECT_TRUE(google::protobuf::util::MessageDifferencer::Equals(message, again));
  // Not only equal to itself: the values are those that went in.
  EXPECT_EQ(back->seed, kSampleSeed);
  EXPECT_EQ(back->quic_configs, Everything().quic_configs);
  EXPECT_EQ(back->pools[1].backends[0].quic_server_ids, (std::vector<std::string>{"31441a", "0b"}));
  EXPECT_TRUE(back->vips[1].quic);
  EXPECT_TRUE(back->vips[1].second_chance);
  EXPECT_EQ(back->pools[0].backends[0].weight, 0u);
  EXPECT_EQ(back->pools[0].backends[0].drain, std::optional(true));
  EXPECT_EQ(back->pools[0].backends[1].drain, std::optional(false));
  EXPECT_EQ(back->pools[1].backends[0].drain, std::nullopt);
  EXPECT_EQ(back->pools[1].table_size, 1009u);
  EXPECT_EQ(back->vips[1].protocol, config::Protocol::kUdp);
  EXPECT_EQ(back->vips[1].prefix.address, Ip("2001:db8:1::53"));
  EXPECT_EQ(back->vips[0].mode, config::ForwardingMode::kIpip);
  EXPECT_TRUE(back->vips == Everything().vips);
  EXPECT_TRUE(back->pools == Everything().pools);
}

TEST(Convert, UnsetFieldsMeanTheSchemasDefaults) {
  v1::DesiredState message;
  v1::Pool* pool = message.add_pools();
  pool->set_name("web");
  pool->add_backends()->set_address("10.0.0.1");
  const auto services = FromProto(message);
  ASSERT_TRUE(services.ok());
  EXPECT_EQ(services->pools[0].table_size, config::PoolConfig().table_size);
  EXPECT_EQ(services->pools[0].backends[0].weight, config::BackendConfig().weight);
}

// What a client sends that knows only the first fields of a VIP.
TEST(Convert, OlderClientsVipsMeanWhatTheyMeant) {
  v1::Vip* vip = nullptr;
  v1::DesiredState message;
  vip = message.add_vips();
  vip->set_name("www");
  vip->set_address("203.0.113.10");
  vip->set_protocol(v1::PROTOCOL_TCP);
  vip->set_port(80);
  vip->set_pool("web");
  vip->set_mode(v1::FORWARDING_MODE_L2);
  // Byte by byte as the first version wrote it: field 4 is the port, a varint.
  EXPECT_NE(vip->SerializeAsString().find(std::string("\x20\x50", 2)), std::string::npos);
  const auto services = FromProto(message);
  ASSERT_TRUE(services.ok()) << services.status();
  EXPECT_TRUE(services->vips[0] == SampleVip("www", "203.0.113.10", 80, "web"));
}

TEST(Convert, GuePortHasItsDefaultInTheModesOfGueOnly) {
  v1::DesiredState message;
  ToProto(SampleServices(), &message);
  for (const v1::ForwardingMode mode : {v1::FORWARDING_MODE_GUE, v1::FORWARDING_MODE_GUE_DIRECT}) {
    message.mutable_vips(0)->set_mode(mode);
    EXPECT_EQ(FromProto(message)->vips[0].gue_port, std::optional<uint16_t>(6080));
  }
  message.mutable_vips(0)->set_mode(v1::FORWARDING_MODE_GRE);
  EXPECT_EQ(FromProto(message)->vips[0].gue_port, std::nullopt);
}

TEST(Convert, PortsMustBeNamed) {
  v1::DesiredState message;
  ToProto(SampleServices(), &message);
  const auto error = [&] { return std::string(FromProto(message).status().message()); };
  message.mutable_vips(0)->clear_service();
  EXPECT_EQ(error(), "services.vips[0].port: is missing; set port, ports, or all_ports to true");
  message.mutable_vips(0)->set_all_ports(false);
  EXPECT_EQ(error(), "services.vips[0].port: is missing; set port, ports, or all_ports to true");
  message.mutable_vips(0)->mutable_ports()->set_last(65535);
  EXPECT_EQ(error(), "services.vips[0].port: the range begins at 0; begin at 1, or set all_ports");
  message.mutable_vips(0)->mutable_ports()->set_first(1);
  EXPECT_EQ(error(), "");
  message.mutable_vips(0)->mutable_ports()->set_last(65536);
  EXPECT_EQ(error(), "services.vips[0].port: 65536 is out of range; give a whole number from 1 to 65535");
}

TEST(Convert, EveryUnreadableFieldIsNamed) {
  v1::DesiredState message;
  ToProto(Everything(), &message);
  message.mutable_pools(0)->mutable_backends(1)->set_address("10.0.0.300");
  message.mutable_pools(1)->mutable_backends(0)->clear_address();
  message.mutable_vips(0)->set_port(70000);
  message.mutable_vips(0)->set_protocol(v1::PROTOCOL_UNSPECIFIED);
  message.mutable_vips(1)->set_mode(static_cast<v1::ForwardingMode>(77));
  message.mutable_vips(2)->set_hash(static_cast<v1::HashInput>(78));
  message.mutable_vips(2)->set_connection_tracking(static_cast<v1::ConnectionTracking>(79));
  message.mutable_vips(2)->set_gue_port(65536);
  message.mutable_vips(3)->set_address("203.0.113.0/33");
  const absl::Status status = FromProto(message).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("services.pools[0].backends[1].address: \"10.0.0.300\""));
  EXPECT_THAT(text, HasSubstr("services.pools[1].backends[0].address: is missing"));
  EXPECT_THAT(text, HasSubstr("services.vips[0].port: 70000"));
  EXPECT_THAT(text, HasSubstr("services.vips[0].protocol: 0"));
  EXPECT_THAT(text, HasSubstr("services.vips[1].mode: 77 is no forwarding mode that this version knows; give one of "
                              "FORWARDING_MODE_L2, FORWARDING_MODE_IPIP, FORWARDING_MODE_GUE, "
                              "FORWARDING_MODE_GUE_DIRECT, FORWARDING_MODE_GRE"));
  EXPECT_THAT(text, HasSubstr("services.vips[2].hash: 78"));
  EXPECT_THAT(text, HasSubstr("services.vips[2].connection_tracking: 79"));
  EXPECT_THAT(text, HasSubstr("services.vips[2].gue_port: 65536"));
  EXPECT_THAT(text, HasSubstr("services.vips[3].address: \"203.0.113.0/33\""));
}

TEST(ConvertStats, WorkersShowTablesRungsAndAnswers) {
  fwd::WorkerStats worker;
  worker.id = WorkerId(3);
  for (size_t i = 0; i < fwd::kRungCount; ++i) worker.rungs[i] = 10 + i;
  worker.answers[static_cast<size_t>(fwd::AnswerKind::kEchoReply)] = 20;
  worker.answers[static_cast<size_t>(fwd::AnswerKind::kPacketTooBig)] = 21;
  worker.related = 22;
  worker.table_v4.unconfirmed_full = 30;
  worker.table_v6.entries = 31;
  worker.table_wide = {.entries = 32, .capacity = 33};
  worker.table_nat = {.entries = 34, .capacity = 35};
  worker.nat = {.stateless_replies = 36, .replies = 37, .proxy_headers = 38, .unsteered = 39};
  worker.table_stateful = {.entries = 42, .capacity = 43};
  worker.copies = {.packets = 44, .copies = 45, .limited = 46, .no_buffer = 47};
  worker.handed_over = 40;
  worker.taken_over = 41;
  v1::WorkerStatus message;
  ToProto(worker, std::chrono::seconds(1), &message);
  EXPECT_EQ(message.rungs().size(), fwd::kRungCount - 1);
  EXPECT_EQ(message.rungs().at("connection_table"), 11u);
  EXPECT_EQ(message.rungs().at("cookie"), 12u);
  EXPECT_EQ(message.rungs().at("scheduler"), 13u);
  EXPECT_EQ(message.rungs().at("scheduler_no_entry"), 14u);
  EXPECT_EQ(message.rungs().at("hash_only"), 15u);
  EXPECT_EQ(message.answers().size(), fwd::kAnswerKindCount);
  EXPECT_EQ(message.answers().at("echo_reply"), 20u);
  EXPECT_EQ(message.answers().at("packet_too_big"), 21u);
  EXPECT_EQ(message.related(), 22u);
  EXPECT_EQ(message.copies().packets(), 44u);
  EXPECT_EQ(message.copies().copies(), 45u);
  EXPECT_EQ(message.copies().limited(), 46u);
  EXPECT_EQ(message.copies().no_buffer(), 47u);
  EXPECT_EQ(message.table_v4().unconfirmed_full(), 30u);
  EXPECT_EQ(message.table_v6().entries(), 31u);
  EXPECT_EQ(message.table_wide().entries(), 32u);
  EXPECT_EQ(message.table_wide().capacity(), 33u);
  EXPECT_EQ(message.table_nat().entries(), 34u);
  EXPECT_EQ(message.table_nat().capacity(), 35u);
  EXPECT_EQ(message.table_stateful().entries(), 42u);
  EXPECT_EQ(message.table_stateful().capacity(), 43u);
  EXPECT_EQ(message.rungs().at("slot"), 16u);
  EXPECT_EQ(message.rungs().at("quic"), 17u);
  EXPECT_EQ(message.nat().stateless_replies(), 36u);
  EXPECT_EQ(message.nat().replies(), 37u);
  EXPECT_EQ(message.nat().proxy_headers(), 38u);
  EXPECT_EQ(message.nat().unsteered(), 39u);
  EXPECT_EQ(message.handed_over(), 40u);
  EXPECT_EQ(message.taken_over(), 41u);
}

TEST(Convert, BackendPortsAreNotCutTo16Bits) {
  v1::Backend message;
  message.set_name("a");
  message.set_address("10.0.0.1");
  message.set_port(65536 + 80);
  EXPECT_THAT(std::string(FromProto(message, "backend").status().message()),
              HasSubstr("backend.port: 65616 is out of"));
  message.set_port(80);
  EXPECT_EQ(FromProto(message, "backend")->port, std::optional<uint16_t>(80));
}

TEST(GrpcStatus, TheLogGetsTheFirstLinesOfALongRefusal) {
  EXPECT_EQ(LogText(absl::NotFoundError("x")), "NOT_FOUND: x");
  std::string lines;
  for (int i = 0; i < 1000; ++i) lines += "services.vips[" + std::to_string(i) + "].pool: is missing\n";
  const std::string text = LogText(absl::InvalidArgumentError(lines));
  EXPECT_LT(text.size(), kMaxLogBytes + 40);
  EXPECT_THAT(text, HasSubstr("INVALID_ARGUMENT: services.vips[0].pool: is missing\n"));
  EXPECT_THAT(text, HasSubstr("is missing... ("));
}

TEST(Convert, PortIsNotCutTo16Bits) {
  v1::DesiredState message;
  ToProto(SampleServices(), &message);
  message.mutable_vips(0)->set_port(65536 + 80);
  EXPECT_FALSE(FromProto(message).ok());
}

}  // namespace
}  // namespace sluice::rpc
