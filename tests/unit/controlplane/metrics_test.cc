#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <prometheus/text_serializer.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <optional>
#include <regex>
#include <set>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/metrics/collector.h"
#include "controlplane/metrics/exporter.h"
#include "controlplane/reconcile/reconciler.h"
#include "controlplane/reconcile/view_facts.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::metrics {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr model::Limits kLimits = {.vips = 2, .pools = 2, .backends = 3};

class MetricsTest : public ::testing::Test {
 protected:
  MetricsTest() {
    fwd::WorkerStats worker;
    worker.id = WorkerId(0);
    worker.cpu = 5;
    worker.received = 77;
    worker.rungs[1] = 70;
    worker.rungs[5] = 6;
    worker.table_v6.entries = 3;
    worker.table_wide.capacity = 16384;
    worker.table_wide.unconfirmed_full = 8;
    worker.table_nat = {.entries = 41, .capacity = 42};
    worker.nat = {.stateless_replies = 43, .replies = 44, .proxy_headers = 45, .unsteered = 46};
    worker.handed_over = 47;
    worker.taken_over = 48;
    worker.answers[static_cast<size_t>(fwd::AnswerKind::kPacketTooBig)] = 5;
    worker.related = 9;
    worker.rescheduled = 49;
    worker.copies = {.packets = 56, .copies = 57, .limited = 58, .no_buffer = 59};
    worker.unprotected = {.unknown = 50, .no_room = 51, .no_room_flows = 52, .no_cookie = 55, .no_session = 53};
    worker.slept_ns = 2'500'000'000;
    dataplane_.workers = {worker};
    fwd::PortStats port;
    port.name = "wan";
    port.rx_packets = 78;
    port.link_speed_mbps = 10000;
    dataplane_.ports = {port};
    EXPECT_TRUE(reconciler_.Apply(SampleServices()).ok());
  }

  std::string Scrape() const {
    std::ostringstream out;
    prometheus::TextSerializer().Serialize(out, collector_->Collect());
    return out.str();
  }
  // The samples of one scrape by name and labels, as written.
  std::map<std::string, double> Samples() const {
    std::map<std::string, double> samples;
    std::istringstream lines(Scrape());
    for (std::string line; std::getline(lines, line);) {
      if (line.empty() || line[0] == '#') continue;
      const size_t blank = line.rfind(' ');
      EXPECT_TRUE(samples.emplace(line.substr(0, blank), std::stod(line.substr(blank + 1))).second)
          << "twice: " << line;
    }
    return samples;
  }

  FakeDataplane dataplane_;
  reconcile::Reconciler reconciler_{kLimits, ValidateSample, dataplane_, dataplane_};
  reconcile::ViewFacts facts_{dataplane_};
  ReloadStatus reload_;
  model::CallStats calls_;
  std::shared_ptr<Collector> collector_ =
      std::make_shared<Collector>(Sources{dataplane_, facts_, reconciler_, reload_, "1.2.3", 1000.5, &calls_, nullptr,
                                          nullptr, [this] { return certificate_expiry_; }});
  std::optional<double> certificate_expiry_;
};

