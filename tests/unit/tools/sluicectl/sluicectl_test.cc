#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "tools/sluicectl/arguments.h"
#include "tools/sluicectl/client.h"
#include "tools/sluicectl/command.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/print.h"
#include "tools/sluicectl/table.h"
#include "tools/sluicectl/units.h"

namespace sluice::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Arguments, FlagsAndWordsMayBeMixed) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"-o", "json", "get", "vips"}, std::vector<std::string>{"get", "--output=json", "vips"},
        std::vector<std::string>{"get", "vips", "-ojson"},
        std::vector<std::string>{"get", "vips", "-o", "table", "--output", "json"}}) {
    const auto parsed = ParseArguments(line, Flags());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_THAT(parsed->words, ElementsAre("get", "vips"));
    EXPECT_EQ(parsed->Get("output", "table"), "json");
  }
}

TEST(Arguments, DashIsAWordAndTwoDashesEndTheFlags) {
  const auto parsed = ParseArguments({"apply", "-f", "-", "--", "-o"}, Flags());
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->Get("file", ""), "-");
  EXPECT_THAT(parsed->words, ElementsAre("apply", "-o"));
}

TEST(Arguments, MistakesAreUsageErrorsWithASuggestion) {
  const auto message = [](const std::vector<std::string>& line) {
    const absl::Status status = ParseArguments(line, Flags()).status();
    EXPECT_EQ(ExitCodeOf(status), kExitUsage);
    return std::string(status.message());
  };
  EXPECT_THAT(message({"--ouput", "json"}), HasSubstr("unknown option --ouput; did you mean --output?"));
  EXPECT_THAT(message({"-x"}), HasSubstr("unknown option -x"));
  EXPECT_THAT(message({"status", "--server"}), HasSubstr("--server needs a value"));
  EXPECT_THAT(message({"--help=now"}), HasSubstr("--help takes no value"));
}

TEST(Commands, AreFoundByOneOrTwoWords) {
  EXPECT_EQ(FindCommand({"status"})->command->words, "status");
  const auto one = FindCommand({"get", "vip", "www"});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->command->words, "get vips");
  EXPECT_EQ(one->words, 2u);
  const auto drain = FindCommand({"backend", "drain", "web", "web-1"});
  ASSERT_TRUE(drain.ok());
  EXPECT_EQ(drain->command->words, "backend drain");
  EXPECT_EQ(drain->words, 2u);
}

TEST(Commands, UnknownOnesGetASuggestion) {
  const auto message = [](const std::vector<std::string>& words) {
    const absl::Status status = FindCommand(words).status();
    EXPECT_EQ(ExitCodeOf(status), kExitUsage);
    return std::string(status.message());
  };
  EXPECT_THAT(message({"statsu"}), HasSubstr("unknown command \"statsu\"; did you mean"));
  EXPECT_THAT(message({"get", "vpis"}), HasSubstr("unknown command \"get vpis\"; did you mean \"vips\"?"));
  EXPECT_THAT(message({"get"}), HasSubstr("needs one of: vips, pools, backends, drains, ports, workers"));
}

TEST(Commands, RefuseOptionsAndOperandsOfOthers) {
  const Command& status = *FindCommand({"status"})->command;
  const Command& add = *FindCommand({"backend", "add"})->command;
  const ParsedArguments weight{{{"weight", "5"}}, {}};
  EXPECT_EQ(ExitCodeOf(CheckUse(status, weight, 0)), kExitUsage);
  EXPECT_TRUE(CheckUse(add, weight, 3).ok());
  EXPECT_THAT(std::string(CheckUse(add, {}, 2).message()), HasSubstr("sluicectl backend add POOL NAME ADDRESS"));
  EXPECT_FALSE(CheckUse(status, {}, 1).ok());
}

