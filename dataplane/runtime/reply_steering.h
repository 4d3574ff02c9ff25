#ifndef SLUICE_DATAPLANE_RUNTIME_REPLY_STEERING_H_
#define SLUICE_DATAPLANE_RUNTIME_REPLY_STEERING_H_

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "dataplane/base/ids.h"
#include "dataplane/lb/nat_ports.h"

namespace sluice::runtime {

// How a device spreads what it receives over its queues (receive side scaling): a Toeplitz hash of the packet's tuple
// chooses a place of the table, which names the queue.
struct RssSetup {
  std::vector<uint8_t> key;      // 40 bytes or more
  std::vector<uint16_t> queues;  // the redirection table; its size is a power of two
  friend bool operator==(const RssSetup&, const RssSetup&) = default;
};

// What a started device says of itself. Nothing when it has one queue, spreads by something other than the ports of TCP
// and UDP of both families, or does not tell. Main thread.
std::optional<RssSetup> ReadRss(uint16_t device, uint32_t rx_queues);

// Which replies the devices bring to one worker. The hash is linear in the tuple's bits, so what the destination port
// adds is kept ready, and a port costs a few XORs to try.
class RssSteering final : public lb::ReplySteering {
 public:
  RssSteering(const RssSetup& setup, WorkerId worker);

  uint32_t HashWithoutPort(const lb::NatTuple& reply) const override;
  bool ArrivesHere(net::Family family, uint32_t hash_without_port, Be16 destination_port) const override;

 private:
  using PortBits = std::array<uint32_t, 16>;  // what each bit of the port adds, the lowest first

  static PortBits BitsAt(const std::vector<uint8_t>& key, size_t word_count);

  const std::vector<uint8_t> key_;
  const std::vector<uint16_t> queues_;
  const WorkerId worker_;
  const PortBits v4_;
  const PortBits v6_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_REPLY_STEERING_H_
