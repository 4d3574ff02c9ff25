#include "dataplane/runtime/reply_steering.h"

#include <rte_ethdev.h>
#include <rte_thash.h>

#include <bit>

#include "dataplane/net/bytes.h"

namespace sluice::runtime {
namespace {

// A tuple as the hash takes it: source, destination, source port and destination port, in 32-bit words of host order.
constexpr size_t kWordsV4 = 3;
constexpr size_t kWordsV6 = 9;
using Words = std::array<uint32_t, kWordsV6>;

constexpr size_t kMinKeyBytes = 40;  // for the tuple of IPv6 and the 32 bits of the hash

uint32_t Toeplitz(const std::vector<uint8_t>& key, Words& words, size_t count) {
  return rte_softrss(words.data(), static_cast<uint32_t>(count), key.data());
}

// What must be hashed with its ports for the tuple to be what the device hashes.
constexpr uint64_t kWithPorts = RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV4_UDP |
                                RTE_ETH_RSS_NONFRAG_IPV6_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP;

std::vector<uint16_t> ReadTable(uint16_t device, uint16_t size) {
  std::vector<rte_eth_rss_reta_entry64> groups((size_t{size} + RTE_ETH_RETA_GROUP_SIZE - 1) / RTE_ETH_RETA_GROUP_SIZE);
  for (rte_eth_rss_reta_entry64& group : groups) group.mask = UINT64_MAX;
  if (rte_eth_dev_rss_reta_query(device, groups.data(), size) != 0) return {};
  std::vector<uint16_t> queues(size);
  for (size_t i = 0; i < size; ++i) {
    queues[i] = groups[i / RTE_ETH_RETA_GROUP_SIZE].reta[i % RTE_ETH_RETA_GROUP_SIZE];
  }
  return queues;
}

}  // namespace

std::optional<RssSetup> ReadRss(uint16_t device, uint32_t rx_queues) {
  rte_eth_dev_info info{};
  if (rx_queues < 2 || rte_eth_dev_info_get(device, &info) != 0) return std::nullopt;
  if (info.hash_key_size < kMinKeyBytes || !std::has_single_bit(info.reta_size)) return std::nullopt;
  RssSetup setup;
  setup.key.resize(info.hash_key_size);
  rte_eth_rss_conf conf{};
  conf.rss_key = setup.key.data();
  conf.rss_key_len = info.hash_key_size;
  if (rte_eth_dev_rss_hash_conf_get(device, &conf) != 0 || (conf.rss_hf & kWithPorts) != kWithPorts) {
    return std::nullopt;
  }
  setup.queues = ReadTable(device, info.reta_size);
  if (setup.queues.empty()) return std::nullopt;
  return setup;
}

RssSteering::RssSteering(const RssSetup& setup, WorkerId worker)
    : key_(setup.key),
      queues_(setup.queues),
      worker_(worker),
      v4_(BitsAt(setup.key, kWordsV4)),
      v6_(BitsAt(setup.key, kWordsV6)) {}

RssSteering::PortBits RssSteering::BitsAt(const std::vector<uint8_t>& key, size_t word_count) {
  PortBits bits;
  for (size_t bit = 0; bit < bits.size(); ++bit) {
    Words words{};
    words[word_count - 1] = uint32_t{1} << bit;  // the lower half of the last word is the destination port
    bits[bit] = Toeplitz(key, words, word_count);
  }
  return bits;
}

uint32_t RssSteering::HashWithoutPort(const lb::NatTuple& reply) const {
  const size_t address_words = reply.family == net::Family::kIpv4 ? 1 : 4;
  Words words{};
  for (size_t i = 0; i < address_words; ++i) {
    words[i] = net::Load<Be32>(reply.source.data() + 4 * i).Host();
    words[address_words + i] = net::Load<Be32>(reply.destination.data() + 4 * i).Host();
  }
  words[2 * address_words] = uint32_t{reply.source_port.Host()} << 16;
  return Toeplitz(key_, words, 2 * address_words + 1);
}

bool RssSteering::ArrivesHere(net::Family family, uint32_t hash_without_port, Be16 destination_port) const {
  const PortBits& bits = family == net::Family::kIpv4 ? v4_ : v6_;
  uint32_t hash = hash_without_port;
  for (uint32_t left = destination_port.Host(); left != 0; left &= left - 1) {
    hash ^= bits[static_cast<size_t>(std::countr_zero(left))];
  }
  return queues_[hash & (queues_.size() - 1)] == worker_.value();
}

}  // namespace sluice::runtime
