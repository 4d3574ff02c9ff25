#include "dataplane/fwd/client_routes.h"

#include <atomic>
#include <bit>
#include <utility>

#include "dataplane/base/check.h"

namespace sluice::fwd {
namespace {

uint64_t Mix(PortId port, const net::IpAddress& address) {
  uint64_t high = 0;
  uint64_t low = 0;
  std::memcpy(&high, address.data(), sizeof(high));
  std::memcpy(&low, address.data() + sizeof(high), sizeof(low));
  uint64_t key = (high ^ port.value()) * 0xff51'afd7'ed55'8ccd ^ low;
  key *= 0x9e37'79b9'7f4a'7c15;
  return key ^ key >> 32;
}

uint32_t NextNumber() {
  static std::atomic<uint32_t> last = 0;
  return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

}  // namespace

RouteSet::RouteSet(const std::vector<lb::PrefixValue>& prefixes, const std::vector<Group>& groups)
    : prefixes_(prefixes) {
  for (const Group& group : groups) {
    groups_.push_back({.begin = static_cast<uint32_t>(members_.size()), .count = static_cast<uint32_t>(group.size())});
    members_.insert(members_.end(), group.begin(), group.end());
  }
}

NeighbourTable::NeighbourTable(const std::vector<Neighbour>& neighbours)
    : slots_(std::bit_ceil(2 * neighbours.size() + 1)) {
  for (const Neighbour& neighbour : neighbours) {
    SLUICE_CHECK(neighbour.hop.resolved && neighbour.hop.port.valid());
    Neighbour& slot = slots_[SlotOf(neighbour.hop.port, neighbour.address)];
    if (!slot.hop.resolved) ++size_;
    slot = neighbour;
  }
}

size_t NeighbourTable::SlotOf(PortId port, const net::IpAddress& address) const {
  const size_t mask = slots_.size() - 1;
  size_t i = static_cast<size_t>(Mix(port, address)) & mask;
  while (slots_[i].hop.resolved && !(slots_[i].hop.port == port && slots_[i].address == address)) i = (i + 1) & mask;
  return i;
}

const ClientHop* NeighbourTable::Find(PortId port, net::Family family, const uint8_t* address) const {
  const Neighbour& slot = slots_[SlotOf(port, net::IpAddress::FromBytes(family, address))];
  return slot.hop.resolved ? &slot.hop : nullptr;
}

ClientRoutes::ClientRoutes()
    : ClientRoutes(std::make_shared<const RouteSet>(), {},
                   std::make_shared<const NeighbourTable>(std::vector<NeighbourTable::Neighbour>())) {}

ClientRoutes::ClientRoutes(std::shared_ptr<const RouteSet> routes, std::vector<ClientHop> hops,
                           std::shared_ptr<const NeighbourTable> neighbours)
    : routes_(std::move(routes)), hops_(std::move(hops)), neighbours_(std::move(neighbours)), number_(NextNumber()) {}

const ClientHop* ClientRoutes::LookupV4(Be32 destination, uint64_t flow_hash) const {
  const uint32_t raw = destination.raw();
  return Resolve(routes_->LookupV4(destination, flow_hash), net::Family::kIpv4, reinterpret_cast<const uint8_t*>(&raw));
}

const ClientHop* ClientRoutes::LookupV6(const uint8_t* destination, uint64_t flow_hash) const {
  return Resolve(routes_->LookupV6(destination, flow_hash), net::Family::kIpv6, destination);
}

const ClientHop* ClientRoutes::Resolve(uint16_t hop, net::Family family, const uint8_t* destination) const {
  if (hop == RouteSet::kNone) return nullptr;
  const ClientHop* found = &hops_[hop];
  if (!found->on_link) return found;
  const ClientHop* station = neighbours_->Find(found->port, family, destination);
  return station != nullptr ? station : found;
}

}  // namespace sluice::fwd
