#include "tests/support/state_fixture.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "dataplane/base/check.h"
#include "dataplane/fwd/resolve.h"

namespace sluice::test {

uint64_t HashOfClient(const lb::HashKeys& keys, uint32_t client) {
  const uint32_t raw = Be32::FromHost(client).raw();
  const lb::FlowTuple tuple = {.source = reinterpret_cast<const uint8_t*>(&raw),
                               .destination = reinterpret_cast<const uint8_t*>(&raw),
                               .source_port = {},
                               .destination_port = {},
                               .protocol = 6,
                               .family = net::Family::kIpv4};
  return lb::FlowHashPortable(keys, tuple);
}

net::IpAddress Address(const std::string& text) {
  const auto address = net::IpAddress::Parse(text);
  SLUICE_CHECK(address.has_value());
  return *address;
}

TestMemory::~TestMemory() {
  for (void* block : blocks_) std::free(block);
}

fwd::TableMemory TestMemory::Source() {
  return [this](size_t bytes) {
    void* block = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    std::memset(block, 0, bytes);
    blocks_.push_back(block);
    return block;
  };
}

StateFixture::StateFixture() {
  for (size_t i = 0; i < spec_.seed.size(); ++i) spec_.seed[i] = static_cast<uint8_t>(i);
  hop_.port = PortId(0);
  hop_.on_link = true;
  hop_.resolved = true;
  hop_.source = *net::MacAddress::Parse("02:00:00:00:00:01");
  hop_.source_v4 = Address("192.0.2.2");
  hop_.source_v6 = Address("2001:db8::2");
  std::vector<fwd::ClientHop> hops(2);
  hops[0].port = PortId(0);
  hops[0].resolved = true;
  std::memcpy(hops[0].ether.source, hop_.source.data(), 6);
  const auto router = *net::MacAddress::Parse("02:00:00:00:00:99");
  std::memcpy(hops[0].ether.destination, router.data(), 6);
  hops[1].local = true;
  std::vector<lb::PrefixValue> routes = {{*net::IpPrefix::Parse("0.0.0.0/0"), 0},
                                         {*net::IpPrefix::Parse("::/0"), 0},
                                         {*net::IpPrefix::Parse("192.0.2.2"), 1},
                                         {*net::IpPrefix::Parse("2001:db8::2"), 1}};
  client_routes_ = std::make_shared<const fwd::ClientRoutes>(
      std::make_shared<const fwd::RouteSet>(std::move(routes), std::vector<fwd::RouteSet::Group>{{0}, {1}}),
      std::move(hops), std::make_shared<const fwd::NeighbourTable>(std::vector<fwd::NeighbourTable::Neighbour>()));
}

PoolId StateFixture::AddPool(uint32_t table_size) {
  const PoolId id(static_cast<uint16_t>(spec_.pools.size()));
  spec_.pools.push_back({.id = id, .table_size = table_size, .members = {}});
  return id;
}

BackendId StateFixture::AddBackend(PoolId pool, const std::string& address, uint32_t weight) {
  const BackendId id(next_backend_++);
  spec_.backends.push_back(
      {.id = id,
       .info = {.address = Address(address), .generation = 0, .state = fwd::BackendState::kActive, .pool = pool}});
  Undrain(id, pool, weight);
  return id;
}

VipId StateFixture::AddVip(const std::string& address, uint8_t protocol, uint16_t port, PoolId pool,
                           fwd::ForwardingMode mode) {
  const VipId id(static_cast<uint16_t>(spec_.vips.size()));
  fwd::VipSpec vip;
  vip.id = id;
  vip.prefix = *net::IpPrefix::Parse(address);
  vip.first_port = vip.last_port = port;
  vip.entry.pool = pool;
  vip.entry.protocol = protocol;
  vip.entry.mode = mode;
  spec_.vips.push_back(vip);
  return id;
}

fwd::BackendSpec& StateFixture::Spec(BackendId id) {
  return *std::find_if(spec_.backends.begin(), spec_.backends.end(), [id](const auto& b) { return b.id == id; });
}

void StateFixture::Drain(BackendId id) {
  Spec(id).info.state = fwd::BackendState::kDraining;
  for (fwd::PoolSpec& pool : spec_.pools) {
    std::erase_if(pool.members, [id](const auto& m) { return m.backend == id; });
  }
}

void StateFixture::Undrain(BackendId id, PoolId pool, uint32_t weight) {
  Spec(id).info.state = fwd::BackendState::kActive;
  fwd::PoolSpec& spec = spec_.pools[pool.index()];
  spec.members.push_back({.backend = id, .name = "backend-" + std::to_string(id.value()), .weight = weight});
  std::erase_if(spec.known, [id](const auto& m) { return m.backend == id; });
  spec.known.push_back(spec.members.back());
}

void StateFixture::Remove(BackendId id) {
  Drain(id);
  for (fwd::PoolSpec& pool : spec_.pools) {
    std::erase_if(pool.known, [id](const auto& m) { return m.backend == id; });
  }
  std::erase_if(spec_.backends, [id](const auto& b) { return b.id == id; });
}

void StateFixture::Down(BackendId id, fwd::OnDown on_down) {
  Drain(id);
  Spec(id).info.state = fwd::BackendState::kDown;
  Spec(id).info.on_down = on_down;
}

void StateFixture::Reuse(BackendId id, PoolId pool, const std::string& address) {
  const uint16_t generation = built_ != nullptr ? (*built_->backend_infos)[id.index()].generation : uint16_t{0};
  std::erase_if(spec_.backends, [id](const auto& b) { return b.id == id; });
  spec_.backends.push_back({.id = id,
                            .info = {.address = Address(address),
                                     .generation = static_cast<uint16_t>(generation + 1),
                                     .state = fwd::BackendState::kActive,
                                     .pool = pool}});
  Undrain(id, pool);
}

std::shared_ptr<const fwd::ForwardingState> StateFixture::Build() {
  auto state = fwd::BuildState(spec_, ++generation_, built_.get());
  SLUICE_CHECK(state.ok());
  built_ = *state;
  const auto lookup = [this](const net::IpAddress& address) {
    const uint8_t last = address.data()[address.size() - 1];
    fwd::NextHop hop = odd_hop_ && last % 2 == 1 ? *odd_hop_ : hop_;
    const std::array<uint8_t, 6> mac = {2, 0, 0, 0, 1, last};
    hop.destination = net::MacAddress(mac.data());
    // To some of those that are not resolved there is no route at all.
    if (!hop.resolved && last % 4 == 3) hop.port = PortId();
    return hop;
  };
  return fwd::ResolveNextHops(*built_, lookup, client_routes_);
}

}  // namespace sluice::test
