#ifndef SLUICE_DATAPLANE_STAGE_NAT_CARRY_H_
#define SLUICE_DATAPLANE_STAGE_NAT_CARRY_H_

#include "dataplane/lb/nat_session.h"
#include "dataplane/lb/nat_stamps.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/stage/packet.h"
#include "dataplane/stage/stage_env.h"

namespace sluice::stage {

// One way through the translation: where the packet goes and what its two ends become.
struct Leg {
  net::EtherHeader ether;  // the type is set by family
  PortId port;
  net::Family family = net::Family::kIpv4;  // of the packet as it leaves
  net::NatChange ends;
  lb::NatSession* session = nullptr;  // null: none
  // Where the backend's timestamps carry a cookie to the client; null: they stay as they are.
  lb::NatStamps* stamps = nullptr;
  // Without stamps: the client's echo has a cookie, and what the backend sent is not known.
  bool hides_echo = false;
  bool to_backend = true;
  bool clamp_mss = false;
  // Of an ICMP error about the flow: its own ends, and those of what it quotes.
  const uint8_t* error_source = nullptr;
  const uint8_t* error_destination = nullptr;
  net::NatChange quoted;
};

// Carries a packet through the translation as a router would: what has no hop left or does not fit the next link is
// answered; otherwise it gets its new ends, one hop less, and the headers of the way out.
void Carry(Packet& packet, const Leg& leg, StageEnv& env);

}  // namespace sluice::stage

#endif  // SLUICE_DATAPLANE_STAGE_NAT_CARRY_H_