TEST(Commands, EveryOneIsInTheOverviewAndHasHelp) {
  for (const Command& command : Commands()) {
    EXPECT_THAT(OverviewHelp(), HasSubstr(std::string(command.words)));
    EXPECT_THAT(CommandHelp(command), HasSubstr("--server"));
  }
}

TEST(Table, AlignsColumnsAndLeavesNoTrailingBlanks) {
  Table table({{"NAME"}, {"COUNT", Align::kRight}, {"NOTE"}});
  table.AddRow({"a", "7", "x"});
  table.AddRow({"longer", "12345678", ""});
  std::ostringstream out;
  table.Print(out);
  EXPECT_EQ(out.str(),
            "NAME       COUNT  NOTE\n"
            "a              7  x\n"
            "longer  12345678  -\n");
}

TEST(Units, CountsAndBytesHaveThreeDigits) {
  EXPECT_EQ(HumanCount(0), "0");
  EXPECT_EQ(HumanCount(9999), "9999");
  EXPECT_EQ(HumanCount(10000), "10.0k");
  EXPECT_EQ(HumanCount(123456), "123k");
  EXPECT_EQ(HumanCount(999999), "1.00M");
  EXPECT_EQ(HumanCount(4560000000), "4.56G");
  EXPECT_EQ(HumanCount(UINT64_MAX), "18.4E");
  EXPECT_EQ(HumanBytes(1023), "1023B");
  EXPECT_EQ(HumanBytes(1536), "1.50KiB");
  EXPECT_EQ(HumanBytes(12 << 20), "12.0MiB");
}

TEST(Units, DurationsAndTimes) {
  EXPECT_EQ(HumanDuration(59), "59s");
  EXPECT_EQ(HumanDuration(310), "5m10s");
  EXPECT_EQ(HumanDuration(3 * 3600 + 300), "3h5m");
  EXPECT_EQ(HumanDuration(12 * 86400 + 4 * 3600), "12d4h");
  EXPECT_EQ(UtcTime(0), "-");
  EXPECT_EQ(UtcTime(1714817472999), "2024-05-04T10:11:12Z");
  EXPECT_EQ(HumanShare(1.0 / 3), "33.3%");
}

TEST(Print, BackendsAsATable) {
  v1::ListBackendsResponse list;
  v1::BackendStatus* backend = list.add_backends();
  backend->set_pool("web");
  backend->mutable_backend()->set_name("web-1");
  backend->mutable_backend()->set_address("192.0.2.11");
  backend->mutable_backend()->set_weight(100);
  backend->set_lifecycle(v1::BACKEND_LIFECYCLE_DRAINING);
  backend->set_flows_alive(12345);
  backend->set_slot_share(0.25);
  backend->mutable_next_hop()->set_port("wan");
  std::ostringstream out;
  PrintBackends(list, false, out);
  EXPECT_EQ(out.str(),
            "POOL  NAME   ADDRESS     STATE     WEIGHT  SLOTS  FLOWS  STARTED  PACKETS  BYTES  NEXT HOP\n"
            "web   web-1  192.0.2.11  draining     100  25.0%  12.3k        0        0     0B  unresolved on wan\n");
}

TEST(Print, StatesTellTheHealthThatAnybodyKnows) {
  v1::BackendStatus backend;
  backend.set_lifecycle(v1::BACKEND_LIFECYCLE_ACTIVE);
  backend.set_health(v1::BACKEND_HEALTH_UNCHECKED);
  EXPECT_EQ(StateText(backend), "active");
  backend.set_health(v1::BACKEND_HEALTH_UP);
  EXPECT_EQ(StateText(backend), "active up");
  backend.set_lifecycle(v1::BACKEND_LIFECYCLE_DRAINING);
  backend.set_health(v1::BACKEND_HEALTH_DOWN);
  EXPECT_EQ(StateText(backend), "draining down");
}

