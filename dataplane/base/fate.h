#ifndef SLUICE_DATAPLANE_BASE_FATE_H_
#define SLUICE_DATAPLANE_BASE_FATE_H_

#include <cstddef>
#include <cstdint>

namespace sluice {

// What became of a packet. Every packet that enters (received from a port, from the host's kernel, or originated here)
// ends in exactly one of these; until then it is held:
//   received + from_host + originated = forwarded + answered + punted + sent_for_host + dropped + held
enum class Fate : uint8_t {
  kPending,      // still in the pipeline
  kForwarded,    // to a backend
  kAnswered,     // an answer made here left instead
  kPunted,       // to the host's kernel
  kSentForHost,  // came from the host's kernel and left by a port
  kDropped,      // with a DropReason
  kHandedOver,   // to the worker that owns it: held until that one decides
  kBuffered,     // a fragment that waits for the first one of its packet: held
};

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_FATE_H_
