#include "tests/bench/pipeline/director.h"

#include <sched.h>
#include <sys/sysinfo.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "config/limits.h"
#include "dataplane/base/check.h"
#include "dataplane/fwd/client_routes.h"
#include "tests/bench/pipeline/traffic.h"

namespace sluice::bench {
namespace {

constexpr uint32_t kReader = 0;  // the one worker

// Pools of both families in turn where VIPs are of both.
net::Family FamilyOfPool(const Scenario& scenario, uint32_t pool) {
  if (scenario.load != Load::kMixed) return scenario.family;
  return pool % 2 == 0 ? net::Family::kIpv4 : net::Family::kIpv6;
}
uint32_t PoolOfVip(const Scenario& scenario, uint32_t vip, uint32_t pools) {
  if (scenario.load != Load::kMixed) return vip % pools;
  SLUICE_CHECK(pools % 2 == 0);
  return vip % (pools / 2) * 2 + (scenario.KindOf(vip).family == net::Family::kIpv6 ? 1 : 0);
}

config::ServiceConfig Services(const Scenario& scenario) {
  config::ServiceConfig services;
  services.seed = "000102030405060708090a0b0c0d0e0f";
  const bool has_cookies = scenario.Has(Selection::kCookie);
  if (has_cookies) {
    services.cookie_keys.push_back({.number = 0, .secret = std::string(kCookieSecret)});
  }
  const uint32_t pools = (scenario.backends + kPoolBackends - 1) / kPoolBackends;
  for (uint32_t p = 0; p < pools; ++p) {
    config::PoolConfig pool;
    pool.name = absl::StrCat("pool-", p);
    for (uint32_t b = p * kPoolBackends; b < std::min(scenario.backends, (p + 1) * kPoolBackends); ++b) {
      config::BackendConfig backend;
      backend.name = absl::StrCat("backend-", b);
      backend.address = BackendAddress(scenario.BackendFamily(FamilyOfPool(scenario, p)), b);
      if (has_cookies) backend.cookie_id = CookieIdOf(b);
      pool.backends.push_back(std::move(backend));
    }
    services.pools.push_back(std::move(pool));
  }
  for (uint32_t v = 0; v < scenario.vips; ++v) {
    config::VipConfig vip;
    vip.name = absl::StrCat("vip-", v);
    const VipKind kind = scenario.KindOf(v);
    vip.prefix = {VipAddress(kind.family, v), kind.family == net::Family::kIpv4 ? 32 : 128};
    vip.protocol = kind.protocol == net::kProtocolUdp ? config::Protocol::kUdp : config::Protocol::kTcp;
    vip.ports = config::PortRange::Single(kVipPort);
    vip.pool = services.pools[PoolOfVip(scenario, v, pools)].name;
    vip.mode = scenario.mode;
    if (kind.selection == Selection::kHash) vip.tracking = config::ConnectionTracking::kOff;
    if (kind.selection == Selection::kCookie) vip.cookies = config::Cookies::kBackend;
    if (kind.selection == Selection::kSlot) vip.cookies = config::Cookies::kSlot;
    services.vips.push_back(std::move(vip));
  }
  return services;
}

fwd::TableCapacities Capacities(const Scenario& scenario) {
  const auto least = static_cast<uint32_t>(config::limits::kConnections.min);
  const bool both = scenario.load == Load::kMixed;
  const bool v4 = scenario.family == net::Family::kIpv4;
  return {.v4 = both || v4 ? scenario.Connections() : least,
          .v6 = both || !v4 ? scenario.Connections() : least,
          .wide = least,
          .nat = config::IsNat(scenario.mode) ? scenario.Connections() : 0,
          .stateful = scenario.selection == Selection::kSlot ? scenario.Connections() : 0};
}

fwd::NatSetup NatSetupOf(const Scenario& scenario) {
  fwd::NatSetup setup;
  if (scenario.mode == config::ForwardingMode::kFullNat) SLUICE_CHECK(setup.ends.Add(LocalAddress(scenario.family)));
  return setup;
}

// All clients are behind one router.
std::shared_ptr<const fwd::ClientRoutes> RoutesToClients() {
  fwd::ClientHop router;
  router.port = Director::port();
  router.resolved = true;
  std::memcpy(router.ether.source, PortMac().data(), sizeof(router.ether.source));
  router.ether.destination[0] = 0x02;
  std::vector<lb::PrefixValue> everywhere = {{*net::IpPrefix::Parse("0.0.0.0/0"), 0},
                                             {*net::IpPrefix::Parse("::/0"), 0}};
  return std::make_shared<const fwd::ClientRoutes>(
      std::make_shared<const fwd::RouteSet>(std::move(everywhere), std::vector<fwd::RouteSet::Group>{{0}}),
      std::vector<fwd::ClientHop>{router},
      std::make_shared<const fwd::NeighbourTable>(std::vector<fwd::NeighbourTable::Neighbour>()));
}

constexpr model::Limits kLimits = {
    .vips = config::limits::kVips, .pools = config::limits::kPools, .backends = config::limits::kBackends};

}  // namespace

// Every backend is a resolved neighbour.
class Director::NextHops final : public runtime::NextHopSource {
 public:
  void Watch(const std::vector<net::IpAddress>&) override {}
  fwd::NextHop Lookup(const net::IpAddress& address) override {
    fwd::NextHop hop;
    hop.port = port();
    hop.on_link = true;
    hop.resolved = true;
    hop.source = PortMac();
    hop.destination = net::MacAddress(address.data() + address.size() - 6 + (address.is_v4() ? 2 : 0));
    hop.source_v4 = PortAddress(net::Family::kIpv4);
    hop.source_v6 = PortAddress(net::Family::kIpv6);
    return hop;
  }
  std::shared_ptr<const fwd::ClientRoutes> Routes() override { return routes_; }

