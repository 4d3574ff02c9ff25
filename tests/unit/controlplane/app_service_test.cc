#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <filesystem>

#include "controlplane/app/affinity.h"
#include "controlplane/app/preflight.h"
#include "controlplane/app/service_manager.h"
#include "controlplane/app/watchdog.h"
#include "tests/unit/controlplane/sample.h"

// How sluiced lives with a service manager, and what it asks of the machine.
namespace sluice::app {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

// The manager's end of the protocol.
class FakeManager {
 public:
  explicit FakeManager(bool abstract = false) {
    fd_ = socket(AF_UNIX, SOCK_DGRAM, 0);
    const std::string path = "/tmp/sluice-notify-" + std::to_string(getpid());
    name_ = abstract ? "@" + path.substr(1) : path;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name_.data(), name_.size());
    if (abstract) address.sun_path[0] = '\0';
    const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name_.size());
    EXPECT_EQ(bind(fd_, reinterpret_cast<const sockaddr*>(&address), length), 0) << std::strerror(errno);
  }
  ~FakeManager() {
    close(fd_);
    if (name_[0] != '@') std::filesystem::remove(name_);
  }
  const std::string& name() const { return name_; }

  // The next message; empty when none comes within `timeout_ms`.
  std::string Next(int timeout_ms) const {
    pollfd wanted{.fd = fd_, .events = POLLIN, .revents = 0};
    if (poll(&wanted, 1, timeout_ms) != 1) return "";
    std::array<char, 1024> buffer{};
    const ssize_t got = recv(fd_, buffer.data(), buffer.size(), 0);
    return got < 0 ? "" : std::string(buffer.data(), static_cast<size_t>(got));
  }

 private:
  int fd_ = -1;
  std::string name_;
};

constexpr int kDeadlineMs = 10'000;

