#include "dataplane/lb/connection_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <unordered_map>
#include <vector>

#include "dataplane/lb/find_known.h"

namespace sluice::lb {
namespace {

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};

template <typename Table>
struct Holder {
  explicit Holder(size_t connections)
      : memory(std::aligned_alloc(64, Table::BytesFor(connections))),
        table((Clear(connections), memory.get()), connections) {}
  void Clear(size_t connections) { std::memset(memory.get(), 0, Table::BytesFor(connections)); }
  std::unique_ptr<void, FreeDeleter> memory;
  Table table;
};

ConnectionKeyV4 Key(uint32_t i) {
  return {.client = i,
          .client_port = Be16::FromHost(static_cast<uint16_t>(i)),
          .destination_port = Be16::FromHost(80),
          .vip = VipId(1)};
}

// A stand-in for the keyed flow hash.
uint64_t Hash(uint64_t i) {
  i = (i ^ i >> 30) * 0xbf58476d1ce4e5b9;
  i = (i ^ i >> 27) * 0x94d049bb133111eb;
  return i ^ i >> 31;
}

constexpr auto kNone = [](const auto&) { return false; };

TEST(ConnectionTableTest, MemoryPerConnection) {
  EXPECT_LE(ConnectionTableV4::BytesFor(10'000'000), 32u * 10'000'000);
  EXPECT_LE(ConnectionTableV6::BytesFor(1'000'000), 64u * 1'000'000);
  EXPECT_EQ(ConnectionTableV4::kWays, 4u);
  EXPECT_EQ(ConnectionTableV6::kWays, 2u);
}

TEST(ConnectionTableTest, InsertFindEnd) {
  Holder<ConnectionTableV4> holder(100);
  EXPECT_EQ(holder.table.Find(Key(1), Hash(1)), nullptr);
  auto* entry = holder.table.Insert(Key(1), Hash(1), 7, kNone);
  ASSERT_NE(entry, nullptr);
  entry->value.backend = BackendId(9);
  entry->set_state(FlowState::kNew);
  EXPECT_EQ(holder.table.Find(Key(1), Hash(1)), entry);
  EXPECT_EQ(entry->IdleSeconds(17), 10);
  holder.table.Sweep(0, holder.table.bucket_count(), [](const auto& e) { return e.value.backend == BackendId(9); });
  EXPECT_EQ(holder.table.Find(Key(1), Hash(1)), nullptr);
}

// FindWanted finds nothing but entries of exactly the key and state, in the first bucket. FindRoom gives what Insert
// takes for a key that is not there, or nothing, and Fill leaves there what Insert and its caller do. NeedsSecond says
// where that does not do. `tuple_of` reads the key.
template <typename Table, typename TupleOf>
__attribute__((target("avx2,bmi"))) void ExpectFindWanted(TupleOf tuple_of) {
  ASSERT_TRUE(__builtin_cpu_supports("avx2")) << "this CPU has no AVX2, so the search with it cannot be tested";
  Holder<Table> holder(40);  // few buckets, so that they fill up and overflow
  std::mt19937 random(3);
  using Key = typename Table::Key;
  const auto key_of = [](uint32_t i) {
    Key key;
    if constexpr (sizeof(Key) == 10) {
      key.client = i & 1;
    } else {
      key.client_high = i & 1;
      key.client_low = uint64_t{i & 2} << 62;
    }
    key.client_port = Be16::FromHost(static_cast<uint16_t>(i >> 2 & 1));
    key.destination_port = Be16::FromHost(static_cast<uint16_t>(i >> 3 & 1));
    key.vip = VipId(static_cast<uint16_t>(i >> 4 & 3));
    return key;
  };
  int found = 0;
  int rooms = 0;
  for (int step = 0; step < 20000; ++step) {
    const Key key = key_of(static_cast<uint32_t>(random()));
    const uint64_t hash = Hash(key.Mix());
    const auto state = static_cast<FlowState>(1 + random() % 6);
    auto* const entry = holder.table.Find(key, hash);
    auto& entries = holder.table.FirstEntries(hash);
    const auto is_in_first = [&](const auto* at) {
      return at >= entries.data() && at < entries.data() + entries.size();
    };
    const bool in_first = is_in_first(entry);
    const bool known = entry != nullptr && in_first && entry->state() == state;
    const auto wanted = EntryOf(tuple_of(key), EndOf(key.vip, state));
    ASSERT_EQ(FindWanted(entries, wanted), known ? entry : nullptr);
    found += known ? 1 : 0;
    auto* const room = FindRoom(entries, wanted);
    const bool needs_second = NeedsSecond(entries);
    ASSERT_TRUE(needs_second || entry == nullptr || in_first);
    if (entry == nullptr) {
      ASSERT_FALSE(needs_second && room != nullptr);
      const ConnectionValue value = {.backend = BackendId(static_cast<uint16_t>(random())),
                                     .last_seen_s = static_cast<uint16_t>(random()),
                                     .generation = static_cast<uint8_t>(random()),
                                     .state_bits = static_cast<uint8_t>(state)};
      auto filled = entries;
      if (room != nullptr) {
        auto& fill = filled[static_cast<size_t>(room - entries.data())];
        ConnectionValue rest = value;
        rest.backend = BackendId(0);
        rest.generation = 0;
        Fill(fill, EntryOf(tuple_of(key), EndOf(key.vip, rest)), value.backend, value.generation);
      }
      auto* const made = holder.table.Insert(key, hash, 0, kNone);
      if (room != nullptr) {
        ASSERT_EQ(made, room);
      }
      rooms += room != nullptr ? 1 : 0;
      ASSERT_TRUE(needs_second || is_in_first(made));
      if (made == nullptr) continue;
      made->value.backend = value.backend;
      made->value.generation = value.generation;
      made->value.last_seen_s = value.last_seen_s;
      made->set_state(state);
      if (room != nullptr) {
        ASSERT_EQ(std::memcmp(&filled, &entries, sizeof(entries)), 0);
      }
    } else {
      ASSERT_EQ(room, nullptr);
      if (random() % 4 != 0) continue;
      holder.table.Sweep(0, holder.table.bucket_count(), [&](const auto& e) { return e.key == key; });
    }
  }
  EXPECT_GT(found, 100);
  EXPECT_GT(rooms, 100);
}

TEST(ConnectionTableTest, KnownOnesOfIpv4AreFoundAtOnce) {
  ExpectFindWanted<ConnectionTableV4>([](const ConnectionKeyV4& key) {
    // Of the upper half nothing is promised.
    TupleV4 tuple = {.client_and_ports = _mm_set1_epi8(-1)};
    std::memcpy(&tuple.client_and_ports, &key, sizeof(uint64_t));
    return tuple;
  });
}

TEST(ConnectionTableTest, KnownOnesOfIpv6AreFoundAtOnce) {
  ExpectFindWanted<ConnectionTableV6>([](const ConnectionKeyV6& key) {
    TupleV6 tuple = {.client = _mm_loadu_si128(reinterpret_cast<const __m128i*>(&key)), .ports = 0};
    std::memcpy(&tuple.ports, &key.client_port, sizeof(tuple.ports));
    return tuple;
  });
}

TEST(ConnectionTableTest, ComparesTheWholeKey) {
  Holder<ConnectionTableV4> holder(100);
  holder.table.Insert(Key(1), Hash(1), 0, kNone)->set_state(FlowState::kNew);
  ConnectionKeyV4 other = Key(1);
  other.client ^= 1u << 31;
  EXPECT_EQ(holder.table.Find(other, Hash(1)), nullptr);
  other = Key(1);
  other.client_port = Be16::FromHost(2);
  EXPECT_EQ(holder.table.Find(other, Hash(1)), nullptr);
  other = Key(1);
  other.destination_port = Be16::FromHost(81);
  EXPECT_EQ(holder.table.Find(other, Hash(1)), nullptr);
  other = Key(1);
  other.vip = VipId(2);
  EXPECT_EQ(holder.table.Find(other, Hash(1)), nullptr);
}

TEST(ConnectionTableTest, Ipv6KeysDifferInEveryPart) {
  Holder<ConnectionTableV6> holder(100);
  const ConnectionKeyV6 key{
      .client_high = 1, .client_low = 2, .client_port = {}, .destination_port = {}, .vip = VipId(3)};
  holder.table.Insert(key, 5, 0, kNone)->set_state(FlowState::kUdp);
  EXPECT_NE(holder.table.Find(key, 5), nullptr);
  ConnectionKeyV6 other = key;
  other.client_high = 9;
  EXPECT_EQ(holder.table.Find(other, 5), nullptr);
  other = key;
  other.client_low = 9;
  EXPECT_EQ(holder.table.Find(other, 5), nullptr);
}

TEST(ConnectionTableTest, TakesItsCapacityAndMostSlots) {
  constexpr size_t kCapacity = 10000;
  Holder<ConnectionTableV4> holder(kCapacity);
  size_t inserted = 0;
  for (uint32_t i = 0; i < 2 * kCapacity; ++i) {
    auto* entry = holder.table.Insert(Key(i), Hash(i), 0, kNone);
    if (entry != nullptr) {
      entry->set_state(FlowState::kEstablished);
      ++inserted;
    } else {
      EXPECT_GT(i, kCapacity * 5 / 4) << "a failure at a fill close to the promised one";
    }
  }
  EXPECT_GT(inserted, 2 * kCapacity * 9 / 10);
}

TEST(ConnectionTableTest, AFullTableEvictsNoneOfTheLiving) {
  Holder<ConnectionTableV4> holder(16);
  std::vector<uint32_t> kept;
  for (uint32_t i = 0; i < 1000; ++i) {
    if (auto* entry = holder.table.Insert(Key(i), Hash(i), 0, kNone)) {
      entry->set_state(FlowState::kEstablished);
      kept.push_back(i);
    }
  }
  EXPECT_EQ(kept.size(), 32u);
  for (const uint32_t i : kept) EXPECT_NE(holder.table.Find(Key(i), Hash(i)), nullptr);
}

TEST(ConnectionTableTest, ReusesSlotsOfTheEnded) {
  Holder<ConnectionTableV4> holder(2);
  ASSERT_EQ(holder.table.bucket_count(), 1u);
  for (uint32_t i = 0; i < 4; ++i) {
    holder.table.Insert(Key(i), Hash(i), 0, kNone)->set_state(FlowState::kEstablished);
  }
  EXPECT_EQ(holder.table.Insert(Key(9), Hash(9), 4, kNone), nullptr);
  auto* entry = holder.table.Insert(Key(9), Hash(9), 5, [](const auto& e) { return e.key.client == 2; });
  ASSERT_NE(entry, nullptr);
  entry->set_state(FlowState::kNew);
  EXPECT_EQ(holder.table.Find(Key(2), Hash(2)), nullptr);
  EXPECT_NE(holder.table.Find(Key(9), Hash(9)), nullptr);
  EXPECT_NE(holder.table.Find(Key(3), Hash(3)), nullptr);
}

// Random insertions and endings against a plain map: every living connection is found with its own backend, overflow
// counts included, because a lost count would hide an entry in a second bucket.
template <typename Table, typename MakeKey>
void ChurnAgainstAMap(const MakeKey& make_key) {
  Holder<Table> holder(600);
  std::unordered_map<uint32_t, uint16_t> reference;
  std::mt19937 random(7);
  for (int step = 0; step < 60000; ++step) {
    const auto i = static_cast<uint32_t>(random() % 1200);
    const auto key = make_key(i);
    auto* found = holder.table.Find(key, Hash(i));
    const auto known = reference.find(i);
    ASSERT_EQ(found != nullptr, known != reference.end()) << step;
    if (found != nullptr) {
      ASSERT_EQ(found->value.backend.value(), known->second);
    } else if (auto* entry = holder.table.Insert(key, Hash(i), 0, kNone)) {
      entry->value.backend = BackendId(static_cast<uint16_t>(step % 60000));
      entry->set_state(FlowState::kEstablished);
      reference[i] = entry->value.backend.value();
    }
    if (step % 50 == 0) {
      const uint32_t victims = random() % 4;
      holder.table.Sweep(0, holder.table.bucket_count(), [&](const auto& e) {
        if (Hash(e.value.backend.value() + static_cast<uint64_t>(step)) % 4 != victims) return false;
        for (auto it = reference.begin(); it != reference.end(); ++it) {
          if (make_key(it->first) == e.key) {
            reference.erase(it);
            break;
          }
        }
        return true;
      });
    }
  }
}

TEST(ConnectionTableTest, ChurnV4) { ChurnAgainstAMap<ConnectionTableV4>(Key); }

TEST(ConnectionTableTest, ChurnV6) {
  ChurnAgainstAMap<ConnectionTableV6>([](uint32_t i) {
    return ConnectionKeyV6{
        .client_high = 0x20010db8, .client_low = i, .client_port = {}, .destination_port = {}, .vip = VipId(1)};
  });
}

TEST(ConnectionTableTest, ChurnWide) {
  ChurnAgainstAMap<ConnectionTableWide>([](uint32_t i) {
    return ConnectionKeyWide{.client_high = 1,
                             .client_low = i % 7,
                             .destination_high = i / 7,
                             .destination_low = 0,
                             .client_port = {},
                             .destination_port = {},
                             .vip = VipId(1)};
  });
}

TEST(ConnectionTableTest, TimeStampsWrapAround) {
  Holder<ConnectionTableV4> holder(2);
  auto* entry = holder.table.Insert(Key(1), Hash(1), 65530, kNone);
  EXPECT_EQ(entry->IdleSeconds(65540), 10);
}

}  // namespace
}  // namespace sluice::lb
