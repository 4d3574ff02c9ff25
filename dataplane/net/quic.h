#ifndef SLUICE_DATAPLANE_NET_QUIC_H_
#define SLUICE_DATAPLANE_NET_QUIC_H_

#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/byte_order.h"

namespace sluice::net {

// What every version of QUIC has in common at the start of a UDP payload (RFC 8999). Offsets are in bytes from the
// payload's first byte. Whether the packet is QUIC at all is not known: any payload can be read this way.
struct QuicHeader {
  bool is_long = false;
  uint8_t destination_id_length = 0;  // long header: 0 to 255 (versions 1 and 2: to 20)
  uint8_t source_id_length = 0;       // long header only
  uint16_t destination_id_offset = 0;
  uint16_t source_id_offset = 0;  // long header only
  Be32 version;                   // long header only; 0 is version negotiation
};

// Nothing when the header is cut. A short header does not say how long its connection id is: it is taken to have
// `short_id_length` bytes. Never reads beyond `size`. Pure, any thread.
std::optional<QuicHeader> ParseQuicHeader(const uint8_t* payload, size_t size, uint8_t short_id_length);

// Whether the destination id is one that the server gave out, in a packet of a client: with a short header, and in
// Handshake packets of versions 1 (RFC 9000) and 2 (RFC 9369). The first ones of a connection, Initial and 0-RTT, begin
// with an id that the client made up, and of other versions nobody can tell. `first_octet`: of the payload.
bool CarriesServersId(const QuicHeader& header, uint8_t first_octet);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_QUIC_H_