TEST(Print, VipsWriteIpv6AddressesInBrackets) {
  v1::ListVipsResponse list;
  v1::Vip* vip = list.add_vips()->mutable_vip();
  vip->set_name("dns");
  vip->set_address("2001:db8::53");
  vip->set_port(53);
  vip->set_protocol(v1::PROTOCOL_UDP);
  std::ostringstream out;
  PrintVips(list, /*wide=*/false, out);
  EXPECT_THAT(out.str(), HasSubstr("[2001:db8::53]:53/udp"));
}

TEST(Print, VipsShowPrefixesPortsAndModes) {
  v1::ListVipsResponse list;
  v1::Vip* range = list.add_vips()->mutable_vip();
  range->set_address("203.0.113.0/24");
  range->mutable_ports()->set_first(8000);
  range->mutable_ports()->set_last(8999);
  range->set_mode(v1::FORWARDING_MODE_GUE_DIRECT);
  range->set_hash(v1::HASH_INPUT_CLIENT_PORT);
  range->set_connection_tracking(v1::CONNECTION_TRACKING_OFF);
  v1::Vip* all = list.add_vips()->mutable_vip();
  all->set_address("2001:db8:f::/64");
  all->set_all_ports(true);
  all->set_mode(static_cast<v1::ForwardingMode>(99));
  std::ostringstream out;
  PrintVips(list, /*wide=*/false, out);
  EXPECT_THAT(out.str(), ::testing::ContainsRegex("203.0.113.0/24:8000-8999/tcp +gue-direct +client-port +off"));
  EXPECT_THAT(out.str(), ::testing::ContainsRegex("\\[2001:db8:f::/64\\]:all/tcp +unknown +tuple +full"));
}

TEST(Print, WideVipsShowWhatMostLeaveAsItIs) {
  v1::ListVipsResponse list;
  v1::Vip* vip = list.add_vips()->mutable_vip();
  vip->set_name("web");
  vip->set_address("203.0.113.10");
  vip->set_port(80);
  vip->set_mode(v1::FORWARDING_MODE_FULL_NAT);
  vip->set_pool("web");
  vip->set_proxy_protocol(v1::PROXY_PROTOCOL_V2);
  vip->set_clamp_mss(false);
  std::ostringstream table;
  PrintVips(list, /*wide=*/false, table);
  EXPECT_THAT(table.str(), HasSubstr("full-nat"));
  EXPECT_THAT(table.str(), ::testing::Not(HasSubstr("PROXY")));
  std::ostringstream wide;
  PrintVips(list, /*wide=*/true, wide);
  EXPECT_THAT(wide.str(), ::testing::ContainsRegex("GUE PORT +PROXY +CLAMP MSS +ECHO"));
  EXPECT_THAT(wide.str(), ::testing::ContainsRegex("full-nat.*- +v2 +no +answered"));
}

TEST(Print, BackendsShowTheirPorts) {
  v1::ListBackendsResponse list;
  list.add_backends()->mutable_backend()->set_address("192.0.2.11");
  v1::Backend* v4 = list.add_backends()->mutable_backend();
  v4->set_address("192.0.2.12");
  v4->set_port(8080);
  v1::Backend* v6 = list.add_backends()->mutable_backend();
  v6->set_address("2001:db8::12");
  v6->set_port(8081);
  std::ostringstream out;
  PrintBackends(list, false, out);
  EXPECT_THAT(out.str(), ::testing::ContainsRegex("192\\.0\\.2\\.11 +unknown"));
  EXPECT_THAT(out.str(), HasSubstr(" 192.0.2.12:8080 "));
  EXPECT_THAT(out.str(), HasSubstr(" [2001:db8::12]:8081 "));
}

