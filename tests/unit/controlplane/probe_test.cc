#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "controlplane/health/plan.h"
#include "controlplane/model/changes.h"
#include "controlplane/probe/command_prober.h"
#include "controlplane/probe/event_loop.h"
#include "controlplane/probe/grpc_health.h"
#include "controlplane/probe/http_answer.h"
#include "controlplane/probe/http_prober.h"
#include "controlplane/probe/socket.h"
#include "controlplane/probe/tcp_prober.h"
#include "controlplane/probe/udp_prober.h"
#include "tests/support/temporary_directory.h"
#include "tests/unit/controlplane/sample.h"

namespace sluice::probe {
namespace {

using health::CheckSpec;
using health::ProbeResult;
using Kind = ProbeResult::Kind;

// A TCP socket of the loopback interface that answers each connection with the same bytes, or only listens.
class Server {
 public:
  explicit Server(std::string answer = "") : answer_(std::move(answer)) {
    fd_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(listen(fd_, 16), 0);
    socklen_t size = sizeof(address);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    if (!answer_.empty()) thread_ = std::thread([this] { Serve(); });
  }
  ~Server() {
    shutdown(fd_, SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    close(fd_);
  }
  uint16_t port() const { return port_; }
  const std::string& request() const { return request_; }

 private:
  void Serve() {
    while (true) {
      const int client = accept(fd_, nullptr, nullptr);
      if (client < 0) return;
      char buffer[4096];
      request_.clear();
      while (request_.find("\r\n\r\n") == std::string::npos) {
        const ssize_t bytes = read(client, buffer, sizeof(buffer));
        if (bytes <= 0) break;
        request_.append(buffer, static_cast<size_t>(bytes));
        if (request_.front() == 0x16) break;  // TLS, which it does not speak
      }
      [[maybe_unused]] const ssize_t sent = send(client, answer_.data(), answer_.size(), MSG_NOSIGNAL);
      close(client);
    }
  }

  const std::string answer_;
  std::string request_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::thread thread_;
};

class FakeWays final : public Ways {
 public:
  absl::StatusOr<Way> Open(const health::CheckTarget&) override {
    if (!missing.empty()) return absl::UnavailableError(missing);
    ++open;
    return Way{"", source_port};
  }
  void Close(const Way&) override { --open; }
  void Keep(const std::set<net::IpAddress>&) override {}
  std::string missing;
  uint16_t source_port = 0;
  int open = 0;
};

class ProbeTest : public testing::Test, public health::ProbeSink {
 protected:
  ProbeTest() {
    signal(SIGPIPE, SIG_IGN);  // as the probing thread does, for TLS to a server that closes
    EXPECT_TRUE(loop_.Open().ok());
  }
  ~ProbeTest() override { EXPECT_EQ(ways_.open, 0); }

  void Done(health::ProbeId, ProbeResult result) override { result_ = std::move(result); }

  CheckSpec SpecFor(uint16_t port, config::CheckType type) const {
    CheckSpec spec;
    spec.target.address = spec.target.backend_address = Ip("127.0.0.1");
    spec.target.port = port;
    spec.config.type = type;
    return spec;
  }
  // The end of one probe.
  ProbeResult Probe(const CheckSpec& spec) {
    TcpProber tcp(loop_, ways_, *this);
    UdpProber udp(loop_, ways_, *this);
    CommandProber command(directory_, loop_, ways_, *this);
    HttpProber http(loop_, ways_, *this);
    result_.reset();
    switch (spec.config.type) {
      case config::CheckType::kTcp:
        tcp.Start(1, spec);
        break;
      case config::CheckType::kUdp:
        udp.Start(1, spec);
        break;
      case config::CheckType::kCommand:
        command.Start(1, spec);
        break;
      default:
        http.Start(1, spec);
    }
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!result_ && std::chrono::steady_clock::now() < deadline) {
      loop_.Turn(std::min(http.next_due().value_or(deadline), deadline));
      http.Advance(std::chrono::steady_clock::now());
    }
    return result_.value_or(ProbeResult{Kind::kFailed, "the test's deadline"});
  }
  std::string Text(const ProbeResult& result) const {
    return (result.kind == Kind::kPassed   ? "passed: "
            : result.kind == Kind::kFailed ? "failed: "
                                           : "not made: ") +
           result.reason;
  }
  static uint16_t ClosedPort() { return Server().port(); }
  static std::string At(uint16_t port) { return "127.0.0.1:" + std::to_string(port); }

