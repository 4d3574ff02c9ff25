#ifndef SLUICE_DATAPLANE_LB_RETURN_TABLE_H_
#define SLUICE_DATAPLANE_LB_RETURN_TABLE_H_

#include <array>
#include <bit>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/vip_map.h"
#include "dataplane/net/address.h"

namespace sluice::lb {

// What a packet of a backend is an answer for, when one VIP alone can have asked: the source that the client expects.
struct ReturnService {
  VipId vip;
  net::Family family = net::Family::kIpv4;
  std::array<uint8_t, 16> address{};  // the VIP's, network byte order; 4 or 16 bytes
  Be16 port;                          // the VIP's; 0: that of the backend's packet stays
  friend bool operator==(const ReturnService&, const ReturnService&) = default;
};

struct ReturnMatch {
  enum class Kind : uint8_t {
    kNone,       // no VIP sends packets to this address and port: it is no answer
    kUnique,     // one VIP
    kAmbiguous,  // several VIPs, or a VIP of several addresses: only the flow's own state knows
  };
  Kind kind = Kind::kNone;
  // kUnique: the one. kAmbiguous: `count` of them, all that can be meant, or none where they are too many or one of
  // them has several addresses. They live as long as the table.
  const ReturnService* services = nullptr;
  uint8_t count = 0;
};

// Destination NAT the other way: from the address, protocol and port that a backend's packet comes from to the VIP that
// the client talks to, without any state of the flow, where that is unambiguous. Immutable once built.
//
// Addresses that are members of the same pools with the same ports form a group, and a group has the ports of its VIPs
// once, so the size grows with backends plus VIPs and not with their product. A lookup costs one probe of a hash table
// and, for a backend's address, a binary search among the ports of its group.
class ReturnTable {
 public:
  // A VIP with destination NAT.
  struct Vip {
    VipId id;
    PoolId pool;
    net::IpPrefix prefix;  // host bits are ignored; of full length: one address
    uint8_t protocol = 0;
    uint16_t first_port = 0;  // host byte order, inclusive; 0 to 65535: all ports
    uint16_t last_port = 0;
    friend bool operator==(const Vip&, const Vip&) = default;
  };
  // A backend in a pool of such VIPs, whether it gets new flows or not.
  struct Backend {
    net::IpAddress address;
    PoolId pool;
    uint16_t port = 0;  // where it expects the packets, host byte order; 0: the VIP's port
    friend auto operator<=>(const Backend&, const Backend&) = default;
  };

  // Intervals of ports that all groups together may have. The answer for groups beyond it is kAmbiguous, so their flows
  // need state; reached only where many addresses each have a large set of pools of their own.
  static constexpr size_t kMaxIntervals = size_t{1} << 20;

  ReturnTable() = default;
  ReturnTable(std::vector<Vip> vips, std::vector<Backend> backends, size_t max_intervals = kMaxIntervals);

  // By the source of a packet, network byte order (LookupV6: 16 bytes). Any thread.
  ReturnMatch LookupV4(Be32 source, uint8_t protocol, Be16 port) const {
    return FindPort(v4_.Find({source.raw()}), protocol, port.Host());
  }
  ReturnMatch LookupV6(const uint8_t* source, uint8_t protocol, Be16 port) const;
  // True when the address is a backend's of the table.
  bool HasSourceV4(Be32 source) const { return v4_.Find({source.raw()}) != kNoGroup; }
  bool HasSourceV6(const uint8_t* source) const;
  // True when no packet can be an answer: there is no VIP with destination NAT that has backends.
  bool empty() const { return groups_.empty(); }

  // What it was built from, to see whether the next state can share it.
  const std::vector<Vip>& vips() const { return vips_; }
  // By place in vips(): whether the state of each flow to the VIP must be kept, because some backend's answer to it is
  // ambiguous.
  const std::vector<bool>& needs_state() const { return needs_state_; }
  const std::vector<Backend>& backends() const { return backends_; }  // sorted

 private:
  static constexpr uint32_t kNoGroup = UINT32_MAX;
  // More candidates than these are not listed.
  static constexpr size_t kMaxCandidates = 8;

  // Address to group, by linear probing at a load of at most one half. Addresses come from the configuration, not from
  // clients, so an unkeyed mix is enough.
  template <typename Address>
  class AddressMap {
   public:
    explicit AddressMap(size_t addresses = 0) : slots_(std::bit_ceil(2 * addresses + 1)) {}
    void Insert(const Address& address, uint32_t group) { slots_[Slot(address)] = {address, group}; }
    uint32_t Find(const Address& address) const { return slots_[Slot(address)].group; }

   private:
    struct Entry {
      Address address;
      uint32_t group = kNoGroup;
    };
    size_t Slot(const Address& address) const {
      const size_t mask = slots_.size() - 1;
      uint64_t key = address.Mix() * 0x9e37'79b9'7f4a'7c15;
      key ^= key >> 32;
      size_t i = static_cast<size_t>(key * 0xd6e8'feb8'6659'fd93 >> 32) & mask;
      while (slots_[i].group != kNoGroup && !(slots_[i].address == address)) i = (i + 1) & mask;
      return i;
    }
    std::vector<Entry> slots_;  // a power of two, at least one of them free
  };
  // Ports with one answer; those of one group and protocol are disjoint and ascending.
  struct Interval {
    uint16_t first;
    uint16_t last;
    uint32_t answer;
  };
  struct Answer {
    ReturnMatch::Kind kind;
    uint8_t count;
    uint32_t begin;  // in services_
  };
  struct Span {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  struct Group {
    Span tcp;
    Span udp;
  };
  class Builder;

  ReturnMatch FindPort(uint32_t group, uint8_t protocol, uint16_t port) const;

  std::vector<Vip> vips_;
  std::vector<Backend> backends_;
  std::vector<bool> needs_state_;
  std::vector<ReturnService> services_;
  std::vector<Answer> answers_;
  std::vector<Interval> intervals_;
  std::vector<Group> groups_;
  AddressMap<VipAddressV4> v4_;
  AddressMap<VipAddressV6> v6_;
};

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_RETURN_TABLE_H_