TEST(Print, WorkersShowAllTablesAndAnswers) {
  v1::ListWorkersResponse list;
  v1::WorkerStatus* worker = list.add_workers();
  worker->mutable_table_wide()->set_entries(7);
  worker->mutable_table_wide()->set_capacity(16);
  worker->mutable_table_nat()->set_entries(3);
  worker->mutable_table_nat()->set_capacity(8);
  worker->mutable_table_stateful()->set_entries(11);
  worker->mutable_table_stateful()->set_capacity(12);
  worker->mutable_table_v4()->set_unconfirmed_full(2);
  worker->mutable_table_wide()->set_unconfirmed_full(3);
  worker->mutable_table_stateful()->set_unconfirmed_full(4);
  (*worker->mutable_rungs())["scheduler"] = 100;
  (*worker->mutable_rungs())["hash_only"] = 23;
  (*worker->mutable_answers())["echo_reply"] = 40;
  (*worker->mutable_answers())["packet_too_big"] = 4;
  std::ostringstream out;
  PrintWorkers(list, out);
  EXPECT_THAT(out.str(), HasSubstr("WIDE FLOWS"));
  EXPECT_THAT(out.str(), ::testing::ContainsRegex(" 123 +0/0 +0/0 +7/16 +3/8 +11/12 +9 +44 "));
}

TEST(Print, StatsShowBothSumsAndTheMostFrequentDropFirst) {
  v1::PacketTotals packets;
  packets.set_received(10);
  packets.set_originated(1);
  packets.set_forwarded(6);
  packets.set_dropped(5);
  (*packets.mutable_dropped_by_reason())["fragment"] = 1;
  (*packets.mutable_dropped_by_reason())["no_backend"] = 4;
  std::ostringstream out;
  PrintStats(packets, out);
  EXPECT_THAT(out.str(), HasSubstr("= in                   11\n"));
  EXPECT_THAT(out.str(), HasSubstr("= out                  11\n"));
  EXPECT_LT(out.str().find("no_backend"), out.str().find("fragment"));
}

TEST(Print, StatusSaysWhetherTheDirectorWorks) {
  v1::GetStatusResponse status;
  status.set_backends(2);
  status.set_backends_down(1);
  const auto printed = [&status] {
    std::ostringstream out;
    PrintStatus(status, out);
    return out.str();
  };
  EXPECT_THAT(printed(), HasSubstr("health        healthy\n"));
  status.set_backends_down(2);
  EXPECT_THAT(printed(), HasSubstr("health        UNHEALTHY: every backend is down\n"));
  status.set_workers_stalled(1);
  status.set_exception_thread_stalled(true);
  EXPECT_THAT(printed(),
              HasSubstr("UNHEALTHY: workers make no progress, the host cannot be reached by the ports, every"));
}

TEST(Print, JsonHasFieldNamesOfTheApiAndZeroValues) {
  v1::GetStatusResponse status;
  status.set_node("edge-1");
  std::ostringstream out;
  PrintJson(status, out);
  EXPECT_THAT(out.str(), HasSubstr("\"state_generation\": \"0\""));
  EXPECT_THAT(out.str(), HasSubstr("\"node\": \"edge-1\""));
}

TEST(Client, UnreachableServersAreToldApartFromRefusals) {
  const absl::Status missing = Client::Connect("unix:/nonexistent/sluiced.sock").status();
  EXPECT_EQ(ExitCodeOf(missing), kExitUnreachable);
  EXPECT_THAT(std::string(missing.message()), HasSubstr("unix:/nonexistent/sluiced.sock"));
  EXPECT_THAT(std::string(missing.message()), HasSubstr("is sluiced running?"));
  EXPECT_EQ(ExitCodeOf(Client::Connect("unix:" + std::string(200, 'x')).status()), kExitUsage);
  EXPECT_EQ(ExitCodeOf(absl::UnavailableError("said by the server")), kExitRefused);
  EXPECT_EQ(NormalizeServer("/run/x.sock"), "unix:/run/x.sock");
  EXPECT_EQ(NormalizeServer("127.0.0.1:9106"), "127.0.0.1:9106");
}

}  // namespace
}  // namespace sluice::ctl