  const TemporaryDirectory temporary_;
  const std::string directory_ = temporary_.path().string();
  EventLoop loop_;
  FakeWays ways_;
  std::optional<ProbeResult> result_;
};

TEST_F(ProbeTest, TcpIsAcceptedOrRefused) {
  const Server server;
  EXPECT_EQ(Text(Probe(SpecFor(server.port(), config::CheckType::kTcp))),
            "passed: connect to " + At(server.port()) + ": accepted");
  const uint16_t closed = ClosedPort();
  EXPECT_EQ(Text(Probe(SpecFor(closed, config::CheckType::kTcp))), "failed: connect to " + At(closed) + ": refused");
}

TEST_F(ProbeTest, WhatThisDirectorLacksIsNotTheBackendsFault) {
  ways_.missing = "port wan has no exception port";
  EXPECT_EQ(Text(Probe(SpecFor(80, config::CheckType::kTcp))), "not made: port wan has no exception port");
  EXPECT_EQ(Text(Probe(SpecFor(80, config::CheckType::kHttp))), "not made: port wan has no exception port");
  ways_.missing.clear();
  // Somebody else's source port.
  const Server server;
  ways_.source_port = server.port();
  EXPECT_THAT(Text(Probe(SpecFor(80, config::CheckType::kTcp))),
              testing::StartsWith("not made: no source port of node.health.source_ports is free"));
}

TEST_F(ProbeTest, ProbesLeaveFromTheirSourcePort) {
  {
    const Server other;
    ways_.source_port = other.port();
  }
  const Server server;
  EXPECT_EQ(Probe(SpecFor(server.port(), config::CheckType::kTcp)).kind, Kind::kPassed);
  // Again at once: the reset leaves nothing that keeps the port.
  EXPECT_EQ(Probe(SpecFor(server.port(), config::CheckType::kTcp)).kind, Kind::kPassed);
}

TEST_F(ProbeTest, HttpIsJudgedByStatusAndBody) {
  const Server server("HTTP/1.1 200 OK\r\nContent-Length: 9\r\nConnection: close\r\n\r\nall good\n");
  CheckSpec spec = SpecFor(server.port(), config::CheckType::kHttp);
  spec.config.path = "/healthz?a=1";
  spec.config.host = "www.example.com";
  spec.config.headers = {"X-Check: sluice"};
  EXPECT_EQ(Text(Probe(spec)), "passed: HTTP status 200");
  EXPECT_TRUE(server.request().starts_with("GET /healthz?a=1 HTTP/1.1\r\n")) << server.request();
  EXPECT_NE(server.request().find("\r\nHost: www.example.com\r\n"), std::string::npos);
  EXPECT_NE(server.request().find("\r\nX-Check: sluice\r\n"), std::string::npos);
  spec.config.body = "all good";
  EXPECT_EQ(Text(Probe(spec)), "passed: HTTP status 200");
  spec.config.body = "all bad";
  EXPECT_EQ(Text(Probe(spec)), "failed: HTTP status 200, but \"all bad\" is not in the answer's first 64 KiB");
  spec.config.body = "";
  spec.config.statuses = {{404, 404}, {500, 503}};
  EXPECT_EQ(Text(Probe(spec)), "failed: HTTP status 200, wanted 404, 500-503");
}

TEST_F(ProbeTest, HttpFailuresSayWhatHappened) {
  const uint16_t closed = ClosedPort();
  EXPECT_EQ(Text(Probe(SpecFor(closed, config::CheckType::kHttp))), "failed: connect to " + At(closed) + ": refused");
  const Server busy("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(Text(Probe(SpecFor(busy.port(), config::CheckType::kHttp))), "failed: HTTP status 503, wanted 200-299");
  EXPECT_THAT(Text(Probe(SpecFor(busy.port(), config::CheckType::kHttps))),
              testing::StartsWith("failed: TLS handshake with " + At(busy.port()) + ": "));
  EXPECT_THAT(Text(Probe(SpecFor(busy.port(), config::CheckType::kGrpc))), testing::StartsWith("failed: "));
}

TEST_F(ProbeTest, ABodyWithoutEndIsCutAndJudged) {
  const Server server("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + std::string(kBodyBytes * 2, 'x'));
  EXPECT_EQ(Text(Probe(SpecFor(server.port(), config::CheckType::kHttp))), "passed: HTTP status 200");
}

TEST_F(ProbeTest, ACancelledProbeSaysWhatItWaitedFor) {
  const Server server;  // accepts and says nothing
  const CheckSpec spec = SpecFor(server.port(), config::CheckType::kHttp);
  HttpProber http(loop_, ways_, *this);
  http.Start(1, spec);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < deadline) {
    loop_.Turn(std::min(http.next_due().value_or(deadline), deadline));
    http.Advance(std::chrono::steady_clock::now());
  }
  EXPECT_FALSE(result_.has_value());
  EXPECT_THAT(http.Cancel(1), testing::EndsWith(At(server.port())));
  EXPECT_EQ(ways_.open, 0);
}

TEST_F(ProbeTest, DatagramsAreAnsweredOrNot) {
  const int server = socket(AF_INET, SOCK_DGRAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  ASSERT_EQ(bind(server, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  socklen_t size = sizeof(address);
  getsockname(server, reinterpret_cast<sockaddr*>(&address), &size);
  const uint16_t port = ntohs(address.sin_port);
  std::thread echo([server] {
    for (int i = 0; i < 3; ++i) {
      char buffer[100];
      sockaddr_in from{};
      socklen_t length = sizeof(from);
      const ssize_t bytes = recvfrom(server, buffer, sizeof(buffer), 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (bytes < 0) return;
      sendto(server, buffer, static_cast<size_t>(bytes), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  });
  CheckSpec spec = SpecFor(port, config::CheckType::kUdp);
  spec.config.send = "ping";
  EXPECT_EQ(Text(Probe(spec)), "passed: an answer of 4 bytes");
  spec.config.send = "0x00ff10";
  spec.config.expect = "0xff10";
  EXPECT_EQ(Text(Probe(spec)), "passed: an answer of 3 bytes");
  spec.config.expect = "pong";
  EXPECT_EQ(Text(Probe(spec)), "failed: the answer of 3 bytes is not what is expected");
  echo.join();
  close(server);
  EXPECT_EQ(Text(Probe(spec)), "failed: datagram to " + At(port) + ": port unreachable");
}

TEST_F(ProbeTest, CommandsEndWithTheirVerdict) {
  const auto write = [&](const std::string& name, const std::string& text) {
    const std::string path = directory_ + "/" + name;
    std::ofstream(path) << "#!/bin/sh\n" << text << "\n";
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
  };
  CheckSpec spec = SpecFor(80, config::CheckType::kCommand);
  spec.config.command = "good";
  write(spec.config.command, "echo $SLUICE_ADDRESS $SLUICE_PORT $SLUICE_BACKEND");
  EXPECT_EQ(Text(Probe(spec)), "passed: command good ended with 0: 127.0.0.1 80 127.0.0.1");
  spec.config.command = "bad";
  write(spec.config.command, "echo 'replication is late'; exit 3");
  EXPECT_EQ(Text(Probe(spec)), "failed: command bad ended with 3: replication is late");
  spec.config.command = "none";
  EXPECT_EQ(Text(Probe(spec)), "not made: command " + directory_ + "/none: No such file or directory");
  // One that does not end is killed with what it started.
  spec.config.command = "slow";
  write(spec.config.command, "sleep 1000 & echo $! > " + directory_ + "/pid; sleep 1000");
  CommandProber command(directory_, loop_, ways_, *this);
  command.Start(1, spec);
  pid_t child = 0;
  while (child == 0) std::ifstream(directory_ + "/pid") >> child;
  EXPECT_EQ(command.Cancel(1), "command slow");
  while (kill(child, 0) == 0 && std::ifstream("/proc/" + std::to_string(child) + "/stat").good()) {
    std::string stat;
    std::getline(std::ifstream("/proc/" + std::to_string(child) + "/stat"), stat);
    if (stat.find(") Z") != std::string::npos || stat.empty()) break;  // nobody collects it here
  }
}

TEST(GrpcHealthTest, MessagesAreAsOnTheWire) {
  EXPECT_EQ(GrpcHealthRequest(""), std::string(5, '\0'));
  EXPECT_EQ(GrpcHealthRequest("a.B"), std::string("\0\0\0\0\5\x0a\3a.B", 10));
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\2\x08\1", 7)), ServingStatus::kServing);
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\2\x08\2", 7)), ServingStatus::kNotServing);
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\0", 5)), ServingStatus::kUnknown);
  // Fields of a newer server are passed over.
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\5\x12\1z\x08\1", 10)), ServingStatus::kServing);
  // Cut, compressed, nothing, a length beyond the end.
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\2\x08", 6)), std::nullopt);
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\1\0\0\0\2\x08\1", 7)), std::nullopt);
  EXPECT_EQ(ParseGrpcHealthResponse(""), std::nullopt);
  EXPECT_EQ(ParseGrpcHealthResponse(std::string("\0\0\0\0\3\x12\x7fz", 8)), std::nullopt);
}

TEST(GrpcHealthTest, AnswersAreJudged) {
  config::HealthCheckConfig check;
  check.type = config::CheckType::kGrpc;
  HttpAnswer answer;
  answer.status = 200;
  answer.is_http2 = true;
  answer.body = std::string("\0\0\0\0\2\x08\2", 7);
  EXPECT_EQ(JudgeAnswer(check, answer).reason, "gRPC health NOT_SERVING");
  answer.body[6] = 1;
  EXPECT_EQ(JudgeAnswer(check, answer).kind, Kind::kPassed);
  ReadHeaderLine("Grpc-Status: 5\r\n", &answer);
  EXPECT_EQ(JudgeAnswer(check, answer).reason, "gRPC status 5: the server knows no such service");
  answer.is_http2 = false;
  EXPECT_EQ(JudgeAnswer(check, answer).kind, Kind::kFailed);
}

TEST(HttpAnswer, LoadIsAClaim) {
  const auto load = [](std::string_view line) {
    HttpAnswer answer;
    answer.status = 200;
    ReadHeaderLine(line, &answer);
    config::HealthCheckConfig check;
    check.type = config::CheckType::kHttp;
    return JudgeAnswer(check, answer).load;
  };
  EXPECT_EQ(load("Sluice-Load: 0.42\r\n"), 0.42);
  EXPECT_EQ(load("sluice-load:1\r\n"), 1.0);
  for (const char* line :
       {"Sluice-Load: -1\r\n", "Sluice-Load: nan\r\n", "Sluice-Load: inf\r\n", "Sluice-Load: 101\r\n",
        "Sluice-Load: 42%\r\n", "Sluice-Load: 1e9\r\n", "Sluice-Load:\r\n", "Load: 1\r\n"}) {
    EXPECT_EQ(load(line), std::nullopt) << line;
  }
}

class PlanTest : public testing::Test {
 protected:
  PlanTest() : services_(SampleServices()) { services_.pools[0].health_check.emplace(); }
  std::vector<health::Wish> Plan() {
    class Facts final : public model::DataplaneFacts {
     public:
      bool SweptSince(uint64_t) const override { return true; }
      model::BackendCounts CountsOf(BackendId) const override { return {}; }
      model::VipCounts CountsOf(VipId) const override { return {}; }
    } facts;
    const model::Registry empty({.vips = 16, .pools = 16, .backends = 16});
    const auto change = model::ApplyDesired(empty, services_, {1, facts, 0});
    EXPECT_TRUE(change.ok()) << change.status();
    return health::PlanChecks(change->next);
  }
  config::ServiceConfig services_;
};

TEST_F(PlanTest, ChecksOfL2AndTunnelsAreAddressedToTheVip) {
  services_.vips.push_back(SampleVip("a-second", "203.0.113.11", 8080, "web"));
  std::vector<health::Wish> wishes = Plan();
  ASSERT_EQ(wishes.size(), 2u);
  EXPECT_TRUE(wishes[0].spec.target.on_data_path());
  EXPECT_EQ(health::EndText(wishes[0].spec.target.address, wishes[0].spec.target.port), "203.0.113.11:8080");
  EXPECT_EQ(wishes[0].spec.target.backend_address, Ip("10.0.0.1"));
  EXPECT_EQ(wishes[0].spec.target.via, wishes[0].subscriber);
  services_.pools[0].health_check->vip = "www";
  EXPECT_EQ(TargetText(Plan()[1].spec.target), "203.0.113.10:80 on 10.0.0.2");
  services_.pools[0].health_check->port = 9000;
  EXPECT_EQ(TargetText(Plan()[1].spec.target), "203.0.113.10:9000 on 10.0.0.2");
}

TEST_F(PlanTest, ChecksOfNatGoToTheBackend) {
  services_.vips[0].mode = config::ForwardingMode::kFullNat;
  services_.pools[0].backends[1].port = 8000;
  const std::vector<health::Wish> wishes = Plan();
  EXPECT_EQ(TargetText(wishes[0].spec.target), "10.0.0.1:80");
  EXPECT_EQ(TargetText(wishes[1].spec.target), "10.0.0.2:8000");
  EXPECT_FALSE(wishes[1].spec.target.on_data_path());
}

TEST_F(PlanTest, DirectChecksOfSeveralPoolsAreOne) {
  services_.pools[0].health_check->direct = true;
  services_.pools.push_back(services_.pools[0]);
  services_.pools[1].name = "api";
  services_.pools[1].health_check->port = 80;
  const std::vector<health::Wish> wishes = Plan();
  ASSERT_EQ(wishes.size(), 4u);
  EXPECT_EQ(wishes[0].spec, wishes[2].spec);
  EXPECT_NE(wishes[0].subscriber, wishes[2].subscriber);
}

TEST_F(PlanTest, ABackupIsCheckedByTheVipsThatItStandsInFor) {
  services_.pools.push_back(services_.pools[0]);
  services_.pools[1].name = "spare";
  services_.pools[1].backends.resize(1);
  services_.pools[1].backends[0].address = Ip("10.0.9.1");
  services_.pools[0].health_check.reset();
  EXPECT_TRUE(Plan().empty()) << "nobody uses it";
  services_.pools[0].policy.backup = "spare";
  ASSERT_EQ(Plan().size(), 1u);
  EXPECT_EQ(TargetText(Plan()[0].spec.target), "203.0.113.10:80 on 10.0.9.1");
  // A VIP of its own goes before.
  services_.vips.push_back(SampleVip("z-own", "203.0.113.11", 8080, "spare"));
  EXPECT_EQ(TargetText(Plan()[0].spec.target), "203.0.113.11:8080 on 10.0.9.1");
}

TEST_F(PlanTest, PoolsWithoutVipOrCheckAreNotChecked) {
  services_.vips.clear();
  EXPECT_TRUE(Plan().empty());
  services_.pools[0].health_check.reset();
  EXPECT_TRUE(Plan().empty());
}

TEST_F(PlanTest, APrefixIsCheckedByItsFirstAddress) {
  services_.vips[0].prefix = *net::IpPrefix::Parse("203.0.113.0/24");
  EXPECT_EQ(TargetText(Plan()[0].spec.target), "203.0.113.1:80 on 10.0.0.1");
}

}  // namespace
}  // namespace sluice::probe