TEST_F(MetricsTest, ShowsTheCountersOfTheDataPlane) {
  dataplane_.totals.received = 100;
  dataplane_.totals.dropped[static_cast<size_t>(DropReason::kNoBackend)] = 4;
  dataplane_.vips[VipId(0)] = {.packets = 96, .bytes = 9600, .new_flows = 12, .dropped = 4, .unprotected = 54};
  dataplane_.backends[BackendId(1)] = {.packets = 50, .bytes = 5000, .flows_started = 6, .flows_ended = 2};
  reload_.last_successful = true;
  calls_.Record("Inspector/GetStatus", "OK", std::chrono::milliseconds(3));
  calls_.Record("Inspector/GetStatus", "OK", std::chrono::seconds(9));
  calls_.Record("Manager/Apply", "INVALID_ARGUMENT", std::chrono::microseconds(500));
  const std::map<std::string, double> samples = Samples();
  const auto expect = [&](const std::string& sample, double value) {
    ASSERT_TRUE(samples.contains(sample)) << sample;
    EXPECT_DOUBLE_EQ(samples.at(sample), value) << sample;
  };
  expect("sluice_build_info{version=\"1.2.3\"}", 1);
  expect("process_start_time_seconds", 1000.5);
  expect("sluice_packets_received_total", 100);
  expect("sluice_packets_dropped_total{reason=\"no_backend\"}", 4);
  expect("sluice_packets_dropped_total{reason=\"fragment\"}", 0);
  expect("sluice_vip_packets_total{vip=\"www\"}", 96);
  expect("sluice_vip_new_flows_total{vip=\"www\"}", 12);
  expect("sluice_vip_dropped_packets_total{vip=\"www\"}", 4);
  expect("sluice_backend_packets_total{pool=\"web\",backend=\"web-2\"}", 50);
  expect("sluice_backend_flows{pool=\"web\",backend=\"web-2\"}", 4);
  expect("sluice_pool_backends{pool=\"web\",state=\"active\"}", 2);
  expect("sluice_pool_backends{pool=\"web\",state=\"draining\"}", 0);
  expect("sluice_pool_unsafe_slot_ratio{pool=\"web\"}", 0);
  expect("sluice_port_rx_packets_total{port=\"wan\"}", 78);
  expect("sluice_port_speed_bytes_per_second{port=\"wan\"}", 1.25e9);
  expect("sluice_worker_packets_received_total{worker=\"0\"}", 77);
  expect("sluice_worker_info{worker=\"0\",cpu=\"5\"}", 1);
  expect("sluice_worker_rung_packets_total{worker=\"0\",rung=\"connection_table\"}", 70);
  expect("sluice_worker_sleep_seconds_total{worker=\"0\"}", 2.5);
  expect("sluice_worker_rung_packets_total{worker=\"0\",rung=\"hash_only\"}", 6);
  expect("sluice_worker_answers_total{worker=\"0\",kind=\"packet_too_big\"}", 5);
  expect("sluice_worker_answers_total{worker=\"0\",kind=\"echo_reply\"}", 0);
  expect("sluice_worker_related_packets_total{worker=\"0\"}", 9);
  expect("sluice_connection_table_entries{worker=\"0\",table=\"nat\"}", 41);
  expect("sluice_connection_table_capacity{worker=\"0\",table=\"nat\"}", 42);
  expect("sluice_nat_stateless_replies_total{worker=\"0\"}", 43);
  expect("sluice_nat_replies_total{worker=\"0\"}", 44);
  expect("sluice_nat_proxy_headers_total{worker=\"0\"}", 45);
  expect("sluice_nat_unsteered_sessions_total{worker=\"0\"}", 46);
  expect("sluice_worker_handed_over_packets_total{worker=\"0\"}", 47);
  expect("sluice_worker_copied_packets_total{worker=\"0\"}", 56);
  expect("sluice_worker_copies_total{worker=\"0\"}", 57);
  expect("sluice_worker_copies_limited_packets_total{worker=\"0\"}", 58);
  expect("sluice_worker_copies_no_buffer_total{worker=\"0\"}", 59);
  expect("sluice_worker_taken_over_packets_total{worker=\"0\"}", 48);
  expect("sluice_connection_table_entries{worker=\"0\",table=\"ipv6\"}", 3);
  expect("sluice_connection_table_capacity{worker=\"0\",table=\"wide\"}", 16384);
  expect("sluice_connection_table_unconfirmed_full_total{worker=\"0\",table=\"wide\"}", 8);
  expect("sluice_vip_info{vip=\"www\",address=\"203.0.113.10\",protocol=\"tcp\",port=\"80\",mode=\"l2\",pool=\"web\"}",
         1);
  expect("sluice_vip_unprotected_packets_total{vip=\"www\"}", 54);
  expect("sluice_unprotected_packets_total{worker=\"0\",cause=\"unknown\"}", 50);
  expect("sluice_unprotected_packets_total{worker=\"0\",cause=\"no_room\"}", 51);
  expect("sluice_unprotected_packets_total{worker=\"0\",cause=\"no_cookie\"}", 55);
  expect("sluice_unprotected_packets_total{worker=\"0\",cause=\"no_session\"}", 53);
  expect("sluice_connections_moved_total{worker=\"0\",cause=\"backend_change\"}", 49);
  expect("sluice_connections_moved_total{worker=\"0\",cause=\"director_change\"}", 50);
  expect("sluice_connections_moved_total{worker=\"0\",cause=\"eviction\"}", 52);
  expect("sluice_api_calls_total{method=\"Inspector/GetStatus\",code=\"OK\"}", 2);
  expect("sluice_api_calls_total{method=\"Manager/Apply\",code=\"INVALID_ARGUMENT\"}", 1);
  const std::string status_calls = "sluice_api_call_duration_seconds_bucket{method=\"Inspector/GetStatus\",le=\"";
  expect(status_calls + "0.0025\"}", 0);
  expect(status_calls + "0.005\"}", 1);
  expect(status_calls + "5\"}", 1);
  expect(status_calls + "+Inf\"}", 2);
  expect("sluice_api_call_duration_seconds_sum{method=\"Inspector/GetStatus\"}", 9.003);
  expect("sluice_api_call_duration_seconds_bucket{method=\"Manager/Apply\",le=\"0.0005\"}", 1);
  expect("sluice_state_generation", 1);
  expect("sluice_state_publish_duration_seconds_count", 1);
  expect("sluice_config_last_reload_successful", 1);
  expect("sluice_ids{kind=\"backend\",state=\"used\"}", 2);
  expect("sluice_ids_limit{kind=\"backend\"}", 3);
}

