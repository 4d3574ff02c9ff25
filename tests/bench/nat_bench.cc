// Micro-benchmarks of address translation's sessions and local ports.

#include <benchmark/benchmark.h>

#include <random>
#include <vector>

#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/nat_ports.h"
#include "dataplane/lb/nat_table.h"
#include "tests/support/state_fixture.h"

namespace sluice::lb {
namespace {

NatTuple Tuple(uint32_t source, uint32_t destination, uint16_t destination_port) {
  NatTuple tuple;
  tuple.source = LoadNatAddress(net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&source));
  tuple.destination = LoadNatAddress(net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&destination));
  tuple.source_port = Be16::FromHost(80);
  tuple.destination_port = Be16::FromHost(destination_port);
  tuple.protocol = 6;
  return tuple;
}

constexpr auto kNone = [](NatSession&) {};

// Lookups of established flows in random order from either side, each prefetched as many packets ahead as given.
void NatLookup(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  const bool by_backend = state.range(1) != 0;
  const auto ahead = static_cast<size_t>(state.range(2));
  test::TestMemory memory;
  NatTable table(memory.Source()(NatTable::BytesFor(flows)), flows);
  std::mt19937_64 random(2);
  std::vector<std::array<uint64_t, 2>> hashes(flows);
  const auto client = [](uint32_t i) { return Tuple(i, 1, 80); };
  const auto backend = [](uint32_t i) { return Tuple(i >> 14, 2, static_cast<uint16_t>(1024 + (i & 0x3fff))); };
  for (uint32_t i = 0; i < flows; ++i) {
    hashes[i] = {random(), random()};
    NatSession* session = table.Insert(client(i), VipId(1), hashes[i][0], backend(i), hashes[i][1], kNone);
    session->tracking.state = NatState::kEstablished;
    session->tracking.confirmed = true;
  }
  std::vector<uint32_t> order(1 << 16);
  for (auto& i : order) i = static_cast<uint32_t>(random() % flows);
  size_t at = 0;
  for (auto _ : state) {
    if (ahead > 0) {
      const uint64_t hash = hashes[order[(at + ahead) % order.size()]][by_backend];
      table.Prefetch(hash);
    }
    const uint32_t i = order[at++ % order.size()];
    if (by_backend) {
      benchmark::DoNotOptimize(table.FindByBackend(backend(i), hashes[i][1]));
    } else {
      benchmark::DoNotOptimize(table.FindByClient(client(i), VipId(1), hashes[i][0]));
    }
  }
  state.counters["bytes_per_session"] = static_cast<double>(NatTable::BytesFor(flows)) / static_cast<double>(flows);
}
BENCHMARK(NatLookup)
    ->ArgNames({"flows", "by_backend", "prefetch_ahead"})
    ->Args({1000, 0, 0})
    ->Args({100000, 0, 0})
    ->Args({1000000, 0, 0})
    ->Args({1000000, 0, 16})
    ->Args({1000000, 1, 0})
    ->Args({1000000, 1, 16});

// A new flow to a backend that has `percent` of its ports in use already, and its end.
void NatNewFlow(benchmark::State& state) {
  constexpr uint32_t kPorts = 60'000;
  constexpr size_t kSessions = 1 << 17;
  const HashKeys keys(Seed{1});
  test::TestMemory memory;
  NatTable table(memory.Source()(NatTable::BytesFor(kSessions)), kSessions);
  LocalAddresses local;
  local.count = 1;
  const auto hash_of = [&](const NatTuple& tuple) {
    const FlowTuple flow = tuple.ToFlowTuple();
    uint64_t hash = 0;
    FlowHashes(keys, &flow, 1, &hash);
    return hash;
  };
  const auto open = [&](uint32_t client) -> NatSession* {
    const NatTuple from_client = Tuple(client, 1, 80);
    const uint64_t client_hash = hash_of(from_client);
    NatTuple reply = Tuple(7, 0, 0);
    const auto offer = [&](const NatTuple& tuple) {
      return table.FindByBackend(tuple, hash_of(tuple)) == nullptr ? kEndFree : kEndTaken;
    };
    if (ChooseLocalEnd(local, {.first = 1024, .count = kPorts}, client_hash, nullptr, reply, offer) == kEndTaken) {
      return nullptr;
    }
    NatSession* session = table.Insert(from_client, VipId(1), client_hash, reply, hash_of(reply), kNone);
    session->tracking.state = NatState::kEstablished;
    session->tracking.confirmed = true;
    return session;
  };
  const auto used = static_cast<uint32_t>(kPorts * state.range(0) / 100);
  uint32_t client = 0;
  while (table.in_use() < used) open(++client);
  for (auto _ : state) {
    NatSession* session = open(++client);
    if (session != nullptr) table.Remove(*session);
  }
}
BENCHMARK(NatNewFlow)->ArgName("percent_used")->Arg(0)->Arg(50)->Arg(90)->Arg(95);

}  // namespace
}  // namespace sluice::lb
