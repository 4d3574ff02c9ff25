#include "dataplane/lb/flow_hash.h"

#include <cstring>
#include <string_view>

#include "dataplane/lb/aes_round.h"
#include "dataplane/lb/flow_hash_aes.h"
#include "dataplane/lb/siphash.h"

namespace sluice::lb {
namespace {

// 16 key bytes: two SipHash values of the labels "<name> 0" and "<name> 1" (`first` counts up from there).
std::array<uint8_t, 16> DeriveKey(const Seed& seed, std::string_view name, int first) {
  std::array<uint8_t, 16> key{};
  for (int half = 0; half < 2; ++half) {
    const uint64_t value = SipHash24(seed, std::string(name) + " " + std::to_string(first + half));
    std::memcpy(key.data() + 8 * half, &value, sizeof(value));
  }
  return key;
}

// Both ports as they lie in the packet, the source's first.
inline uint32_t PortsOf(const FlowTuple& t) {
  return uint32_t{t.source_port.raw()} | uint32_t{t.destination_port.raw()} << 16;
}

// The blocks that the hash absorbs; count is 1 (IPv4) or 3 (IPv6).
struct Blocks {
  std::array<AesBlock, 3> block;
  int count;
};

inline void FillBlocks(const FlowTuple& t, Blocks& b) {
  if (t.family == net::Family::kIpv4) {
    std::memcpy(b.block[0].data(), t.source, 4);
    std::memcpy(b.block[0].data() + 4, t.destination, 4);
    const uint64_t tail = PortsOf(t) | uint64_t{t.protocol} << 32;
    std::memcpy(b.block[0].data() + 8, &tail, sizeof(tail));
    b.count = 1;
    return;
  }
  std::memcpy(b.block[0].data(), t.source, 16);
  std::memcpy(b.block[1].data(), t.destination, 16);
  const std::array<uint64_t, 2> tail = {PortsOf(t) | uint64_t{t.protocol} << 32, 0};
  std::memcpy(b.block[2].data(), tail.data(), sizeof(tail));
  b.count = 3;
}

__attribute__((target("aes,sse4.1"))) void FlowHashesAesNi(const HashKeys& hash_keys, const FlowTuple* tuples,
                                                           size_t count, uint64_t* hashes) {
  const AesFlowKeys keys = LoadFlowKeys(hash_keys);
  for (size_t i = 0; i < count; ++i) {
    const FlowTuple& t = tuples[i];
    const int ports = static_cast<int>(PortsOf(t));
    if (t.family == net::Family::kIpv4) {
      int source = 0;
      int destination = 0;
      std::memcpy(&source, t.source, sizeof(source));
      std::memcpy(&destination, t.destination, sizeof(destination));
      hashes[i] = FlowHashV4(_mm_set_epi32(t.protocol, ports, destination, source), keys);
    } else {
      hashes[i] =
          FlowHashV6(LoadBlock(t.source), LoadBlock(t.destination), _mm_set_epi32(0, 0, t.protocol, ports), keys);
    }
  }
}

}  // namespace

HashKeys::HashKeys(const Seed& cluster_seed)
    : seed(cluster_seed),
      flow{DeriveKey(cluster_seed, "sluice flow", 0), DeriveKey(cluster_seed, "sluice flow", 2)},
      maglev_offset(DeriveKey(cluster_seed, "sluice maglev offset", 0)),
      maglev_skip(DeriveKey(cluster_seed, "sluice maglev skip", 0)),
      owner(SipHash24(cluster_seed, "sluice owner")) {}

uint64_t FlowHashPortable(const HashKeys& keys, const FlowTuple& tuple) {
  Blocks blocks;
  FillBlocks(tuple, blocks);
  AesBlock s = Xor(blocks.block[0], keys.flow[0]);
  const auto two_rounds = [&keys](const AesBlock& in) {
    return AesRoundPortable(AesRoundPortable(in, keys.flow[1]), keys.flow[0]);
  };
  for (int b = 1; b < blocks.count; ++b) s = Xor(two_rounds(s), blocks.block[static_cast<size_t>(b)]);
  s = two_rounds(two_rounds(s));
  uint64_t hash = 0;
  std::memcpy(&hash, s.data(), sizeof(hash));
  return hash;
}

void FlowHashes(const HashKeys& keys, const FlowTuple* tuples, size_t count, uint64_t* hashes) {
  if (CpuHasAes()) {
    FlowHashesAesNi(keys, tuples, count, hashes);
    return;
  }
  for (size_t i = 0; i < count; ++i) hashes[i] = FlowHashPortable(keys, tuples[i]);
}

}  // namespace sluice::lb