TEST_F(MetricsTest, ShowsTheHealthOfBackendsAndWhoServesPools) {
  EXPECT_EQ(Samples().at("sluice_backend_up{pool=\"web\",backend=\"web-1\"}"), 1) << "nobody checks it";
  ASSERT_TRUE(reconciler_.ReportHealth("web", "web-1", model::Health::kDown, "").ok());
  std::map<std::string, double> samples = Samples();
  EXPECT_EQ(samples.at("sluice_backend_up{pool=\"web\",backend=\"web-1\"}"), 0);
  EXPECT_EQ(samples.at("sluice_backend_up{pool=\"web\",backend=\"web-2\"}"), 1);
  EXPECT_EQ(samples.at("sluice_pool_backends_usable{pool=\"web\"}"), 1);
  EXPECT_EQ(samples.at("sluice_pool_service{pool=\"web\",service=\"own\"}"), 1);
  EXPECT_EQ(samples.at("sluice_pool_service{pool=\"web\",service=\"none\"}"), 0);
  ASSERT_TRUE(reconciler_.ReportHealth("web", "web-2", model::Health::kDown, "").ok());
  samples = Samples();
  EXPECT_EQ(samples.at("sluice_pool_backends_usable{pool=\"web\"}"), 0);
  EXPECT_EQ(samples.at("sluice_pool_service{pool=\"web\",service=\"own\"}"), 0);
  EXPECT_EQ(samples.at("sluice_pool_service{pool=\"web\",service=\"none\"}"), 1);
}

