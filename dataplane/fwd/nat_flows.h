#ifndef SLUICE_DATAPLANE_FWD_NAT_FLOWS_H_
#define SLUICE_DATAPLANE_FWD_NAT_FLOWS_H_

#include <cstddef>
#include <cstdint>

#include "dataplane/base/ids.h"
#include "dataplane/fwd/forwarding_state.h"
#include "dataplane/fwd/table_memory.h"
#include "dataplane/fwd/worker_counters.h"
#include "dataplane/lb/nat_ports.h"
#include "dataplane/lb/nat_table.h"

namespace sluice::fwd {

// What a worker's address translation works with; fixed at start.
struct NatSetup {
  lb::LocalEnds ends;
  WorkerId worker{0};
  size_t worker_count = 1;
  const lb::ReplySteering* steering = nullptr;  // outlives the tables; null: replies may come to any worker
};

// The NAT sessions of one worker, with what is counted about them. The worker alone may use them.
class NatFlows {
 public:
  NatFlows(size_t sessions, const NatSetup& setup, const TableMemory& memory);

  const NatSetup& setup() const { return setup_; }
  lb::NatTable& table() { return table_; }
  const lb::NatTable& table() const { return table_; }
  lb::NatStamps& StampsOf(const lb::NatSession& session) { return table_.stamps(table_.NumberOf(session)); }
  // A number for all that a state says of whose a packet is and how it leaves, its backends aside: it changes when that
  // does. Not 0. To be asked of the states that the worker uses, in their order.
  uint32_t NumberFor(const ForwardingState& state) {
    if (state.vips_number != vips_number_ || state.client_routes->number() != routes_number_) [[unlikely]] {
      vips_number_ = state.vips_number;
      routes_number_ = state.client_routes->number();
      if (++number_ == 0) ++number_;
    }
    return number_;
  }
  // Sessions of flows whose source stays the client's.
  size_t destination_sessions() const { return destination_sessions_; }

  // True when VIP and backend of the session are still those it was made for. Ends nothing.
  static bool IsCurrent(const lb::NatSession& session, const ForwardingState& state);
  // True when the time of a session is over, or its VIP or backend is gone.
  static bool IsOver(const lb::NatSession& session, const ForwardingState& state, uint32_t now_s);

  // The session of a backend's packet, or null. One whose backend is gone is ended.
  lb::NatSession* FindReply(const ForwardingState& state, const lb::NatTuple& tuple, uint64_t hash,
                            WorkerCounters& counters);

  struct Opening {
    lb::NatTuple from_client;
    uint64_t client_hash = 0;
    VipId vip;
    BackendId backend;
    Be16 backend_port;
  };
  struct Opened {
    lb::NatSession* session = nullptr;  // null: none, for `reason`
    DropReason reason = DropReason::kCount;
  };
  // Makes the session of a new flow with full NAT, at a local end of this worker's part; its tracking is to be begun.
  Opened OpenFull(const ForwardingState& state, const Opening& opening, uint32_t now_s, WorkerCounters& counters);
  // The end that it looks at first, for a flow to a backend of the family: 4 or 16 bytes of an address, null where
  // there is none, and the port.
  struct LocalEnd {
    const uint8_t* address = nullptr;
    Be16 port;
  };
  LocalEnd FirstEnd(net::Family family, uint64_t client_hash) const {
    const lb::LocalAddresses& local = setup_.ends.of(family);
    if (local.count == 0 || ports_.count == 0) return {};
    const lb::LocalEndStart start = lb::StartOf(local, ports_, client_hash);
    return {.address = local.addresses[start.address].data(),
            .port = Be16::FromHost(static_cast<uint16_t>(ports_.first + start.port))};
  }
  // The same for a flow whose source stays as it is.
  Opened OpenDestination(const ForwardingState& state, const Opening& opening, uint32_t now_s,
                         WorkerCounters& counters);
  void End(lb::NatSession& session, WorkerCounters& counters);

  // Looks at sessions [first, first + count) and ends those that are over.
  void Sweep(size_t first, size_t count, uint32_t now_s, const ForwardingState& state, WorkerCounters& counters);

 private:
  // Whether the tuple can be had; a session of it that is over is ended.
  lb::EndOffer OfferOf(const ForwardingState& state, const lb::NatTuple& from_backend, uint64_t hash, uint32_t now_s,
                       WorkerCounters& counters);
  Opened Insert(const ForwardingState& state, const Opening& opening, const lb::NatTuple& from_backend, uint64_t hash,
                WorkerCounters& counters);

  NatSetup setup_;
  lb::LocalPortPart ports_;
  lb::NatTable table_;
  size_t destination_sessions_ = 0;
  uint32_t number_ = 0;
  uint32_t vips_number_ = 0;
  uint32_t routes_number_ = 0;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_NAT_FLOWS_H_
