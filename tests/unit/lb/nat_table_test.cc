#include "dataplane/lb/nat_table.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <vector>

namespace sluice::lb {
namespace {

struct FreeDeleter {
  void operator()(void* p) const { std::free(p); }
};

struct Holder {
  explicit Holder(size_t sessions) : memory(Zeroed(sessions)), table(memory.get(), sessions) {}
  static void* Zeroed(size_t sessions) {
    const size_t bytes = (NatTable::BytesFor(sessions) + 63) / 64 * 64;
    void* block = std::aligned_alloc(64, bytes);
    std::memset(block, 0, bytes);
    return block;
  }
  std::unique_ptr<void, FreeDeleter> memory;
  NatTable table;
};

NatTuple Tuple(uint8_t source, uint16_t source_port, uint8_t destination, uint16_t destination_port) {
  NatTuple tuple;
  tuple.source[0] = source;
  tuple.destination[0] = destination;
  tuple.source_port = Be16::FromHost(source_port);
  tuple.destination_port = Be16::FromHost(destination_port);
  tuple.protocol = 6;
  return tuple;
}

// A stand-in for the keyed flow hash, with few values so that chains are long.
uint64_t Hash(const NatTuple& t) {
  uint64_t h = t.source[0] * 31u + t.destination[0] * 17u + t.source_port.Host() * 7u + t.destination_port.Host();
  h = (h % 23 + 1) * 0x9e37'79b9'7f4a'7c15;
  return h ^ h >> 32;
}

NatSession* InsertNew(NatTable& table, const NatTuple& client, const NatTuple& backend,
                      const std::function<void(NatSession&)>& end) {
  NatSession* session = table.Insert(client, VipId(1), Hash(client), backend, Hash(backend), end);
  if (session != nullptr) session->tracking.state = NatState::kEstablished;
  return session;
}

TEST(NatTableTest, FindsASessionFromBothSides) {
  Holder holder(16);
  const NatTuple client = Tuple(1, 1000, 2, 80);
  const NatTuple backend = Tuple(3, 8080, 4, 2000);
  NatSession* session = InsertNew(holder.table, client, backend, [](NatSession&) { FAIL(); });
  ASSERT_NE(session, nullptr);
  EXPECT_EQ(holder.table.FindByClient(client, VipId(1), Hash(client)), session);
  EXPECT_EQ(holder.table.FindByBackend(backend, Hash(backend)), session);
  EXPECT_EQ(session->FromClient(), client);
  EXPECT_EQ(session->FromBackend(), backend);
  EXPECT_EQ(&holder.table.at(holder.table.NumberOf(*session)), session);
  holder.table.Remove(*session);
  EXPECT_EQ(holder.table.FindByClient(client, VipId(1), Hash(client)), nullptr);
  EXPECT_EQ(holder.table.FindByBackend(backend, Hash(backend)), nullptr);
  EXPECT_EQ(holder.table.in_use(), 0u);
}

// Whatever differs makes another flow: each part of either tuple counts.
TEST(NatTableTest, EveryPartOfATupleCounts) {
  Holder holder(16);
  const NatTuple client = Tuple(1, 1000, 2, 80);
  const NatTuple backend = Tuple(3, 8080, 4, 2000);
  InsertNew(holder.table, client, backend, [](NatSession&) { FAIL(); });
  const auto variants = [](const NatTuple& of) {
    std::vector<NatTuple> all(6, of);
    all[0].source[15] = 1;
    all[1].destination[15] = 1;
    all[2].source_port = Be16::FromHost(1);
    all[3].destination_port = Be16::FromHost(1);
    all[4].protocol = 17;
    all[5].family = net::Family::kIpv6;
    return all;
  };
  for (const NatTuple& other : variants(client)) {
    EXPECT_EQ(holder.table.FindByClient(other, VipId(1), Hash(client)), nullptr);
  }
  for (const NatTuple& other : variants(backend)) {
    EXPECT_EQ(holder.table.FindByBackend(other, Hash(backend)), nullptr);
  }
  EXPECT_EQ(holder.table.FindByClient(client, VipId(2), Hash(client)), nullptr);
}

TEST(NatTableTest, AnUnconfirmedSessionMakesRoomAfterARingOfOthers) {
  Holder holder(40);  // ten unconfirmed
  std::vector<NatTuple> ended;
  const auto end = [&](NatSession& session) {
    ended.push_back(session.FromClient());
    holder.table.Remove(session);
  };
  for (uint16_t i = 0; i < 10; ++i) InsertNew(holder.table, Tuple(1, i, 2, 80), Tuple(3, 80, 4, i), end);
  EXPECT_TRUE(ended.empty());
  // The first is confirmed meanwhile, so the next two push out nothing and the second.
  const NatTuple first = Tuple(1, 0, 2, 80);
  holder.table.FindByClient(first, VipId(1), Hash(first))->tracking.confirmed = true;
  InsertNew(holder.table, Tuple(1, 10, 2, 80), Tuple(3, 80, 4, 10), end);
  EXPECT_TRUE(ended.empty());
  InsertNew(holder.table, Tuple(1, 11, 2, 80), Tuple(3, 80, 4, 11), end);
  EXPECT_EQ(ended, std::vector<NatTuple>{Tuple(1, 1, 2, 80)});
  EXPECT_NE(holder.table.FindByClient(first, VipId(1), Hash(first)), nullptr);
}

TEST(NatTableTest, WithoutRoomOnlyUnconfirmedSessionsGive) {
  Holder holder(8);
  size_t ended = 0;
  const auto end = [&](NatSession& session) {
    EXPECT_FALSE(session.tracking.confirmed);
    ++ended;
    holder.table.Remove(session);
  };
  for (uint16_t i = 0; i < 8; ++i) {
    NatSession* session = InsertNew(holder.table, Tuple(1, i, 2, 80), Tuple(3, 80, 4, i), end);
    ASSERT_NE(session, nullptr);
    if (i != 7) session->tracking.confirmed = true;
  }
  EXPECT_EQ(ended, 0u);
  NatSession* last = InsertNew(holder.table, Tuple(1, 8, 2, 80), Tuple(3, 80, 4, 8), end);
  ASSERT_NE(last, nullptr);
  EXPECT_EQ(ended, 1u);
  last->tracking.confirmed = true;
  EXPECT_EQ(InsertNew(holder.table, Tuple(1, 9, 2, 80), Tuple(3, 80, 4, 9), end), nullptr);
  EXPECT_EQ(ended, 1u);
}

TEST(NatTableTest, ATableWithoutSessionsIsAlwaysFull) {
  Holder holder(0);
  const NatTuple tuple = Tuple(1, 2, 3, 4);
  EXPECT_EQ(InsertNew(holder.table, tuple, tuple, [](NatSession&) { FAIL(); }), nullptr);
  EXPECT_EQ(holder.table.FindByClient(tuple, VipId(1), Hash(tuple)), nullptr);
}

TEST(NatTableTest, ANumberGivenAgainHasAnotherUse) {
  Holder holder(4);
  const auto none = [](NatSession&) { FAIL(); };
  NatSession* session = InsertNew(holder.table, Tuple(1, 1, 2, 80), Tuple(3, 80, 4, 1), none);
  const uint32_t number = holder.table.NumberOf(*session);
  const uint8_t use = session->use;
  holder.table.Remove(*session);
  session = InsertNew(holder.table, Tuple(1, 2, 2, 80), Tuple(3, 80, 4, 2), none);
  EXPECT_EQ(holder.table.NumberOf(*session), number);
  EXPECT_NE(session->use, use);
}

// Random operations beside a model of maps, which shares nothing with the table's chains.
TEST(NatTableTest, DoesWhatAModelDoes) {
  constexpr size_t kSessions = 64;
  struct Model {
    NatTuple client;
    NatTuple backend;
    bool confirmed;
    uint64_t born;
  };
  const auto key = [](const NatTuple& t) {
    return std::tuple(t.source, t.destination, t.source_port.Host(), t.destination_port.Host());
  };
  using Key = decltype(key(NatTuple()));
  for (unsigned seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(seed);
    Holder holder(kSessions);
    std::mt19937 random(seed);
    std::map<Key, Model> by_client;
    std::map<Key, Key> by_backend;
    uint64_t births = 0;
    const auto forget = [&](const NatTuple& client) {
      by_backend.erase(key(by_client.at(key(client)).backend));
      by_client.erase(key(client));
    };
    for (int step = 0; step < 3000; ++step) {
      const NatTuple client = Tuple(static_cast<uint8_t>(random() % 3), static_cast<uint16_t>(random() % 60), 9, 80);
      const auto known = by_client.find(key(client));
      NatSession* session = holder.table.FindByClient(client, VipId(1), Hash(client));
      ASSERT_EQ(session != nullptr, known != by_client.end());
      if (session != nullptr) {
        ASSERT_EQ(session->FromBackend(), known->second.backend);
        ASSERT_EQ(holder.table.FindByBackend(known->second.backend, Hash(known->second.backend)), session);
        if (random() % 4 == 0) {
          holder.table.Remove(*session);
          forget(client);
        } else if (random() % 2 == 0) {
          session->tracking.confirmed = known->second.confirmed = true;
        }
        continue;
      }
      const NatTuple backend = Tuple(7, 80, 8, static_cast<uint16_t>(random() % 300));
      const bool taken = by_backend.contains(key(backend));
      ASSERT_EQ(holder.table.FindByBackend(backend, Hash(backend)) != nullptr, taken);
      if (taken) continue;
      const bool was_full = by_client.size() == kSessions;
      session = InsertNew(holder.table, client, backend, [&](NatSession& old) {
        const Model& model = by_client.at(key(old.FromClient()));
        EXPECT_FALSE(model.confirmed);
        // What goes has seen a ring of births since its own, or there was no room at all.
        EXPECT_TRUE(was_full || births - model.born == NatTable::UnconfirmedFor(kSessions));
        forget(old.FromClient());
        holder.table.Remove(old);
      });
      ASSERT_TRUE(session != nullptr || by_client.size() == kSessions);
      if (session == nullptr) continue;
      by_client[key(client)] = {.client = client, .backend = backend, .confirmed = false, .born = births++};
      by_backend[key(backend)] = key(client);
      ASSERT_EQ(holder.table.in_use(), by_client.size());
    }
    std::set<uint32_t> numbers;
    for (const auto& [k, model] : by_client) {
      numbers.insert(holder.table.NumberOf(*holder.table.FindByClient(model.client, VipId(1), Hash(model.client))));
    }
    EXPECT_EQ(numbers.size(), by_client.size());
  }
}

}  // namespace
}  // namespace sluice::lb