TEST_F(MetricsTest, VipInfoHasPrefixesAndPortsAsText) {
  config::ServiceConfig services = SampleServices();
  services.vips[0].prefix = *net::IpPrefix::Parse("2001:db8:f::/64");
  services.vips[0].ports = {8000, 8999};
  services.vips[0].mode = config::ForwardingMode::kGueDirect;
  services.vips.push_back(SampleVip("rest", "203.0.113.0/24", 0, "web"));
  services.vips[1].ports = config::PortRange::All();
  // The VIP of before gives its id back, and there are two.
  dataplane_.swept_generation = 100;
  ASSERT_TRUE(reconciler_.Apply({.seed = "", .pools = services.pools, .vips = {}}).ok());
  ASSERT_TRUE(reconciler_.Apply(services).ok());
  const std::string text = Scrape();
  EXPECT_THAT(text, HasSubstr("address=\"2001:db8:f::/64\",protocol=\"tcp\",port=\"8000-8999\",mode=\"gue-direct\""));
  EXPECT_THAT(text, HasSubstr("address=\"203.0.113.0/24\",protocol=\"tcp\",port=\"all\",mode=\"l2\""));
}

TEST_F(MetricsTest, ADrainIsSeenUntilItIsOver) {
  const std::string drains = "sluice_backend_draining{pool=\"web\",backend=\"web-2\"}";
  EXPECT_EQ(Samples().at(drains), 0);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", true).ok());
  EXPECT_EQ(Samples().at(drains), 1);
  EXPECT_EQ(Samples().at("sluice_pool_backends{pool=\"web\",state=\"draining\"}"), 1);
  ASSERT_TRUE(reconciler_.SetDrain("web", "web-2", false).ok());
  EXPECT_EQ(Samples().at(drains), 0);
}

TEST_F(MetricsTest, EveryDropReasonHasASeries) {
  const std::map<std::string, double> samples = Samples();
  for (size_t i = 0; i < kDropReasonCount; ++i) {
    const std::string label(DropReasonLabel(static_cast<DropReason>(i)));
    EXPECT_TRUE(samples.contains("sluice_packets_dropped_total{reason=\"" + label + "\"}")) << label;
  }
}

TEST_F(MetricsTest, FamiliesFollowTheConventions) {
  std::set<std::string> names;
  const std::regex name_rule("(sluice|process)_[a-z0-9_]+");
  for (const prometheus::MetricFamily& family : collector_->Collect()) {
    EXPECT_TRUE(names.insert(family.name).second) << family.name << " twice";
    EXPECT_TRUE(std::regex_match(family.name, name_rule)) << family.name;
    EXPECT_FALSE(family.help.empty()) << family.name;
    EXPECT_EQ(family.help.back(), '.') << family.name;
    const bool is_counter = family.type == prometheus::MetricType::Counter;
    EXPECT_EQ(is_counter, family.name.ends_with("_total")) << family.name;
  }
}

TEST_F(MetricsTest, NoCounterGoesBackWhenAnIdIsUsedAgain) {
  // All three ids are in use, then one is given to another backend of the same name.
  ASSERT_TRUE(reconciler_.AddBackend("web", SampleBackend("web-3", "10.0.0.3")).ok());
  const BackendId id = (*reconciler_.Current().registry->GetBackend("web", "web-3"))->id;
  dataplane_.backends[id] = {.packets = 500, .bytes = 50000, .flows_started = 20, .flows_ended = 20};
  const std::string packets = "sluice_backend_packets_total{pool=\"web\",backend=\"web-4\"}";
  ASSERT_TRUE(reconciler_.RemoveBackend("web", "web-3").ok());
  EXPECT_FALSE(reconciler_.AddBackend("web", SampleBackend("web-4", "10.0.0.4")).ok());
  dataplane_.swept_generation = 100;
  ASSERT_TRUE(reconciler_.AddBackend("web", SampleBackend("web-4", "10.0.0.4")).ok());
  ASSERT_EQ((*reconciler_.Current().registry->GetBackend("web", "web-4"))->id, id);
  std::map<std::string, double> samples = Samples();
  EXPECT_EQ(samples.at(packets), 0);
  EXPECT_EQ(samples.at("sluice_backend_flows{pool=\"web\",backend=\"web-4\"}"), 0);
  EXPECT_FALSE(samples.contains("sluice_backend_packets_total{pool=\"web\",backend=\"web-3\"}"));
  double last = 0;
  for (const uint64_t more : {uint64_t{1}, uint64_t{5}, uint64_t{9}}) {
    dataplane_.backends[id].packets = 500 + more;
    const double now = Samples().at(packets);
    EXPECT_EQ(now, static_cast<double>(more));
    EXPECT_GE(now, last);
    last = now;
    // Changes of other objects, drains and weights must not touch it.
    ASSERT_TRUE(reconciler_.SetDrain("web", "web-4", more % 2 == 1).ok());
  }
}

