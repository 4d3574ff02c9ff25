#include "tools/sluicectl/top.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "tools/sluicectl/complete.h"
#include "tools/sluicectl/print.h"

namespace sluice::ctl {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TopSample Sample(int vips, uint64_t packets, std::chrono::seconds at) {
  TopSample sample;
  sample.at = std::chrono::steady_clock::time_point(at);
  sample.status.set_node("edge-1");
  sample.status.mutable_packets()->set_received(packets);
  (*sample.status.mutable_packets()->mutable_dropped_by_reason())["no_backend"] = packets / 10;
  for (int i = 0; i < vips; ++i) {
    v1::VipStatus* vip = sample.vips.add_vips();
    vip->mutable_vip()->set_name("vip-" + std::to_string(i));
    vip->mutable_vip()->set_address("203.0.113.10");
    vip->mutable_vip()->set_port(80);
    vip->set_backends_active(1);
    vip->set_packets(packets * static_cast<uint64_t>(i));
    vip->set_bytes(packets * 100);
  }
  v1::BackendStatus* backend = sample.backends.add_backends();
  backend->set_pool("web");
  backend->mutable_backend()->set_name("web-1");
  backend->set_packets(packets);
  v1::WorkerStatus* worker = sample.workers.add_workers();
  worker->set_received(packets);
  worker->set_busy_s(static_cast<double>(packets) / 1000);
  return sample;
}

std::string LineWith(const std::string& text, const std::string& word) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(word) != std::string::npos) return line;
  }
  return "";
}

