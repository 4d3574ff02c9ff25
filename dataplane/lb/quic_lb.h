#ifndef SLUICE_DATAPLANE_LB_QUIC_LB_H_
#define SLUICE_DATAPLANE_LB_QUIC_LB_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "dataplane/lb/aes128.h"

// Connection ids that name the server which gave them out: draft-ietf-quic-load-balancers, sections 3 to 5. Servers
// make them for all packets that clients send after the first ones, so such packets find their server by themselves,
// also when the client's address has changed.
//
//   octet 0   bits 7 to 5: number of the configuration, 0 to 6; 7: an id of no configuration, routed by the tuple
//             bits 4 to 0: the length of what follows, where servers say it, else of any kind
//   then      server id and nonce: plain, or encrypted with AES-128:
//             of 16 octets together: one block of AES (single pass)
//             else: four rounds of a Feistel network over their halves (four passes)
namespace sluice::lb {

inline constexpr size_t kQuicLbMaxIdLength = 20;  // of a connection id of QUIC versions 1 and 2
inline constexpr size_t kQuicLbMaxServerIdLength = 15;
inline constexpr size_t kQuicLbMinNonceLength = 4;
inline constexpr size_t kQuicLbMaxBodyLength = kQuicLbMaxIdLength - 1;
// Configurations that are told apart; code point 7 is none.
inline constexpr uint8_t kQuicLbConfigs = 7;

// Opaque octets; those beyond `length` are zero.
struct QuicServerId {
  std::array<uint8_t, kQuicLbMaxServerIdLength> bytes{};
  uint8_t length = 0;
  friend bool operator==(const QuicServerId&, const QuicServerId&) = default;
  // For Abseil's hash tables.
  template <typename H>
  friend H AbslHashValue(H hash, const QuicServerId& id) {
    return H::combine(std::move(hash), id.bytes, id.length);
  }
};

struct QuicLbConfig {
  uint8_t server_id_length = 0;  // 1 to 15
  uint8_t nonce_length = 0;      // at least 4, both together at most 19
  std::optional<Aes128Key> key;  // none: plain

  constexpr size_t body_length() const { return size_t{server_id_length} + nonce_length; }
  constexpr size_t id_length() const { return body_length() + 1; }
};

// What is wrong with the lengths, for a message; empty when nothing is.
std::string DescribeQuicLbError(const QuicLbConfig& config);

// The configurations that are live, by number. Directors learn a new one before servers use it, and keep the old one
// until its connections have ended.
class QuicLbConfigs {
 public:
  // SLUICE_CHECKs that the number is below kQuicLbConfigs and that the configuration has no error.
  void Set(uint8_t number, const QuicLbConfig& config);
  void Remove(uint8_t number);
  // The configuration that the first octet of an id names; null when there is none.
  const QuicLbConfig* Of(uint8_t first_octet) const {
    const uint8_t number = first_octet >> 5;
    return number < kQuicLbConfigs && configs_[number] ? &*configs_[number] : nullptr;
  }
  bool empty() const;

 private:
  std::array<std::optional<QuicLbConfig>, kQuicLbConfigs> configs_;
};

// The server that a connection id names: a claim until it is looked up. `id`: `size` bytes from the id's first octet
// on; of a short header, whose id does not say its length, all that follows the header's first byte. Nothing when no
// configuration goes with it or it is shorter than its configuration says. Neither allocates nor reads beyond `size`.
std::optional<QuicServerId> DecodeQuicServerId(const QuicLbConfigs& configs, const uint8_t* id, size_t size);

// The id of a server, as servers make it; `nonce`: nonce_length bytes, never used twice with one configuration.
// `low_bits`: the lower five of the first octet. Returns config.id_length() bytes at the beginning of the array.
std::array<uint8_t, kQuicLbMaxIdLength> EncodeQuicConnectionId(const QuicLbConfig& config, uint8_t number,
                                                               uint8_t low_bits, const QuicServerId& server,
                                                               const uint8_t* nonce);

}  // namespace sluice::lb

#endif  // SLUICE_DATAPLANE_LB_QUIC_LB_H_
