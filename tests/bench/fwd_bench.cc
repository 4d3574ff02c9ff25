// Micro-benchmarks of building and resolving states, and of the selection ladder.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

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