TEST(Top, ShowsRatesOfTheTimeBetween) {
  const std::string text =
      RenderTop(Sample(2, 1000, std::chrono::seconds(10)), Sample(2, 2000, std::chrono::seconds(12)), {});
  EXPECT_THAT(text, HasSubstr("received 500,"));
  EXPECT_THAT(LineWith(text, "vip-1"), HasSubstr(" 500 "));
  EXPECT_THAT(LineWith(text, "no_backend"), HasSubstr(" 50 "));
  EXPECT_THAT(LineWith(text, "  running"), HasSubstr("50.0%"));
  // The busiest first.
  EXPECT_LT(text.find("vip-1"), text.find("vip-0"));
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(Top, AnObjectThatIsNewBeganAtZeroAndNothingGoesBelow) {
  const std::string text =
      RenderTop(Sample(0, 9000, std::chrono::seconds(10)), Sample(3, 2000, std::chrono::seconds(12)), {});
  EXPECT_THAT(LineWith(text, "vip-2"), HasSubstr(" 2000 "));
  EXPECT_THAT(LineWith(text, "packets/s"), HasSubstr("received 0,"));
}

TEST(Top, FitsTheTerminalAndSaysWhatItLeavesOut) {
  for (const size_t rows : {10u, 24u, 50u, 200u}) {
    const TopScreen screen{.rows = rows, .columns = 60, .colour = true};
    const std::string text =
        RenderTop(Sample(100, 1, std::chrono::seconds(1)), Sample(100, 2, std::chrono::seconds(2)), screen);
    EXPECT_LT(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')), rows);
    if (rows == 24 || rows == 50) {
      EXPECT_THAT(text, HasSubstr("more VIPs"));
    }
  }
}

TEST(Top, ColoursWhatIsWrong) {
  TopSample now = Sample(1, 2, std::chrono::seconds(2));
  now.workers.mutable_workers(0)->set_stalled(true);
  now.status.set_workers_stalled(1);
  now.status.set_workers(2);
  const std::string text =
      RenderTop(Sample(1, 1, std::chrono::seconds(1)), now, {.rows = 0, .columns = 0, .colour = true});
  EXPECT_THAT(LineWith(text, "1 of 2 workers"), HasSubstr("\x1b[31m"));
  EXPECT_THAT(LineWith(text, "STALLED  "), HasSubstr("\x1b[31m"));
}

TEST(Top, ABackendThatIsDownIsWrong) {
  TopSample now = Sample(1, 2, std::chrono::seconds(2));
  v1::BackendStatus& backend = *now.backends.mutable_backends(0);
  backend.set_lifecycle(v1::BACKEND_LIFECYCLE_ACTIVE);
  backend.mutable_next_hop()->set_resolved(true);
  const TopScreen screen{.rows = 0, .columns = 0, .colour = true};
  EXPECT_THAT(LineWith(RenderTop(now, now, screen), "web/web-1"), Not(HasSubstr("\x1b")));
  backend.set_health(v1::BACKEND_HEALTH_DOWN);
  EXPECT_THAT(LineWith(RenderTop(now, now, screen), "web/web-1"), HasSubstr("\x1b[31m"));
}

TEST(Top, CountsTheFlowsOfAllTables) {
  TopSample now = Sample(1, 2, std::chrono::seconds(2));
  v1::WorkerStatus& worker = *now.workers.mutable_workers(0);
  worker.mutable_table_v4()->set_entries(1);
  worker.mutable_table_v6()->set_entries(20);
  worker.mutable_table_wide()->set_entries(300);
  worker.mutable_table_nat()->set_entries(4000);
  worker.mutable_table_stateful()->set_entries(50000);
  EXPECT_THAT(RenderTop(now, now, {}), HasSubstr("  54.3k\n"));
}

TEST(Yaml, HasWhatJsonHas) {
  v1::ExplainFlowResponse answer;
  answer.set_explanation("to \"web-1\": it's its slot");
  answer.set_slot(5);
  answer.mutable_vip()->set_name("yes");
  answer.mutable_vip()->set_port(80);
  v1::BackendVerdict* verdict = answer.add_backends();
  verdict->set_name("web-1");
  verdict->set_chosen(true);
  std::ostringstream out;
  PrintYaml(answer, out);
  EXPECT_THAT(out.str(), HasSubstr("explanation: \"to \\\"web-1\\\": it's its slot\"\n"));
  EXPECT_THAT(out.str(), HasSubstr("vip:\n  name: \"yes\"\n  address: \"\"\n"));
  EXPECT_THAT(out.str(), HasSubstr("backends:\n- name: web-1\n  chosen: true\n"));
  EXPECT_THAT(out.str(), HasSubstr("packet: []\n"));
  EXPECT_THAT(out.str(), Not(HasSubstr("entry")));
  v1::PacketTotals totals;
  (*totals.mutable_dropped_by_reason())["no_backend"] = 18446744073709551615u;
  out.str("");
  PrintYaml(totals, out);
  EXPECT_THAT(out.str(), HasSubstr("dropped_by_reason:\n  no_backend: 18446744073709551615\n"));
}

std::vector<std::string> At(const std::vector<std::string>& line) {
  return Complete(line, [](const ParsedArguments&, NameKind kind, const std::string& pool) {
    if (kind == NameKind::kPools) return std::vector<std::string>{"web", "dns"};
    if (kind == NameKind::kBackendsOfPool) return std::vector<std::string>{pool + "-1", pool + "-2"};
    if (kind == NameKind::kVips) return std::vector<std::string>{"www", "www6", "mail"};
    if (kind == NameKind::kBackends) return std::vector<std::string>{"web/web-1"};
    if (kind == NameKind::kVipServices) return std::vector<std::string>{"203.0.113.10:80"};
    return std::vector<std::string>{};
  });
}

TEST(Completion, KnowsCommandsOptionsAndNames) {
  EXPECT_THAT(At({"exp"}), ElementsAre("explain", "export"));
  EXPECT_THAT(At({"get", "v"}), ElementsAre("vips"));
  EXPECT_THAT(At({"get", "vips", "ww"}), ElementsAre("www", "www6"));
  EXPECT_THAT(At({"backend", "drain", ""}), ElementsAre("dns", "web"));
  EXPECT_THAT(At({"-o", "json", "backend", "drain", "web", ""}), ElementsAre("web-1", "web-2"));
  EXPECT_THAT(At({"backend", "add", "web", ""}), IsEmpty());
  EXPECT_THAT(At({"drain", "web"}), ElementsAre("web/web-1"));
  EXPECT_THAT(At({"describe", "pool", ""}), ElementsAre("dns", "web"));
  EXPECT_THAT(At({"explain", ""}), ElementsAre("tcp", "udp"));
  EXPECT_THAT(At({"explain", "tcp", "198.51.100.7:1", "2"}), ElementsAre("203.0.113.10:80"));
  EXPECT_THAT(At({"get", "vips", "-o", ""}), ElementsAre("json", "table", "wide", "yaml"));
  EXPECT_THAT(At({"apply", "-f", "x"}), ElementsAre(kFilesFit));
  EXPECT_THAT(At({"apply", "--fi"}), ElementsAre("--file"));
  EXPECT_THAT(At({"status", "--fi"}), IsEmpty());
  EXPECT_THAT(At({"--nonsense", ""}), IsEmpty());
  EXPECT_THAT(At({}), ::testing::Contains("top"));
}

}  // namespace
}  // namespace sluice::ctl
