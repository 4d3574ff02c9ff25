#ifndef SLUICE_DATAPLANE_STAGE_TRAVEL_NOTE_H_
#define SLUICE_DATAPLANE_STAGE_TRAVEL_NOTE_H_

#include <rte_mbuf.h>

#include <cstdint>
#include <cstring>

#include "dataplane/base/byte_order.h"
#include "dataplane/base/ids.h"
#include "dataplane/lb/fragment_table.h"

namespace sluice::stage {

// What goes with a packet that leaves the pipeline and comes back to it, on another worker or later: kept where the
// driver left the receive hash, which no stage reads.
struct TravelNote {
  PortId in_port;
  uint8_t hops = 0;       // as in Packet
  uint8_t asked = 0;      // as in Packet
  uint8_t protocol = 0;   // of a fragment whose first one is known; else 0
  Be16 source_port = {};  // of such a fragment
  Be16 destination_port = {};
};
static_assert(sizeof(TravelNote) == sizeof(rte_mbuf::hash));

inline void WriteTravelNote(rte_mbuf* mbuf, const TravelNote& note) { std::memcpy(&mbuf->hash, &note, sizeof(note)); }

inline TravelNote ReadTravelNote(const rte_mbuf* mbuf) {
  TravelNote note;
  std::memcpy(static_cast<void*>(&note), &mbuf->hash, sizeof(note));
  return note;
}

// What the first fragment says of its connection goes with each of the others, also to another worker: kept where what
// the device is to do at transmission will be written (LeaveChecksumToDevice).
static_assert(sizeof(lb::TcpEcho) == sizeof(rte_mbuf::tx_offload));

inline void WriteFirstEcho(rte_mbuf* mbuf, const lb::TcpEcho& echo) {
  std::memcpy(&mbuf->tx_offload, &echo, sizeof(echo));
}

inline lb::TcpEcho ReadFirstEcho(const rte_mbuf* mbuf) {
  lb::TcpEcho echo;
  std::memcpy(static_cast<void*>(&echo), &mbuf->tx_offload, sizeof(echo));
  return echo;
}

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_TRAVEL_NOTE_H_
