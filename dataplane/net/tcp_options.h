#ifndef SLUICE_DATAPLANE_NET_TCP_OPTIONS_H_
#define SLUICE_DATAPLANE_NET_TCP_OPTIONS_H_

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "dataplane/base/byte_order.h"
#include "dataplane/net/bytes.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/option_walk.h"

// TCP's options (RFC 9293, section 3.1): found, changed in place and taken out, with the checksum kept right by the
// difference. In all of this file `tcp` is the first byte of a TCP header and `size` the bytes that may be read and
// written from there; the header's own length is checked against it. Offsets are in bytes from `tcp`. Pure, any thread.
namespace sluice::net {

inline constexpr uint8_t kTcpOptionMss = 2;
inline constexpr uint8_t kTcpOptionWindowScale = 3;    // RFC 7323
inline constexpr uint8_t kTcpOptionSackPermitted = 4;  // RFC 2018
inline constexpr uint8_t kTcpOptionSack = 5;           // RFC 2018
inline constexpr uint8_t kTcpOptionTimestamps = 8;     // RFC 7323
inline constexpr uint8_t kTcpOptionFastOpen = 34;      // RFC 7413
inline constexpr uint8_t kTcpOptionExperiment = 254;   // RFC 6994: a 16-bit number follows that says whose

// 20 to 60 when `size` holds the whole header, otherwise 0.
uint8_t TcpHeaderLength(const uint8_t* tcp, size_t size);

using TcpOption = HeaderOption;

// The options of a TCP header; one that does not fit into `size` has none and is malformed.
class TcpOptionWalk : public OptionWalk {
 public:
  TcpOptionWalk(const uint8_t* tcp, size_t size);
};

// Lowers the MSS of a SYN or SYN-ACK to `max_bytes` where it is larger. True when something was changed. A segment
// without SYN, without the option, or with one of another length than 4 stays as it is.
bool ClampMss(uint8_t* tcp, size_t size, uint16_t max_bytes);

// The timestamps option (RFC 7323, section 3). Its fields may lie at any offset, odd ones too.
struct TcpTimestamps {
  uint8_t value_offset = 0;  // of TSval
  uint8_t echo_offset = 0;   // of TSecr
  Be32 value;                // TSval
  Be32 echo;                 // TSecr; has a meaning with ACK only
};

// What Linux, the BSDs and Windows send on every segment after the handshake (RFC 7323, appendix A): the option behind
// two NOPs, where the options begin. `tcp` holds a whole header, whatever its length.
inline constexpr uint8_t kAlignedTimestampsOffset = 20 + 2;
inline constexpr uint8_t kAlignedEchoOffset = kAlignedTimestampsOffset + 2 + 4;
inline constexpr uint8_t kAtLeastEightWords = 0x80;  // in the byte of the length: set from so many on, which these need
inline constexpr std::array<uint8_t, 4> kAlignedTimestampsStart = {1, 1, kTcpOptionTimestamps, 10};
inline bool AreAlignedTimestamps(const uint8_t* options) {
  return Load<uint32_t>(options) == std::bit_cast<uint32_t>(kAlignedTimestampsStart);
}
inline bool HasAlignedTimestamps(const uint8_t* tcp) {
  return (tcp[offsetof(TcpHeader, data_offset)] & kAtLeastEightWords) != 0 &&
         AreAlignedTimestamps(tcp + sizeof(TcpHeader));
}

// The first timestamps option of the right length (10). The common form is found without a walk.
std::optional<TcpTimestamps> FindTimestamps(const uint8_t* tcp, size_t size);

// Replaces the four bytes at `offset` and brings the checksum along. The caller knows that they lie inside the header,
// behind its checksum: `offset` is one that a finder of this file gave.
void ReplaceTcpField(uint8_t* tcp, uint8_t offset, Be32 value);

// Adds `delta` (modulo 2^32; a negative shift is its two's complement) to both edges of every SACK block. Returns the
// number of blocks changed; options whose length fits no blocks stay as they are.
int ShiftSackBlocks(uint8_t* tcp, size_t size, uint32_t delta);

// Takes the `bytes` numbers from `begin` on out of what SACK blocks speak of: a block within them is removed, one that
// begins among them begins behind them. What a removed block leaves is NOPs. Returns the number of blocks changed.
int CutSackBlocks(uint8_t* tcp, size_t size, uint32_t begin, uint32_t bytes);

// Overwrites every option of this kind, other than end and NOP, with NOPs, which leaves the header's length alone.
// Returns the number of options taken out.
int StripTcpOption(uint8_t* tcp, size_t size, uint8_t kind);

// Takes out the fast open option, in its own form and in the experimental one (RFC 7413, appendix; RFC 6994), so that
// neither side sends data with a SYN. Returns the number of options taken out.
int StripFastOpen(uint8_t* tcp, size_t size);

}  // namespace sluice::net

#endif  // SLUICE_DATAPLANE_NET_TCP_OPTIONS_H_