TEST_F(MetricsTest, TheEndOfTheCertificateIsShownWhereThereIsOne) {
  EXPECT_THAT(Scrape(), Not(HasSubstr("sluice_api_certificate_expiry")));
  certificate_expiry_ = 1764345600;
  EXPECT_THAT(Scrape(), HasSubstr("sluice_api_certificate_expiry_timestamp_seconds 1764345600\n"));
}

TEST_F(MetricsTest, CountersAreExactBeyondSixDigits) {
  dataplane_.totals.received = 1234567890123;
  EXPECT_THAT(Scrape(), HasSubstr("sluice_packets_received_total 1234567890123\n"));
}

class Empty : public prometheus::Collectable {
  std::vector<prometheus::MetricFamily> Collect() const override { return {}; }
};

// On the first port from *port on that is free here. Each test has ports of its own, so that none takes what another
// has just given back.
std::unique_ptr<Exporter> StartExporter(int* port) {
  for (const int end = *port + 50; *port < end; ++*port) {
    auto exporter = Exporter::Start("127.0.0.1:" + std::to_string(*port), std::make_shared<Empty>());
    if (exporter.ok()) return *std::move(exporter);
  }
  return nullptr;
}

TEST(Exporter, SaysWhenThePortIsTaken) {
  int port = 39105;
  std::unique_ptr<Exporter> first = StartExporter(&port);
  ASSERT_NE(first, nullptr);
  const std::string listen = "127.0.0.1:" + std::to_string(port);
  const absl::Status taken = Exporter::Start(listen, std::make_shared<Empty>()).status();
  EXPECT_EQ(taken.code(), absl::StatusCode::kAlreadyExists);
  EXPECT_THAT(std::string(taken.message()), HasSubstr(listen));
  first.reset();
  EXPECT_TRUE(Exporter::Start(listen, std::make_shared<Empty>()).ok());
  EXPECT_EQ(Exporter::Start("nonsense", std::make_shared<Empty>()).status().code(), absl::StatusCode::kInvalidArgument);
}

class Connection {
 public:
  explicit Connection(int port) : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval patience = {.tv_sec = 15, .tv_usec = 0};
    setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(port));
    EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  }
  ~Connection() { close(fd_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // The beginning of what is answered within the patience.
  std::string Ask(std::string_view request) const {
    char answer[64];
    if (send(fd_, request.data(), request.size(), 0) < 0) return "";
    const ssize_t size = recv(fd_, answer, sizeof(answer), 0);
    return size < 0 ? "" : std::string(answer, static_cast<size_t>(size));
  }

 private:
  const int fd_;
};

TEST(Exporter, ConnectionsThatSayNothingKeepNobodyWaiting) {
  int port = 39155;
  const std::unique_ptr<Exporter> exporter = StartExporter(&port);
  ASSERT_NE(exporter, nullptr);
  std::vector<std::unique_ptr<Connection>> silent;
  for (int i = 0; i < 8; ++i) silent.push_back(std::make_unique<Connection>(port));
  EXPECT_THAT(Connection(port).Ask("GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"), HasSubstr("200 OK"));
}

}  // namespace
}  // namespace sluice::metrics
