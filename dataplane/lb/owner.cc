#include "dataplane/lb/owner.h"

#include <cstring>

namespace sluice::lb {
namespace {

// A step of wyhash: the halves of a 128-bit product mixed. Multipliers of wyhash's final version 3.
constexpr uint64_t kFirst = 0xa076'1d64'78bd'642f;
constexpr uint64_t kSecond = 0xe703'7ed1'a0b4'28db;

uint64_t Mix(uint64_t a, uint64_t b) {
  const auto product = static_cast<unsigned __int128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

template <typename T>
T Load(const uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof(value));
  return value;
}

uint64_t AddAddress(uint64_t state, net::Family family, const uint8_t* address) {
  if (family == net::Family::kIpv4) return Mix(state ^ Load<uint32_t>(address), kFirst);
  return Mix(Mix(state ^ Load<uint64_t>(address), kFirst) ^ Load<uint64_t>(address + 8), kSecond);
}

// The upper half of the hash scaled to the workers, so that no division is needed.
WorkerId Scale(uint64_t hash, size_t worker_count) {
  return WorkerId(static_cast<WorkerId::rep>((hash >> 32) * worker_count >> 32));
}

}  // namespace

WorkerId OwnerOfClient(uint64_t key, net::Family family, const uint8_t* client, Be16 client_port, size_t worker_count) {
  return Scale(Mix(AddAddress(key, family, client) ^ client_port.raw(), kSecond), worker_count);
}

uint64_t FragmentHash(uint64_t key, const FragmentId& id) {
  const uint64_t state = AddAddress(AddAddress(key, id.family, id.source), id.family, id.destination);
  return Mix(state ^ (uint64_t{id.protocol} << 32 | id.id), kSecond);
}

WorkerId OwnerOfFragments(uint64_t fragment_hash, size_t worker_count) { return Scale(fragment_hash, worker_count); }

}  // namespace sluice::lb
