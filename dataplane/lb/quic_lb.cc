#include "dataplane/lb/quic_lb.h"

#include <algorithm>
#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::lb {
namespace {

constexpr size_t kHalfMax = (kQuicLbMaxBodyLength + 1) / 2;
constexpr int kPasses = 4;

using Half = std::array<uint8_t, kHalfMax>;

// Server id and nonce as two halves, which share the middle octet when there is an odd number of octets: its upper four
// bits are the left half's, the lower four the right one's (section 5.4.2 of the draft).
class Halves {
 public:
  Halves(const uint8_t* body, size_t length) : length_(length), size_((length + 1) / 2) {
    std::memcpy(left_.data(), body, size_);
    std::memcpy(right_.data(), body + length - size_, size_);
    Trim();
  }

  // One round: the one half is encrypted and added to the other. Odd passes go from left to right.
  void Pass(const Aes128Key& key, int number) {
    const bool from_left = number % 2 == 1;
    const Half& source = from_left ? left_ : right_;
    Half& target = from_left ? right_ : left_;
    AesBlock block{};
    std::memcpy(block.data(), source.data(), size_);
    block[14] = static_cast<uint8_t>(length_);
    block[15] = static_cast<uint8_t>(number);
    const AesBlock pad = Aes128Encrypt(key, block);
    for (size_t i = 0; i < size_; ++i) target[i] ^= pad[i];
    Trim();
  }

  void Write(uint8_t* body) const {
    std::memcpy(body, left_.data(), size_);
    const uint8_t shared = body[length_ - size_];
    std::memcpy(body + length_ - size_, right_.data(), size_);
    if (odd()) body[size_ - 1] |= shared;
  }

 private:
  bool odd() const { return length_ % 2 == 1; }
  void Trim() {
    if (!odd()) return;
    left_[size_ - 1] &= 0xf0;
    right_[0] &= 0x0f;
  }

  const size_t length_;
  const size_t size_;  // octets of each half
  Half left_{};
  Half right_{};
};

AesBlock BlockOf(const uint8_t* body) {
  AesBlock block;
  std::memcpy(block.data(), body, block.size());
  return block;
}

enum class Direction { kEncrypt, kDecrypt };

// Of server id and nonce, in place; plain ids stay as they are.
void CryptBody(const QuicLbConfig& config, Direction direction, uint8_t* body) {
  if (!config.key) return;
  const bool encrypts = direction == Direction::kEncrypt;
  if (config.body_length() == sizeof(AesBlock)) {
    const AesBlock block = BlockOf(body);
    const AesBlock result = encrypts ? Aes128Encrypt(*config.key, block) : Aes128Decrypt(*config.key, block);
    std::memcpy(body, result.data(), result.size());
    return;
  }
  Halves halves(body, config.body_length());
  for (int pass = 1; pass <= kPasses; ++pass) halves.Pass(*config.key, encrypts ? pass : kPasses + 1 - pass);
  halves.Write(body);
}

}  // namespace

std::string DescribeQuicLbError(const QuicLbConfig& config) {
  const std::string lengths = "a server id of " + std::to_string(config.server_id_length) + " and a nonce of " +
                              std::to_string(config.nonce_length) + " octets: ";
  if (config.server_id_length < 1 || config.server_id_length > kQuicLbMaxServerIdLength) {
    return lengths + "the server id must have 1 to 15";
  }
  if (config.nonce_length < kQuicLbMinNonceLength) return lengths + "the nonce must have at least 4";
  if (config.body_length() > kQuicLbMaxBodyLength) {
    return lengths + "together they may have 19, since a connection id has no more than 20";
  }
  return {};
}

void QuicLbConfigs::Set(uint8_t number, const QuicLbConfig& config) {
  SLUICE_CHECK(number < kQuicLbConfigs && DescribeQuicLbError(config).empty());
  configs_[number] = config;
}

void QuicLbConfigs::Remove(uint8_t number) {
  SLUICE_CHECK(number < kQuicLbConfigs);
  configs_[number].reset();
}

bool QuicLbConfigs::empty() const {
  return std::none_of(configs_.begin(), configs_.end(), [](const auto& config) { return config.has_value(); });
}

std::optional<QuicServerId> DecodeQuicServerId(const QuicLbConfigs& configs, const uint8_t* id, size_t size) {
  if (size == 0) return std::nullopt;
  const QuicLbConfig* config = configs.Of(id[0]);
  if (config == nullptr || size < config->id_length()) return std::nullopt;
  std::array<uint8_t, kQuicLbMaxBodyLength> body{};
  std::memcpy(body.data(), id + 1, config->body_length());
  CryptBody(*config, Direction::kDecrypt, body.data());
  QuicServerId server;
  server.length = config->server_id_length;
  std::memcpy(server.bytes.data(), body.data(), server.length);
  return server;
}

std::array<uint8_t, kQuicLbMaxIdLength> EncodeQuicConnectionId(const QuicLbConfig& config, uint8_t number,
                                                               uint8_t low_bits, const QuicServerId& server,
                                                               const uint8_t* nonce) {
  SLUICE_CHECK(number < kQuicLbConfigs && DescribeQuicLbError(config).empty());
  SLUICE_CHECK(server.length == config.server_id_length);
  std::array<uint8_t, kQuicLbMaxIdLength> id{};
  id[0] = static_cast<uint8_t>(number << 5 | (low_bits & 0x1f));
  std::memcpy(&id[1], server.bytes.data(), server.length);
  std::memcpy(&id[1] + server.length, nonce, config.nonce_length);
  CryptBody(config, Direction::kEncrypt, &id[1]);
  return id;
}

}  // namespace sluice::lb
