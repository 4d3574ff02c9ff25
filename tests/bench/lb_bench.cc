// Micro-benchmarks of the algorithms and tables of dataplane/lb.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <type_traits>
#include <vector>

#include "dataplane/lb/connection_table.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/lb/flow_hash.h"
#include "dataplane/lb/fragment_table.h"
#include "dataplane/lb/maglev.h"
#include "dataplane/lb/owner.h"
#include "dataplane/lb/vip_table.h"
#include "dataplane/net/checksum.h"
#include "tests/bench/lookup.h"
#include "tests/support/cookie_halves.h"
#include "tests/support/state_fixture.h"

namespace sluice::lb {
namespace {

void MaglevBuild(benchmark::State& state) {
  const auto m = static_cast<uint32_t>(state.range(1));
  std::vector<MaglevMember> members;
  for (int i = 0; i < state.range(0); ++i) {
    members.push_back({.id = static_cast<uint16_t>(i),
                       .weight = 100,
                       .permutation = MakePermutation({1}, {2}, "backend-" + std::to_string(i), m)});
  }
  for (auto _ : state) benchmark::DoNotOptimize(BuildMaglevTable(members, m));
}
BENCHMARK(MaglevBuild)->ArgsProduct({{100, 1000, 4000}, {65537}})->Args({1000, 655373})->Unit(benchmark::kMillisecond);

void FlowHash(benchmark::State& state) {
  const bool portable = state.range(1) != 0;
  const auto family = state.range(0) == 4 ? net::Family::kIpv4 : net::Family::kIpv6;
  const HashKeys keys(Seed{1});
  constexpr size_t kBurst = 32;
  std::vector<uint8_t> addresses(32 * kBurst, 7);
  std::vector<FlowTuple> tuples;
  for (size_t i = 0; i < kBurst; ++i) {
    addresses[32 * i] = static_cast<uint8_t>(i);
    tuples.push_back({.source = &addresses[32 * i],
                      .destination = &addresses[32 * i + 16],
                      .source_port = {},
                      .destination_port = {},
                      .protocol = 6,
                      .family = family});
  }
  std::vector<uint64_t> hashes(kBurst);
  for (auto _ : state) {
    if (portable) {
      for (size_t i = 0; i < kBurst; ++i) hashes[i] = FlowHashPortable(keys, tuples[i]);
    } else {
      FlowHashes(keys, tuples.data(), kBurst, hashes.data());
    }
    benchmark::DoNotOptimize(hashes.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
}
BENCHMARK(FlowHash)->ArgNames({"family", "portable"})->Args({4, 0})->Args({6, 0})->Args({4, 1})->Args({6, 1});

// Bursts of packets with cookies of backends of 14 bits, each from another client.
void CookieDecode(benchmark::State& state) {
  const bool portable = state.range(1) != 0;
  const auto family = state.range(0) == 4 ? net::Family::kIpv4 : net::Family::kIpv6;
  constexpr size_t kBurst = 32;
  constexpr CookieLayout kLayout = {.backend_bits = 14, .clock_bits = 7};
  CookieKeys keys;
  keys.Set(0, AesBlock{1});
  std::vector<uint8_t> addresses(32 * kBurst, 7);
  std::vector<FlowTuple> tuples;
  std::vector<uint32_t> cookies;
  for (size_t i = 0; i < kBurst; ++i) {
    addresses[32 * i] = static_cast<uint8_t>(i);
    tuples.push_back({.source = &addresses[32 * i],
                      .destination = &addresses[32 * i + 16],
                      .source_port = {},
                      .destination_port = {},
                      .protocol = 6,
                      .family = family});
    cookies.push_back(EncodeCookie(kLayout, keys, 0, tuples.back(), {.tier = 0, .backend = static_cast<uint32_t>(i)}));
  }
  std::vector<CookieFields> fields(kBurst);
  const CookieReader reader(kLayout, CookieReader::Id::kBackend, kLayout.backend_bits);
  std::array<uint64_t, kBurst> halves;
  for (auto _ : state) {
    if (portable) {
      for (size_t i = 0; i < kBurst; ++i) fields[i] = *DecodeCookiePortable(kLayout, keys, tuples[i], cookies[i]);
    } else {
      for (size_t i = 0; i < kBurst; ++i)
        halves[i] = test::ReadFirstHalf(keys.Find(0)->key(family), tuples[i], cookies[i]);
      for (size_t i = 0; i < kBurst; ++i) fields[i].backend = test::ReadSecondHalf(reader, halves[i]).value_or(0);
    }
    benchmark::DoNotOptimize(fields.data());
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kBurst));
}
BENCHMARK(CookieDecode)->ArgNames({"family", "portable"})->Args({4, 0})->Args({6, 0})->Args({4, 1})->Args({6, 1});

void CookieEncode(benchmark::State& state) {
  constexpr CookieLayout kLayout = {.backend_bits = 14, .clock_bits = 7};
  CookieKeys keys;
  keys.Set(0, AesBlock{1});
  const std::vector<uint8_t> addresses(32, 7);
  const FlowTuple tuple = {.source = addresses.data(),
                           .destination = addresses.data() + 16,
                           .source_port = {},
                           .destination_port = {},
                           .protocol = 6,
                           .family = net::Family::kIpv6};
  for (auto _ : state) benchmark::DoNotOptimize(EncodeCookie(kLayout, keys, 0, tuple, {.tier = 0, .backend = 5}));
}
BENCHMARK(CookieEncode);

void VipLookup(benchmark::State& state) {
  std::vector<VipTable::Vip> vips;
  for (int i = 0; i < state.range(0); ++i) {
    const auto address = net::IpAddress::V4(Be32::FromHost(0xcb00'0000u + static_cast<uint32_t>(i)));
    vips.push_back({.prefix = {address, 32},
                    .protocol = 6,
                    .first_port = 80,
                    .last_port = 80,
                    .id = VipId(static_cast<uint16_t>(i))});
  }
  const VipTable table(vips);
  std::mt19937 random(1);
  std::vector<Be32> addresses;
  for (int i = 0; i < 4096; ++i) {
    addresses.push_back(vips[random() % vips.size()].prefix.address.v4());
  }
  size_t i = 0;
  for (auto _ : state) benchmark::DoNotOptimize(table.LookupV4(addresses[i++ % 4096], 6, Be16::FromHost(80)));
}
BENCHMARK(VipLookup)->Arg(1)->Arg(1000)->Arg(10000);

template <typename Key>
Key KeyOf(uint32_t i) {
  Key key;
  if constexpr (std::is_same_v<Key, ConnectionKeyV4>) {
    key.client = i;
  } else {
    key.client_low = i;
  }
  key.client_port = Be16::FromHost(1);
  key.destination_port = Be16::FromHost(80);
  key.vip = VipId(1);
  return key;
}

// Lookups of established flows in random order, each prefetched as many packets ahead as a burst allows.
template <typename Table>
void LookUpConnections(benchmark::State& state) {
  constexpr auto key = KeyOf<typename Table::Key>;
  const auto flows = static_cast<uint32_t>(state.range(0));
  const auto ahead = static_cast<size_t>(state.range(1));
  test::TestMemory memory;
  Table table(memory.Source()(Table::BytesFor(flows)), flows);
  std::mt19937_64 random(2);
  std::vector<uint64_t> hashes(flows);
  for (uint32_t i = 0; i < flows; ++i) {
    hashes[i] = random();
    if (auto* entry = table.Insert(key(i), hashes[i], 0, [](const auto&) { return false; })) {
      entry->set_state(FlowState::kEstablished);
    }
  }
  LookUp(
      state, flows, ahead, Table::BytesFor(flows), [&](uint32_t i) { table.Prefetch(hashes[i]); },
      [&](uint32_t i) { return table.Find(key(i), hashes[i]); });
}

void ConnectionLookup(benchmark::State& state) { LookUpConnections<ConnectionTableV4>(state); }
BENCHMARK(ConnectionLookup)->Apply(LookUpSizes);

void ConnectionLookupV6(benchmark::State& state) { LookUpConnections<ConnectionTableV6>(state); }
BENCHMARK(ConnectionLookupV6)->ArgNames({"flows", "prefetch_ahead"})->Args({1000000, 0})->Args({1000000, 16});

// A table for 1 M connections that is filled beyond that: it has two places for each, all of which are in use at 200
// per cent, as nearly as they can be.
class FilledTable {
 public:
  explicit FilledTable(int64_t percent) : table_(memory_.Source()(kBytes), kConnections) {
    hashes_.reserve(3 * kConnections);
    keys_.reserve(3 * kConnections);
    const auto wanted = static_cast<size_t>(kConnections * percent / 100);
    // What is still to be placed then finds no place in nearly all tries.
    for (size_t tries = 0; hashes_.size() < wanted && tries < wanted + kConnections / 4; ++tries) Begin();
  }

  static constexpr size_t kConnections = 1'000'000;
  static constexpr size_t kBytes = ConnectionTableV4::BytesFor(kConnections);

  size_t count() const { return hashes_.size(); }
  ConnectionEntry<ConnectionKeyV4>* Find(uint32_t i) {
    return table_.Find(KeyOf<ConnectionKeyV4>(keys_[i]), hashes_[i]);
  }
  void Prefetch(uint32_t i) { table_.Prefetch(hashes_[i]); }

  // Null: there is no place for it.
  ConnectionEntry<ConnectionKeyV4>* Begin() {
    const uint64_t hash = random_();
    auto* const entry = table_.Insert(KeyOf<ConnectionKeyV4>(++next_), hash, 0, [](const auto&) { return false; });
    if (entry == nullptr) return nullptr;
    entry->set_state(FlowState::kEstablished);
    hashes_.push_back(hash);
    keys_.push_back(next_);
    return entry;
  }

 private:
  test::TestMemory memory_;
  ConnectionTableV4 table_;
  std::mt19937_64 random_{3};
  uint32_t next_ = 0;
  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> keys_;
};

// Known connections in a table filled so far, in random order, prefetched.
void ConnectionLookupFilled(benchmark::State& state) {
  FilledTable table(state.range(0));
  LookUp(
      state, static_cast<uint32_t>(table.count()), 16, FilledTable::kBytes, [&](uint32_t i) { table.Prefetch(i); },
      [&](uint32_t i) { return table.Find(i); });
}
BENCHMARK(ConnectionLookupFilled)->ArgName("percent")->Arg(50)->Arg(100)->Arg(150)->Arg(190)->Arg(200);

// Further ones that begin, a tenth of what the table is for; some of them, or all, find no place where it is nearly
// full.
void ConnectionBegins(benchmark::State& state) {
  FilledTable table(state.range(0));
  size_t placed = 0;
  for (auto _ : state) placed += table.Begin() != nullptr ? 1 : 0;
  state.counters["placed_per_cent"] = 100.0 * static_cast<double>(placed) / static_cast<double>(state.iterations());
}
BENCHMARK(ConnectionBegins)->ArgName("percent")->Arg(50)->Arg(100)->Arg(150)->Arg(190)->Arg(200)->Iterations(100'000);

// A packet in two fragments that pass in order, among `packets` others whose rest does not come.
void FragmentFollow(benchmark::State& state) {
  const auto packets = static_cast<size_t>(state.range(0));
  constexpr std::array<uint8_t, 4> kClient = {198, 51, 100, 7};
  constexpr std::array<uint8_t, 4> kVip = {203, 0, 113, 10};
  FragmentId id = {.family = net::Family::kIpv4, .protocol = 17, .source = kClient.data(), .destination = kVip.data()};
  FragmentTable table(packets + 1, 0, 1);
  const FlowPorts ports = {.protocol = 17, .source = {}, .destination = {}};
  for (id.id = 0; id.id < packets; ++id.id) table.First(id, FragmentHash(1, id), {0, 1480, true}, ports, 0);
  for (auto _ : state) {
    ++id.id;
    const uint64_t hash = FragmentHash(1, id);
    benchmark::DoNotOptimize(table.First(id, hash, {0, 1480, true}, ports, 0));
    benchmark::DoNotOptimize(table.Later(id, hash, {1480, 520, false}, nullptr, 0));
  }
  state.SetItemsProcessed(2 * state.iterations());
}
BENCHMARK(FragmentFollow)->Arg(0)->Arg(1000)->Arg(100000);

void OwnerOfAClient(benchmark::State& state) {
  constexpr std::array<uint8_t, 16> kClient = {198, 51, 100, 7};
  const net::Family family = state.range(0) == 4 ? net::Family::kIpv4 : net::Family::kIpv6;
  uint16_t port = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(OwnerOfClient(1, family, kClient.data(), Be16::FromHost(++port), 4));
  }
}
BENCHMARK(OwnerOfAClient)->Arg(4)->Arg(6);

void Checksum(benchmark::State& state) {
  const std::vector<uint8_t> data(static_cast<size_t>(state.range(0)), 0x5a);
  for (auto _ : state) benchmark::DoNotOptimize(net::InternetChecksum(data.data(), data.size()));
}
BENCHMARK(Checksum)->Arg(20)->Arg(1500);

}  // namespace
}  // namespace sluice::lb
