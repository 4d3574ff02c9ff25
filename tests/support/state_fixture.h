#ifndef SLUICE_TESTS_SUPPORT_STATE_FIXTURE_H_
#define SLUICE_TESTS_SUPPORT_STATE_FIXTURE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/ladder.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/fwd/worker_counters.h"

namespace sluice::test {

net::IpAddress Address(const std::string& text);

// The flow hash of a client's TCP connection, for tests to which it matters only that clients have different ones.
uint64_t HashOfClient(const lb::HashKeys& keys, uint32_t client);

// Zeroed, cache-line aligned memory for connection tables, freed with the object.
class TestMemory {
 public:
  ~TestMemory();
  fwd::TableMemory Source();

 private:
  std::vector<void*> blocks_;
};

// A desired state written in a few lines, and the state made of it. Pool ids, backend ids and VIP ids count from 0.
class StateFixture {
 public:
  StateFixture();

  PoolId AddPool(uint32_t table_size = 1009);
  BackendId AddBackend(PoolId pool, const std::string& address, uint32_t weight = 1);
  VipId AddVip(const std::string& address, uint8_t protocol, uint16_t port, PoolId pool,
               fwd::ForwardingMode mode = fwd::ForwardingMode::kL2);
  // The VIP's specification, to be changed before Build.
  fwd::VipSpec& Vip(VipId id) { return spec_.vips[id.index()]; }

  // No new flows from the next Build on, as a drain would. What is drained or down stays known with its weight.
  void Drain(BackendId id);
  void Undrain(BackendId id, PoolId pool, uint32_t weight = 1);
  void Remove(BackendId id);
  // Its checks failed.
  void Down(BackendId id, fwd::OnDown on_down);
  // The id is given to another backend: its generation moves on.
  void Reuse(BackendId id, PoolId pool, const std::string& address);

  fwd::StateSpec& spec() { return spec_; }
  // What every address resolves to; change it before Build. MAC addresses of backends end with the address's last byte.
  fwd::NextHop& hop() { return hop_; }
  // What odd addresses resolve to, as long as there is one.
  std::optional<fwd::NextHop>& odd_hop() { return odd_hop_; }
  // Backends with odd addresses are behind another port from now on.
  void SpreadOver(PortId odd_port) {
    odd_hop_ = hop_;
    odd_hop_->port = odd_port;
  }

  // How packets to clients leave: by the first port and the router 02:00:00:00:00:99, unless changed before Build; what
  // is for 192.0.2.2 and 2001:db8::2 is the host's.
  void SetClientRoutes(std::shared_ptr<const fwd::ClientRoutes> routes) { client_routes_ = std::move(routes); }

  // The next generation, with next hops.
  std::shared_ptr<const fwd::ForwardingState> Build();

 private:
  fwd::BackendSpec& Spec(BackendId id);

  fwd::StateSpec spec_;
  fwd::NextHop hop_;
  std::optional<fwd::NextHop> odd_hop_;
  std::shared_ptr<const fwd::ClientRoutes> client_routes_;
  uint16_t next_backend_ = 0;
  uint64_t generation_ = 0;
  std::shared_ptr<const fwd::ForwardingState> built_;
};

}  // namespace sluice::test

#endif  // SLUICE_TESTS_SUPPORT_STATE_FIXTURE_H_