TEST(ServiceManager, SpeaksTheProtocol) {
  for (const bool abstract : {false, true}) {
    const FakeManager fake(abstract);
    const ServiceManager manager(fake.name(), std::nullopt);
    manager.Ready("forwarding");
    EXPECT_EQ(fake.Next(kDeadlineMs), "READY=1\nSTATUS=forwarding");
    manager.FeedWatchdog();
    EXPECT_EQ(fake.Next(kDeadlineMs), "WATCHDOG=1");
    manager.Reloading();
    EXPECT_THAT(fake.Next(kDeadlineMs), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
    manager.Stopping();
    EXPECT_THAT(fake.Next(kDeadlineMs), StartsWith("STOPPING=1"));
  }
}

TEST(ServiceManager, WithoutOneNothingHappens) {
  ServiceManager("", std::nullopt).Ready("x");
  ServiceManager("/nonexistent/socket", std::nullopt).Ready("x");
  ServiceManager(std::string(300, 'x'), std::nullopt).Ready("x");
}

TEST(ServiceManager, OneThatDoesNotReadHoldsUpNothing) {
  const FakeManager fake;
  const ServiceManager manager(fake.name(), std::nullopt);
  // Fills the socket's queue with what nobody takes; without a limit the next message would wait for ever.
  const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  ASSERT_GE(fd, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  fake.name().copy(address.sun_path, sizeof(address.sun_path) - 1);
  int sent = 0;
  while (sendto(fd, "x", 1, 0, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 1) ++sent;
  close(fd);
  EXPECT_GT(sent, 0);
  manager.Stopping();
}

TEST(ServiceManager, ReadsTheEnvironment) {
  setenv("NOTIFY_SOCKET", "/run/x", 1);
  setenv("WATCHDOG_USEC", "10000000", 1);
  setenv("WATCHDOG_PID", std::to_string(getpid()).c_str(), 1);
  EXPECT_EQ(ServiceManager::FromEnvironment().watchdog(), std::chrono::seconds(10));
  setenv("WATCHDOG_PID", "1", 1);
  EXPECT_FALSE(ServiceManager::FromEnvironment().watchdog().has_value());
  unsetenv("WATCHDOG_PID");
  setenv("WATCHDOG_USEC", "soon", 1);
  EXPECT_FALSE(ServiceManager::FromEnvironment().watchdog().has_value());
  unsetenv("WATCHDOG_USEC");
  unsetenv("NOTIFY_SOCKET");
}

TEST(ProgressCheck, NamesWhatStandsStill) {
  ProgressCheck check;
  EXPECT_THAT(check.Stuck({{"a", 0}, {"b", 7}}), IsEmpty());
  EXPECT_THAT(check.Stuck({{"a", 1}, {"b", 7}}), ElementsAre("b"));
  EXPECT_THAT(check.Stuck({{"a", 1}, {"b", 8}}), ElementsAre("a"));
  EXPECT_THAT(check.Stuck({{"a", 2}, {"b", 0}}), IsEmpty());  // a counter that wrapped has moved
}

TEST(Watchdog, IsFedWhileAllThreadsMove) {
  const FakeManager fake;
  const ServiceManager manager(fake.name(), std::chrono::milliseconds(8));
  std::atomic<uint64_t> turns = 0;
  std::atomic<bool> moving = true;
  std::atomic<uint64_t> looks = 0;
  const Watchdog watchdog(manager, [&] {
    looks.fetch_add(1);
    if (moving) turns.fetch_add(1);
    return std::vector<runtime::ThreadProgress>{{"worker 0", turns.load()}};
  });
  EXPECT_EQ(fake.Next(kDeadlineMs), "WATCHDOG=1");
  moving = false;
  // A feed for progress before that may still come; once it was looked at twice more, none does.
  const uint64_t before = looks;
  while (looks < before + 2) usleep(1000);
  while (!fake.Next(0).empty()) continue;
  const uint64_t then = looks;
  while (looks < then + 3) usleep(1000);
  EXPECT_EQ(fake.Next(0), "");
  moving = true;
  EXPECT_EQ(fake.Next(kDeadlineMs), "WATCHDOG=1");
}

TEST(Watchdog, DoesNothingWhenNobodyWatches) {
  bool looked = false;
  {
    const ServiceManager manager("", std::nullopt);
    const Watchdog watchdog(manager, [&] {
      looked = true;
      return std::vector<runtime::ThreadProgress>();
    });
  }
  EXPECT_FALSE(looked);
}

config::Config SampleConfig() {
  config::Config config;
  config.services = SampleServices();
  config::PortConfig wan;
  wan.name = "wan";
  wan.devices = {"net_af_packet0,iface=eth0"};
  wan.addresses = {*net::IpPrefix::Parse("192.0.2.2/24"), *net::IpPrefix::Parse("2001:db8::2/64")};
  wan.gateways = {Ip("192.0.2.1"), Ip("2001:db8::1")};
  wan.exception.interface = "sluice-wan";
  config::PortConfig lan;
  lan.name = "lan";
  lan.devices = {"03:00.0", "net_tap0,iface=tap7"};
  lan.mtu_bytes = 9000;
  lan.exception.enabled = false;
  config.node.ports = {wan, lan};
  config.node.workers.count = 2;
  config.node.workers.cpus = {0, 1000};
  config.node.workers.idle = config::IdleMode::kPoll;
  config.node.memory.hugepages = config::MemoryConfig::Hugepages::kRequire;
  return config;
}

TEST(ToDemand, SaysWhatTheConfigurationAsks) {
  const preflight::Demand demand = ToDemand(SampleConfig(), "/etc/sluice.yaml");
  ASSERT_EQ(demand.ports.size(), 2u);
  const preflight::PortDemand& wan = demand.ports[0];
  EXPECT_EQ(wan.devices[0].driver, "net_af_packet");
  EXPECT_EQ(wan.devices[0].interface, "eth0");
  EXPECT_EQ(wan.devices[0].queues, 2u);
  EXPECT_EQ(wan.devices[0].locked_bytes, 2u * 2 * 4096 * 2048);  // 4 frames for each of 1024 descriptors
  EXPECT_EQ(wan.exception_interface, "sluice-wan");
  EXPECT_TRUE(wan.ipv6_addresses);
  EXPECT_TRUE(wan.default_route_v4);
  EXPECT_TRUE(wan.default_route_v6);
  const preflight::PortDemand& lan = demand.ports[1];
  EXPECT_EQ(lan.devices[0].pci_address, "0000:03:00.0");
  EXPECT_EQ(lan.devices[0].queues, 1u);
  EXPECT_EQ(lan.devices[1].driver, "other");
  EXPECT_EQ(lan.devices[1].interface, "");
  EXPECT_EQ(lan.mtu_bytes, 9000u);
  EXPECT_EQ(lan.exception_interface, "");
  EXPECT_FALSE(lan.default_route_v4);
  EXPECT_FALSE(lan.default_route_v6);
  EXPECT_TRUE(demand.busy_polling);
  EXPECT_EQ(demand.hugepages, preflight::HugepageRule::kRequire);
  EXPECT_GT(demand.packet_bytes, 64u << 20);
  EXPECT_GE(demand.connection_bytes, 2 * (262144u * 32 + 65536 * 64 + 16384 * 128));
  EXPECT_THAT(demand.cpu_problem, HasSubstr("which this process may not use"));
  EXPECT_THAT(demand.worker_cpus, IsEmpty());
  EXPECT_EQ(demand.tunnel_bytes, 0u);
  EXPECT_EQ(demand.metrics_listen, "127.0.0.1:9105");
  EXPECT_EQ(demand.files[0].path, "/etc/sluice.yaml");
}

TEST(ToDemand, FindsTheLargestTunnel) {
  config::Config config = SampleConfig();
  const std::vector<std::pair<config::ForwardingMode, uint32_t>> v4 = {{config::ForwardingMode::kL2, 0},
                                                                       {config::ForwardingMode::kIpip, 20},
                                                                       {config::ForwardingMode::kGre, 24},
                                                                       {config::ForwardingMode::kGueDirect, 28},
                                                                       {config::ForwardingMode::kGue, 32}};
  for (const auto& [mode, bytes] : v4) {
    config.services.vips[0].mode = mode;
    EXPECT_EQ(ToDemand(config, "f").tunnel_bytes, bytes);
  }
  config.services.pools[0].backends[1].address = Ip("2001:db8::1");
  EXPECT_EQ(ToDemand(config, "f").tunnel_bytes, 52u);
  EXPECT_EQ(ToDemand(config, "f").tunnel_vip, "www");
}

TEST(AllowCpus, AddsToTheProcess) {
  cpu_set_t before;
  ASSERT_EQ(pthread_getaffinity_np(pthread_self(), sizeof(before), &before), 0);
  ASSERT_GE(CPU_COUNT(&before), 2) << "this test needs two CPUs";
  std::vector<uint32_t> cpus;
  for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &before)) cpus.push_back(cpu);
  }
  ASSERT_TRUE(RunOn({cpus[0]}).ok());
  AllowCpus({cpus[1], CPU_SETSIZE - 1});  // one that is not there does no harm
  cpu_set_t after;
  ASSERT_EQ(pthread_getaffinity_np(pthread_self(), sizeof(after), &after), 0);
  EXPECT_EQ(CPU_COUNT(&after), 2);
  EXPECT_TRUE(CPU_ISSET(cpus[0], &after) && CPU_ISSET(cpus[1], &after));
  ASSERT_TRUE(RunOn(cpus).ok());
}

}  // namespace
}  // namespace sluice::app