 private:
  const std::shared_ptr<const fwd::ClientRoutes> routes_ = RoutesToClients();
};

Director::Director(const Scenario& scenario, bool hugepages)
    : next_hops_(std::make_unique<NextHops>()),
      view_(/*swept=*/false),  // no backend is ever removed
      publisher_(1, next_hops_.get()),
      reconciler_(
          kLimits, [](const model::DesiredState&) { return std::vector<model::Complaint>(); }, publisher_, view_),
      services_(Services(scenario)),
      counters_(kLimits.vips, kLimits.backends),
      memory_(hugepages),
      tables_(
          Capacities(scenario), [this](size_t bytes) { return memory_.Allocate(bytes, 0); }, NatSetupOf(scenario)) {
  // Room for the largest frames of a row with any encapsulation.
  stage::PortTraits& traits = node_.ports[port().index()];
  traits.mac = PortMac();
  traits.mtu_bytes = 9000;
  env_.node = &node_;
  env_.tables = &tables_;
  env_.counters = &counters_;
  env_.fragments = &fragments_;
  env_.now_s = 1;
}

Director::~Director() {
  stop_.store(true, std::memory_order_relaxed);
  if (changer_.joinable()) changer_.join();
  publisher_.Offline(kReader);
}

absl::StatusOr<std::unique_ptr<Director>> Director::Create(const Scenario& scenario, bool hugepages) {
  std::unique_ptr<Director> director(new Director(scenario, hugepages));
  const auto applied = director->reconciler_.Apply(director->services_);
  if (!applied.ok()) return applied.status();
  director->publisher_.Online(kReader);
  director->TakeUpState();
  return director;
}

bool Director::TakeUpState() {
  publisher_.Quiescent(kReader);
  const fwd::ForwardingState* const before = std::exchange(env_.state, publisher_.Read());
  return env_.state != before;
}

void Director::Advance(uint32_t seconds) {
  env_.now_s += seconds;
  while (!tables_.Sweep(1 << 16, env_.now_s, *env_.state, counters_)) {
  }
}

void Director::StartChanges(uint32_t per_s) {
  // It would be where the worker is, as EAL put this thread there.
  cpu_set_t others;
  CPU_ZERO(&others);
  for (int cpu = 0; cpu < get_nprocs_conf() && cpu < CPU_SETSIZE; ++cpu) CPU_SET(cpu, &others);
  CPU_CLR(sched_getcpu(), &others);
  changer_ = std::thread([this, per_s, others] {
    sched_setaffinity(0, sizeof(others), &others);  // refused where there is no other CPU
    Change(per_s);
  });
}

void Director::Change(uint32_t per_s) {
  auto next = std::chrono::steady_clock::now();
  while (!stop_.load(std::memory_order_relaxed)) {
    config::BackendConfig& backend = services_.pools[0].backends[0];
    backend.weight = backend.weight == 100 ? 90 : 100;
    // Refused only while the worker pauses between windows; the next change brings it.
    if (reconciler_.Apply(services_).ok()) changes_.fetch_add(1, std::memory_order_relaxed);
    next += std::chrono::microseconds(1'000'000 / per_s);
    std::this_thread::sleep_until(next);
  }
}

}  // namespace sluice::bench
