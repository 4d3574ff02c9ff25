#include "controlplane/rpc/convert.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/message_differencer.h>
#include <gtest/gtest.h>

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
  services.vips.push_back(dns);
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
  EXPECT_EQ(back->pools[0].backends[0].weight, 0u);
  EXPECT_EQ(back->pools[0].backends[0].drain, std::optional(true));
  EXPECT_EQ(back->pools[0].backends[1].drain, std::optional(false));
  EXPECT_EQ(back->pools[1].backends[0].drain, std::nullopt);
  EXPECT_EQ(back->pools[1].table_size, 1009u);
  EXPECT_EQ(back->vips[1].protocol, config::Protocol::kUdp);
  EXPECT_EQ(back->vips[1].address, Ip("2001:db8:1::53"));
  EXPECT_EQ(back->vips[0].mode, config::ForwardingMode::kIpip);
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

TEST(Convert, EveryUnreadableFieldIsNamed) {
  v1::DesiredState message;
  ToProto(Everything(), &message);
  message.mutable_pools(0)->mutable_backends(1)->set_address("10.0.0.300");
  message.mutable_pools(1)->mutable_backends(0)->clear_address();
  message.mutable_vips(0)->set_port(70000);
  message.mutable_vips(0)->set_protocol(v1::PROTOCOL_UNSPECIFIED);
  message.mutable_vips(1)->set_mode(static_cast<v1::ForwardingMode>(77));
  const absl::Status status = FromProto(message).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  const std::string text(status.message());
  EXPECT_THAT(text, HasSubstr("services.pools[0].backends[1].address: \"10.0.0.300\""));
  EXPECT_THAT(text, HasSubstr("services.pools[1].backends[0].address: is missing"));
  EXPECT_THAT(text, HasSubstr("services.vips[0].port: 70000"));
  EXPECT_THAT(text, HasSubstr("services.vips[0].protocol: 0"));
  EXPECT_THAT(text, HasSubstr("services.vips[1].mode: 77"));
}

TEST(Convert, PortIsNotCutTo16Bits) {
  v1::DesiredState message;
  ToProto(SampleServices(), &message);
  message.mutable_vips(0)->set_port(65536 + 80);
  EXPECT_FALSE(FromProto(message).ok());
}

}  // namespace
}  // namespace sluice::rpc
