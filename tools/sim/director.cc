#include "tools/sim/director.h"

#include <algorithm>
#include <cstring>

#include "dataplane/net/headers.h"

namespace sluice::sim {
namespace {

constexpr size_t kMaxVips = 16;
constexpr size_t kCacheLine = 64;

}  // namespace

fwd::VipSpec MakeVip(VipId id, PoolId pool) {
  fwd::VipSpec vip;
  vip.id = id;
  vip.prefix = *net::IpPrefix::Parse("203.0.113.10");
  vip.first_port = vip.last_port = 80;
  vip.entry.pool = pool;
  vip.entry.protocol = net::kProtocolTcp;
  return vip;
}

Director::Worker::Worker(size_t connections)
    : counters(kMaxVips, kMaxBackends),
      tables({.v4 = connections, .v6 = 16, .wide = 16, .stateful = connections}, [this](size_t bytes) {
        void* block = std::aligned_alloc(kCacheLine, (bytes + kCacheLine - 1) / kCacheLine * kCacheLine);
        std::memset(block, 0, bytes);
        memory.emplace_back(block);
        return block;
      }) {}

Director::Director(size_t workers, size_t connections_per_worker, SelectFunction select) : select_(select) {
  for (size_t i = 0; i < workers; ++i) workers_.push_back(std::make_unique<Worker>(connections_per_worker));
}

SimTuple::SimTuple(const SimFlow& flow)
    : client(Be32::FromHost(flow.client).raw()),
      tuple{.source = reinterpret_cast<const uint8_t*>(&client),
            .destination = reinterpret_cast<const uint8_t*>(&client),
            .source_port = Be16::FromHost(flow.port),
            .destination_port = Be16::FromHost(80),
            .protocol = 6,
            .family = net::Family::kIpv4} {}

fwd::Selection Director::Send(const SimFlow& flow, VipId vip, uint8_t tcp_flags, uint32_t now_s) {
  const SimTuple sim(flow);
  const lb::FlowTuple& tuple = sim.tuple;
  Worker& worker = *workers_[(flow.client ^ flow.port) % workers_.size()];
  const fwd::FlowView view = {.client = tuple.source,
                              .destination = tuple.destination,
                              .family = net::Family::kIpv4,
                              .protocol = 6,
                              .tcp_flags = tcp_flags,
                              .has_timestamps = flow.timestamps,
                              .has_echo = flow.echo.has_value(),
                              .client_port = tuple.source_port,
                              .destination_port = tuple.destination_port,
                              .vip = vip,
                              .echo = flow.echo.value_or(0),
                              .hash = HashOf(flow)};
  return select_(*state_, view, now_s, worker.tables, worker.counters);
}

uint64_t Director::HashOf(const SimFlow& flow) const {
  const SimTuple sim(flow);
  uint64_t hash = 0;
  lb::FlowHashes(*state_->keys, &sim.tuple, 1, &hash);
  return hash;
}

void Director::Sweep(uint32_t now_s) {
  for (const auto& worker : workers_) {
    while (!worker->tables.Sweep(1024, now_s, *state_, worker->counters)) {
    }
  }
}

uint64_t Director::SweptGeneration() const {
  uint64_t oldest = UINT64_MAX;
  for (const auto& worker : workers_) oldest = std::min(oldest, worker->counters.swept_generation.Value());
  return oldest;
}

uint64_t Director::Alive(BackendId id) const {
  uint64_t alive = 0;
  for (const auto& worker : workers_) {
    const fwd::BackendCounters& c = worker->counters.backends[id.index()];
    alive += c.flows_started.Value() - c.flows_ended.Value();
  }
  return alive;
}

uint64_t Director::Inserted() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) {
    sum += worker->counters.table_v4.inserted.Value() + worker->counters.table_stateful.inserted.Value();
  }
  return sum;
}

uint64_t Director::InsertFull() const {
  uint64_t sum = 0;
  for (const auto& worker : workers_) {
    for (const fwd::TableCounters* table : {&worker->counters.table_v4, &worker->counters.table_stateful}) {
      sum += table->insert_full.Value() + table->unconfirmed_full.Value();
    }
  }
  return sum;
}

}  // namespace sluice::sim
