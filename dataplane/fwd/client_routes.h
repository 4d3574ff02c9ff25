#ifndef SLUICE_DATAPLANE_FWD_CLIENT_ROUTES_H_
#define SLUICE_DATAPLANE_FWD_CLIENT_ROUTES_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/prefix_table.h"
#include "dataplane/net/address.h"
#include "dataplane/net/headers.h"

// Where packets that leave for clients go: replies of backends behind NAT. Three immutable parts, so that what changes
// often is small and what is large changes seldom:
//   routes      prefix -> group of next hops. Built anew when routes change, and shared otherwise.
//   hops        the next hops that routes name, with their MAC addresses: as many as there are gateways.
//   neighbours  MAC addresses of stations on link, by port and address.
namespace sluice::fwd {

// How a frame leaves.
struct ClientHop {
  net::EtherHeader ether{};  // destination and source; the type is left to the packet's family
  PortId port;
  bool resolved = false;  // ether.destination is known
  bool on_link = false;   // the packet's destination itself is the station
  bool local = false;     // the destination is an address of this host: nothing leaves, and `port` is invalid
  friend bool operator==(const ClientHop& a, const ClientHop& b) {
    return std::memcmp(&a.ether, &b.ether, sizeof(a.ether)) == 0 && a.port == b.port && a.resolved == b.resolved &&
           a.on_link == b.on_link && a.local == b.local;
  }
};

// The routes: which hops each prefix has, as indices into the hops of ClientRoutes.
class RouteSet {
 public:
  // Flows are spread over these; one that occurs twice gets twice its share. Empty: packets do not leave by a port of
  // ours (but by another interface of the host, or not at all).
  using Group = std::vector<uint16_t>;

  RouteSet() : RouteSet({}, {}) {}
  // The value of a prefix is the place of its group.
  RouteSet(const std::vector<lb::PrefixValue>& prefixes, const std::vector<Group>& groups);

  // The hop for a destination; kNone: no route.
  static constexpr uint16_t kNone = UINT16_MAX;
  uint16_t LookupV4(Be32 destination, uint64_t flow_hash) const {
    return Pick(prefixes_.LookupV4(destination), flow_hash);
  }
  uint16_t LookupV6(const uint8_t* destination, uint64_t flow_hash) const {
    return Pick(prefixes_.LookupV6(destination), flow_hash);
  }

 private:
  struct Members {
    uint32_t begin;
    uint32_t count;
  };
  uint16_t Pick(uint32_t group, uint64_t flow_hash) const {
    if (group == lb::PrefixTable::kNone || groups_[group].count == 0) return kNone;
    // The hash's middle: its ends choose slots of tables.
    const uint64_t share = (flow_hash >> 16 & 0xffff'ffff) * groups_[group].count >> 32;
    return members_[groups_[group].begin + share];
  }

  const lb::PrefixTable prefixes_;
  std::vector<Members> groups_;  // by the table's values
  std::vector<uint16_t> members_;
};

// Stations on link, by port and address: a hash table with linear probing.
class NeighbourTable {
 public:
  struct Neighbour {
    net::IpAddress address;
    ClientHop hop;  // resolved
  };

  explicit NeighbourTable(const std::vector<Neighbour>& neighbours);

  // Null when the station is not known. `address`: 4 or 16 bytes, network byte order.
  const ClientHop* Find(PortId port, net::Family family, const uint8_t* address) const;
  size_t size() const { return size_; }

  // The place of what Find returned, and the station there.
  uint32_t PlaceOf(const ClientHop& station) const {
    const auto at = reinterpret_cast<const uint8_t*>(&station) - reinterpret_cast<const uint8_t*>(&slots_[0].hop);
    return static_cast<uint32_t>(static_cast<size_t>(at) / sizeof(Neighbour));
  }
  const ClientHop* At(uint32_t place) const { return &slots_[place].hop; }

 private:
  size_t SlotOf(PortId port, const net::IpAddress& address) const;

  std::vector<Neighbour> slots_;  // a power of two; free ones are not resolved
  size_t size_ = 0;
};

class ClientRoutes {
 public:
  // Without any route.
  ClientRoutes();
  ClientRoutes(std::shared_ptr<const RouteSet> routes, std::vector<ClientHop> hops,
               std::shared_ptr<const NeighbourTable> neighbours);

  // How a packet to `destination` (network byte order; LookupV6: 16 bytes) leaves; all packets of a `flow_hash` take
  // the same way. Null: no route by any port. Not resolved: nobody knows the MAC address yet; if it is on_link, the
  // control plane is to be told of it by UnresolvedClients, because nobody else would ask. Workers.
  const ClientHop* LookupV4(Be32 destination, uint64_t flow_hash) const;
  const ClientHop* LookupV6(const uint8_t* destination, uint64_t flow_hash) const;

  // Names what a look-up returned, which was not null: Named of the name is that.
  uint32_t NameOf(const ClientHop& hop) const {
    const auto index = static_cast<size_t>(&hop - hops_.data());
    const bool is_station = &hop < hops_.data() || index >= hops_.size();
    return is_station ? kStation | neighbours_->PlaceOf(hop) : static_cast<uint32_t>(index);
  }
  const ClientHop* Named(uint32_t name) const {
    return (name & kStation) != 0 ? neighbours_->At(name & ~kStation) : hops_.data() + name;
  }
  // Another one for each object that was ever made. Not 0.
  uint32_t number() const { return number_; }

  const std::shared_ptr<const RouteSet>& routes() const { return routes_; }
  const std::vector<ClientHop>& hops() const { return hops_; }
  const std::shared_ptr<const NeighbourTable>& neighbours() const { return neighbours_; }

 private:
  static constexpr uint32_t kStation = uint32_t{1} << 31;

  const ClientHop* Resolve(uint16_t hop, net::Family family, const uint8_t* destination) const;

  std::shared_ptr<const RouteSet> routes_;
  std::vector<ClientHop> hops_;
  std::shared_ptr<const NeighbourTable> neighbours_;
  uint32_t number_;
};

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_CLIENT_ROUTES_H_
