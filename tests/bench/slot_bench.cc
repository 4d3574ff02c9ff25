// What finds a connection's place by itself: slots named by cookies, servers named by QUIC connection ids.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "dataplane/lb/quic_lb.h"
#include "dataplane/lb/slot_table.h"
#include "tests/bench/lookup.h"
#include "tests/support/state_fixture.h"

namespace sluice::lb {
namespace {

// As ConnectionLookup of lb_bench.cc.
void SlotLookup(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  const auto ahead = static_cast<size_t>(state.range(1));
  test::TestMemory memory;
  SlotTable table(memory.Source()(SlotTable::BytesFor(flows)), flows);
  std::mt19937_64 random(2);
  std::vector<uint64_t> hashes(flows);
  std::vector<uint8_t> slots(flows);
  for (uint32_t i = 0; i < flows; ++i) {
    hashes[i] = random();
    slots[i] = table.Insert(hashes[i], VipId(1), FlowState::kEstablished, 0).value_or(0);
  }
  LookUp(
      state, flows, ahead, SlotTable::BytesFor(flows), [&](uint32_t i) { table.Prefetch(hashes[i], slots[i]); },
      [&](uint32_t i) { return table.Find(hashes[i], VipId(1), slots[i]); });
}
BENCHMARK(SlotLookup)->Apply(LookUpSizes);

// A connection that begins and one that ends, among `flows` others.
void SlotInsertRemove(benchmark::State& state) {
  const auto flows = static_cast<uint32_t>(state.range(0));
  test::TestMemory memory;
  SlotTable table(memory.Source()(SlotTable::BytesFor(flows)), flows);
  std::mt19937_64 random(2);
  for (uint32_t i = 1; i < flows; ++i) table.Insert(random(), VipId(1), FlowState::kEstablished, 0);
  for (auto _ : state) {
    const uint64_t hash = random();
    const auto slot = table.Insert(hash, VipId(1), FlowState::kEstablished, 0);
    if (slot) table.Remove(*table.Find(hash, VipId(1), *slot));
  }
}
BENCHMARK(SlotInsertRemove)->Arg(1000)->Arg(1000000);

// Octets of server id and nonce: none encrypted, one pass (16 octets), four passes.
void QuicIdDecode(benchmark::State& state) {
  const auto nonce_length = static_cast<uint8_t>(state.range(0));
  QuicLbConfig config{.server_id_length = 3, .nonce_length = nonce_length, .key = {}};
  if (state.range(1) != 0) config.key.emplace(AesBlock{1});
  QuicLbConfigs configs;
  configs.Set(0, config);
  constexpr std::array<uint8_t, 18> kNonce = {1, 2, 3};
  const auto id = EncodeQuicConnectionId(config, 0, 0, {.bytes = {7}, .length = 3}, kNonce.data());
  for (auto _ : state) benchmark::DoNotOptimize(DecodeQuicServerId(configs, id.data(), id.size()));
}
BENCHMARK(QuicIdDecode)->ArgNames({"nonce", "encrypted"})->Args({4, 0})->Args({13, 1})->Args({4, 1});

}  // namespace
}  // namespace sluice::lb
