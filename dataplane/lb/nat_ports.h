#ifndef SLUICE_DATAPLANE_LB_NAT_PORTS_H_
#define SLUICE_DATAPLANE_LB_NAT_PORTS_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/nat_session.h"

// The local ends of full NAT: which address and port of ours a flow takes on the backends' side. A local port may serve
// any number of flows as long as their backends (address, port, protocol) differ. The ports are shared out to the
// workers in contiguous parts, the same on every address, so that the port of a reply says whose it is.
namespace sluice::lb {

inline constexpr size_t kMaxLocalAddresses = 16;

struct LocalAddresses {
  std::array<NatAddress, kMaxLocalAddresses> addresses{};
  uint8_t count = 0;

  std::span<const NatAddress> list() const { return {addresses.data(), count}; }
};

// Fixed at start, the same for all workers.
struct LocalEnds {
  LocalAddresses v4;
  LocalAddresses v6;
  // Host byte order, inclusive.
  uint16_t first_port = 1024;
  uint16_t last_port = 65535;

  const LocalAddresses& of(net::Family family) const { return family == net::Family::kIpv4 ? v4 : v6; }
  // `address`: 4 or 16 bytes as in a packet.
  bool HasAddress(net::Family family, const uint8_t* address) const {
    return family == net::Family::kIpv4 ? Has<4>(v4, address) : Has<16>(v6, address);
  }
  // Adds an address; false when there are kMaxLocalAddresses of its family. At start.
  bool Add(const net::IpAddress& address);
  bool HasPort(Be16 port) const { return port.Host() >= first_port && port.Host() <= last_port; }

 private:
  template <size_t size>
  static bool Has(const LocalAddresses& locals, const uint8_t* address) {
    const auto is_it = [address](const NatAddress& local) { return std::memcmp(local.data(), address, size) == 0; };
    return std::any_of(locals.list().begin(), locals.list().end(), is_it);
  }
};

// The ports of one worker: [first, first + count).
struct LocalPortPart {
  uint32_t first = 0;
  uint32_t count = 0;
};
LocalPortPart PortsOfWorker(const LocalEnds& ends, WorkerId worker, size_t worker_count);
// The worker whose part a port within the range is in.
WorkerId WorkerOfLocalPort(const LocalEnds& ends, Be16 port, size_t worker_count);

// What the NIC does with replies: whether those to a local port would come to this worker by themselves. Implemented
// where the device is known; absent, any port is as good.
class ReplySteering {
 public:
  virtual ~ReplySteering() = default;
  // The NIC's hash of the reply but for what its destination port adds.
  virtual uint32_t HashWithoutPort(const NatTuple& reply) const = 0;
  virtual bool ArrivesHere(net::Family family, uint32_t hash_without_port, Be16 destination_port) const = 0;
};

// How many ports are tried for one flow, over all addresses that are tried. Where fewer are left than one in twenty, a
// new flow begins to find none now and then.
inline constexpr uint32_t kMaxPortProbes = 128;
// So many addresses are tried, from one that the flow's hash chooses.
inline constexpr uint32_t kMaxAddressProbes = 4;
// A port to which the NIC steers replies is looked for among so many free ones; one worker's part of the hashes is no
// smaller than that in any but the largest machines.
inline constexpr uint32_t kMaxSteeringProbes = 32;

// How readily a local end can be had: not at all, at once, or by ending the session that has it. Unconfirmed sessions
// give theirs the more readily the older they are; before those, closed ones do, whose connections are over (seconds
// since the last packet are added).
using EndOffer = uint64_t;
inline constexpr EndOffer kEndTaken = 0;
inline constexpr EndOffer kEndOfUnconfirmed = 1;
inline constexpr EndOffer kEndOfClosed = EndOffer{1} << 32;
inline constexpr EndOffer kEndFree = UINT64_MAX;

// Where the search for a new flow's local end begins: at which of the addresses, and at which of the worker's ports.
// There are some of both. `hash`: the flow's; the same flow begins with the same port.
struct LocalEndStart {
  uint32_t address;
  uint32_t port;
};
inline LocalEndStart StartOf(const LocalAddresses& local, const LocalPortPart& ports, uint64_t hash) {
  return {.address = static_cast<uint32_t>(hash >> 48) % local.count,
          .port = static_cast<uint32_t>(((hash & 0xffff'ffff) * ports.count) >> 32)};
}

// Chooses the local end of a new flow: address and port of `reply`, the tuple of the backend's packets, of which the
// source and the protocol are given. `hash`: see StartOf.
// `offer(reply)` is asked about tuples. A free port is taken if one is found, else that of the closed session or, where
// there is none, of the unconfirmed one that was seen to be the oldest: neither connections that ended nor a flood of
// spoofed packets use up the ports. Returns the end's offer;
// kEndTaken: there is none.
template <typename Offer>
EndOffer ChooseLocalEnd(const LocalAddresses& local, const LocalPortPart& ports, uint64_t hash,
                        const ReplySteering* steering, NatTuple& reply, Offer&& offer) {
  if (local.count == 0 || ports.count == 0) return kEndTaken;
  const uint32_t addresses = std::min<uint32_t>(local.count, kMaxAddressProbes);
  const uint32_t probes = std::min(ports.count, kMaxPortProbes / addresses);
  const LocalEndStart start = StartOf(local, ports, hash);
  // Few ports are tried one by one, so that all are; of many, every so many-th, because neighbours are used together.
  // An odd step passes over all values of the lower bits, on which the NIC's choice hangs.
  const uint32_t step =
      ports.count <= probes ? 1 : (static_cast<uint32_t>(hash >> 32 & 0xffff) % (ports.count - 1)) | 1u;
  EndOffer best = kEndTaken;
  NatTuple best_reply;
  uint32_t passed_over = 0;
  for (uint32_t a = 0; a < addresses && best != kEndFree; ++a) {
    reply.destination = local.addresses[(start.address + a) % local.count];
    const uint32_t base = steering != nullptr ? steering->HashWithoutPort(reply) : 0;
    uint32_t at = start.port;
    for (uint32_t p = 0; p < probes; ++p, at = (at + step) % ports.count) {
      reply.destination_port = Be16::FromHost(static_cast<uint16_t>(ports.first + at));
      const bool steered = steering == nullptr || steering->ArrivesHere(reply.family, base, reply.destination_port);
      // With a free port in hand only a better one is worth a look at the table.
      if (!steered && best == kEndFree) {
        if (++passed_over >= kMaxSteeringProbes) break;
        continue;
      }
      const EndOffer offered = offer(static_cast<const NatTuple&>(reply));
      if (offered == kEndFree && steered) return kEndFree;
      if (offered <= best) continue;
      best = offered;
      best_reply = reply;
    }
  }
  if (best != kEndTaken) reply = best_reply;
  return best;
}

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_NAT_PORTS_H_
