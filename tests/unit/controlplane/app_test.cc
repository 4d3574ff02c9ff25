#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "controlplane/app/affinity.h"
#include "controlplane/app/command_line.h"
#include "controlplane/app/dataplane_options.h"
#include "controlplane/app/node_diff.h"
#include "controlplane/app/report.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

absl::StatusOr<CommandLine> Parse(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), "sluiced");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  return ParseCommandLine(static_cast<int>(arguments.size()), argv.data());
}

TEST(CommandLine, ReadsItsOptions) {
  const auto run = Parse({"--config", "a.yaml", "--log-level", "debug"});
  ASSERT_TRUE(run.ok());
  EXPECT_EQ(run->action, CommandLine::Action::kRun);
  EXPECT_EQ(run->config_file, "a.yaml");
  EXPECT_EQ(run->log_level, LogLevel::kDebug);
  EXPECT_EQ(Parse({"--config=a.yaml", "--check"})->action, CommandLine::Action::kCheck);
  const auto preflight = Parse({"preflight", "--config", "a.yaml", "--json"});
  ASSERT_TRUE(preflight.ok());
  EXPECT_EQ(preflight->action, CommandLine::Action::kPreflight);
  EXPECT_TRUE(preflight->json);
  EXPECT_FALSE(preflight->probe);
  EXPECT_TRUE(Parse({"--config=a.yaml", "preflight", "--probe"})->probe);
  EXPECT_EQ(Parse({"--version"})->action, CommandLine::Action::kVersion);
  EXPECT_EQ(Parse({"-h"})->action, CommandLine::Action::kHelp);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
  const auto message = [](std::vector<std::string> arguments) {
    return std::string(Parse(std::move(arguments)).status().message());
  };
  EXPECT_THAT(message({}), HasSubstr("--config FILE is missing"));
  EXPECT_THAT(message({"--config"}), HasSubstr("--config needs a value"));
  EXPECT_THAT(message({"--confg", "a"}), HasSubstr("--confg"));
  EXPECT_THAT(message({"--config", "a", "b"}), HasSubstr("\"b\""));
  EXPECT_THAT(message({"preflight", "--config", "a", "b"}), HasSubstr("\"b\""));
  EXPECT_THAT(message({"--config", "a", "--json"}), HasSubstr("belong to preflight"));
  EXPECT_THAT(message({"--config", "a", "--check", "preflight"}), HasSubstr("\"preflight\""));
  EXPECT_THAT(message({"--config", "a", "--log-level", "loud"}), HasSubstr("\"loud\""));
}

config::NodeConfig Node() {
  config::NodeConfig node;
  config::PortConfig port;
  port.name = "wan";
  port.devices = {"net_null0"};
  port.mtu_bytes = 9000;
  port.exception.interface = "sluice-wan";
  node.ports = {port};
  node.workers.count = 3;
  node.workers.cpus = {1, 2, 3};
  node.workers.idle = config::IdleMode::kPoll;
  node.timeouts.udp_s = 17;
  node.tables.connections_wide = 4096;
  node.tunnels.source_v6 = net::IpPrefix::Parse("2001:db8:ff::/48");
  node.answers_per_s = 5;
  node.copies_per_s = 15;
  node.tables.nat_sessions = 2048;
  node.tables.connections_stateful = 3072;
  node.nat = {{*net::IpAddress::Parse("192.0.2.9")}, {2000, 2999}};
  node.fragments = {7, 8, 9};
  return node;
}

TEST(NodeDiff, NamesWhatDiffers) {
  const config::NodeConfig running = Node();
  EXPECT_THAT(DifferingNodeFields(running, running), IsEmpty());
  config::NodeConfig wanted = Node();
  wanted.ports[0].mtu_bytes = 1500;
  wanted.ports[0].gateway_mac = net::MacAddress::Parse("02:00:00:00:00:01");
  wanted.workers.count = 2;
  wanted.metrics.listen = "127.0.0.1:9999";
  wanted.tables.connections_wide = 8192;
  wanted.tunnels.source_v4 = net::IpPrefix::Parse("198.18.0.0/16");
  wanted.tunnels.source_v6.reset();
  wanted.answers_per_s = 6;
  wanted.copies_per_s = 16;
  wanted.tables.nat_sessions = 4096;
  wanted.tables.connections_stateful = 6144;
  wanted.nat = {};
  wanted.fragments = {17, 18, 19};
  EXPECT_THAT(
      DifferingNodeFields(running, wanted),
      ElementsAre("node.ports[0].gateway_mac", "node.ports[0].mtu", "node.workers.count",
                  "node.tables.connections_wide", "node.tables.nat_sessions", "node.tables.connections_stateful",
                  "node.nat.local_addresses", "node.nat.local_ports", "node.fragments.packets", "node.fragments.held",
                  "node.fragments.timeout_s", "node.tunnels.source_v4", "node.tunnels.source_v6", "node.answers_per_s",
                  "node.copies_per_s", "node.metrics.listen"));
  wanted = Node();
  wanted.ports.clear();
  EXPECT_THAT(DifferingNodeFields(running, wanted), ElementsAre("node.ports"));
}

TEST(DataplaneOptions, FollowTheNode) {
  runtime::DataplaneOptions options = ToDataplaneOptions(Node());
  ASSERT_EQ(options.ports.size(), 1u);
  EXPECT_EQ(options.ports[0].name, "wan");
  EXPECT_EQ(options.ports[0].mtu_bytes, 9000u);
  EXPECT_EQ(options.ports[0].exception_interface, "sluice-wan");
  EXPECT_EQ(options.workers, 3u);
  EXPECT_THAT(options.worker_cpus, ElementsAre(1, 2, 3));
  EXPECT_EQ(options.idle, runtime::IdleMode::kPoll);
  EXPECT_EQ(options.connections_wide, 4096u);
  EXPECT_EQ(options.tunnel_source_v4, std::nullopt);
  EXPECT_EQ(options.tunnel_source_v6, net::IpPrefix::Parse("2001:db8:ff::/48"));
  EXPECT_EQ(options.answers_per_s, 5u);
  EXPECT_EQ(options.copies_per_s, 15u);
  EXPECT_EQ(options.nat_sessions, 2048u);
  EXPECT_EQ(options.connections_stateful, 3072u);
  EXPECT_THAT(options.nat_local_addresses, ElementsAre(*net::IpAddress::Parse("192.0.2.9")));
  EXPECT_EQ(options.nat_first_port, 2000);
  EXPECT_EQ(options.nat_last_port, 2999);
  EXPECT_EQ(options.fragment_packets, 7u);
  EXPECT_EQ(options.fragments_held, 8u);
  EXPECT_EQ(options.fragment_timeout_s, 9u);
  config::NodeConfig without = Node();
  without.ports[0].exception.enabled = false;
  EXPECT_EQ(ToDataplaneOptions(without).ports[0].exception_interface, "");
}

TEST(Affinity, ControlThreadsKeepOffWorkersWhereTheyCan) {
  EXPECT_THAT(ControlCpus({0, 1, 2, 3}, {2, 3}), ElementsAre(0, 1));
  EXPECT_THAT(ControlCpus({0, 1}, {0, 1}), ElementsAre(0, 1));
}

TEST(Report, SummaryNamesVipsAndPools) {
  const std::string summary = Summary({Node(), SampleServices()});
  EXPECT_THAT(summary, HasSubstr("vip www: 203.0.113.10:80/tcp to pool web, mode l2"));
  EXPECT_THAT(summary, HasSubstr("pool web: 2 backends, 251 slots"));
}

}  // namespace
}  // namespace sluice::app
