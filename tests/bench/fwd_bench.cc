// Micro-benchmarks of building and resolving states, and of the selection ladder.

#include <benchmark/benchmark.h>
#include <malloc.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "dataplane/fwd/client_routes.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/resolve.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/net/headers.h"
#include "tests/support/state_fixture.h"

namespace sluice::fwd {
namespace {

std::string AddressOf(int i) { return "10.0." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250); }

test::StateFixture MakeFixture(int pools, int backends_per_pool) {
  test::StateFixture fixture;
  for (int p = 0; p < pools; ++p) {
    const PoolId pool = fixture.AddPool(65537);
    for (int b = 0; b < backends_per_pool; ++b) fixture.AddBackend(pool, AddressOf(p * backends_per_pool + b), 100);
    fixture.AddVip("203.0.113." + std::to_string(p % 250), net::kProtocolTcp, static_cast<uint16_t>(1 + p), pool);
  }
  return fixture;
}

// One backend of one pool drains or comes back: what the control plane does before a change is live.
void OneBackendChanges(benchmark::State& state) {
  test::StateFixture fixture = MakeFixture(static_cast<int>(state.range(0)), static_cast<int>(state.range(1)));
  auto current = fixture.Build();
  bool drained = false;
  for (auto _ : state) {
    if (drained) {
      fixture.Undrain(BackendId(0), PoolId(0), 100);
    } else {
      fixture.Drain(BackendId(0));
    }
    drained = !drained;
    current = fixture.Build();
    benchmark::DoNotOptimize(current);
  }
}
BENCHMARK(OneBackendChanges)
    ->ArgNames({"pools", "backends_per_pool"})
    ->Args({1, 100})
    ->Args({1, 1000})
    ->Args({100, 100})
    ->Unit(benchmark::kMillisecond);

// The same with destination NAT: one pool for all VIPs, the largest return table for their number; the change adds or
// removes a backend.
void OneNatBackendChanges(benchmark::State& state) {
  test::StateFixture fixture;
  const PoolId pool = fixture.AddPool(1000003);
  for (int i = 0; i < state.range(1); ++i) fixture.AddBackend(pool, AddressOf(i), 100);
  for (int i = 0; i < state.range(0); ++i) {
    fixture.AddVip("203.0.113." + std::to_string(i / 5000), net::kProtocolTcp, static_cast<uint16_t>(1 + i % 5000),
                   pool, ForwardingMode::kNat);
  }
  fixture.Build();
  bool removed = false;
  for (auto _ : state) {
    if (removed) {
      fixture.Reuse(BackendId(0), pool, AddressOf(0));
    } else {
      fixture.Remove(BackendId(0));
    }
    removed = !removed;
    benchmark::DoNotOptimize(fixture.Build());
  }
}
BENCHMARK(OneNatBackendChanges)
    ->ArgNames({"vips", "backends"})
    ->Args({1, 10000})
    ->Args({10000, 2})
    ->Args({10000, 10000})
    ->Unit(benchmark::kMillisecond);

size_t HeapInUse() {
  const struct mallinfo2 heap = mallinfo2();
  return heap.uordblks + heap.hblkhd;
}

// A state whose VIPs share one pool, with next hops.
struct StateSize {
  size_t bytes = 0;
  size_t tables = 0;  // Maglev tables that packets of its VIPs go by
};

StateSize SizeOfState(int vips, int backends) {
  test::StateFixture fixture = MakeFixture(1, backends);
  for (int i = 1; i < vips; ++i) fixture.AddVip(AddressOf(backends + i), net::kProtocolTcp, 443, PoolId(0));
  const size_t before = HeapInUse();
  const auto state = fixture.Build();
  const size_t bytes = HeapInUse() - before;
  std::set<const uint16_t*> tables;
  for (const FastPathVip& vip : *state->fast_path_vips) tables.insert(vip.slots);
  return {bytes, tables.size()};
}

// What each further VIP and backend takes. A table of 65 537 slots takes 131 074 bytes, so VIPs have none of their own.
void StateMemory(benchmark::State& state) {
  StateSize least;
  StateSize more_vips;
  StateSize more_backends;
  SizeOfState(1'000, 100);  // The heap keeps some of its blocks, so that the next three all find such.
  for (auto _ : state) {
    least = SizeOfState(1'000, 100);
    more_vips = SizeOfState(10'000, 100);
    more_backends = SizeOfState(1'000, 1'000);
  }
  state.counters["bytes_per_vip"] = static_cast<double>(more_vips.bytes - least.bytes) / 9'000;
  state.counters["bytes_per_backend"] = static_cast<double>(more_backends.bytes - least.bytes) / 900;
  state.counters["bytes_of_10000_vips"] = static_cast<double>(more_vips.bytes);
  state.counters["tables_of_10000_vips"] = static_cast<double>(more_vips.tables);
}
BENCHMARK(StateMemory)->Iterations(1)->Unit(benchmark::kMillisecond);

// Routes for clients: `routes` prefixes of 8 to 24 bits, and destinations from all over.
void ClientRouteLookup(benchmark::State& state) {
  std::vector<lb::PrefixValue> prefixes;
  std::vector<RouteSet::Group> groups = {{0}, {1}};
  uint64_t random = 88172645463325252;
  const auto next = [&] {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
  };
  for (int i = 0; i < state.range(0); ++i) {
    const auto address = net::IpAddress::V4(Be32::FromHost(static_cast<uint32_t>(next() >> 32)));
    prefixes.push_back({net::IpPrefix{address, i == 0 ? 0 : static_cast<int>(8 + next() % 17)}.Network(),
                        static_cast<uint32_t>(next() % 2)});
  }
  ClientHop hop;
  hop.port = PortId(0);
  hop.resolved = true;
  const ClientRoutes routes(std::make_shared<const RouteSet>(prefixes, groups), {hop, hop},
                            std::make_shared<const NeighbourTable>(std::vector<NeighbourTable::Neighbour>()));
  std::vector<Be32> destinations(1 << 16);
  for (Be32& destination : destinations) destination = Be32::FromHost(static_cast<uint32_t>(next() >> 32));
  size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(routes.LookupV4(destinations[at], at));
    at = (at + 1) % destinations.size();
  }
}
BENCHMARK(ClientRouteLookup)->ArgName("routes")->Arg(3)->Arg(1000)->Arg(1000000);

// All routes anew, as after a change of one of them.
void ClientRoutesBuild(benchmark::State& state) {
  std::vector<lb::PrefixValue> prefixes;
  for (int i = 0; i < state.range(0); ++i) {
    const auto host = static_cast<uint32_t>(i) * 2654435761u;
    prefixes.push_back({net::IpPrefix{net::IpAddress::V4(Be32::FromHost(host)), 24}.Network(), 0});
  }
  for (auto _ : state) benchmark::DoNotOptimize(RouteSet(prefixes, {{0}}));
}
BENCHMARK(ClientRoutesBuild)->ArgName("routes")->Arg(1000)->Arg(1000000)->Unit(benchmark::kMillisecond);

// Packets of established flows through the ladder, no prefetching: the latency of one lookup after the other.
void LadderEstablished(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  test::StateFixture fixture = MakeFixture(1, 1000);
  const auto forwarding = fixture.Build();
  test::TestMemory memory;
  FlowTables tables({.v4 = flows, .v6 = 16, .wide = 16}, memory.Source());
  WorkerCounters counters(16, 2048);
  std::vector<uint32_t> clients(flows);
  std::vector<FlowView> views;
  views.reserve(flows);
  for (uint32_t i = 0; i < flows; ++i) {
    clients[i] = i * 2654435761u;
    const auto* client = reinterpret_cast<const uint8_t*>(&clients[i]);
    const lb::FlowTuple tuple = {.source = client,
                                 .destination = client,
                                 .source_port = {},
                                 .destination_port = {},
                                 .protocol = net::kProtocolTcp,
                                 .family = net::Family::kIpv4};
    FlowView view = {.client = client,
                     .destination = client,
                     .family = net::Family::kIpv4,
                     .protocol = net::kProtocolTcp,
                     .tcp_flags = net::kTcpAck,
                     .client_port = {},
                     .destination_port = {},
                     .vip = VipId(0),
                     .hash = 0};
    lb::FlowHashes(*forwarding->keys, &tuple, 1, &view.hash);
    SelectBackend(*forwarding, view, 0, tables, counters);
    views.push_back(view);
  }
  size_t at = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(SelectBackend(*forwarding, views[at], 0, tables, counters));
    if (++at == views.size()) at = 0;
  }
}
BENCHMARK(LadderEstablished)->Arg(1000)->Arg(100000)->Arg(1000000);

}  // namespace
}  // namespace sluice::fwd
