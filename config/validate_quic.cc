#include "config/validate_quic.h"

#include <algorithm>
#include <set>
#include <string>
#include <string_view>

#include "config/limits.h"
#include "config/text.h"
#include "dataplane/lb/quic_lb.h"

namespace sluice::config {
namespace {

constexpr size_t kDigitsPerByte = 2;

void CheckKey(const QuicConfig& config, const std::string& path, const std::string& what, bool need_keys,
              ProblemList* problems) {
  if (!config.encrypted) {
    if (!config.secret.empty()) {
      problems->Add(path, Cat(what, " has a key and is not encrypted; set encrypted, or take the key away"));
    }
    return;
  }
  if (config.secret.empty() && !need_keys) return;
  if (config.secret.size() != kSecretDigits || !IsHex(config.secret)) {
    // The secret itself is in no message.
    problems->Add(path, Cat("the key of ", what, config.secret.empty() ? " is not there" : " is not one",
                            "; give 32 hexadecimal digits, made with: openssl rand -hex 16"));
  }
}

void CheckConfigs(const ServiceConfig& services, bool need_keys, ProblemList* problems) {
  std::set<uint32_t> numbers;
  for (size_t i = 0; i < services.quic_configs.size(); ++i) {
    const QuicConfig& config = services.quic_configs[i];
    const std::string path = IndexPath("services.quic_configs", i);
    const std::string what = Cat("QUIC configuration ", config.number);
    problems->CheckRange(path + ".number", what, config.number, limits::kQuicConfigNumber);
    if (!numbers.insert(config.number).second) {
      problems->Add(path + ".number", Cat(what, " is there twice; give each a number of its own"));
    }
    lb::QuicLbConfig lengths;
    lengths.server_id_length = static_cast<uint8_t>(std::min(config.server_id_bytes, 255U));
    lengths.nonce_length = static_cast<uint8_t>(std::min(config.nonce_bytes, 255U));
    if (const std::string wrong = lb::DescribeQuicLbError(lengths); !wrong.empty()) {
      problems->Add(path, Cat(what, ": ", wrong));
    }
    CheckKey(config, path, what, need_keys, problems);
  }
}

void CheckServerIds(const PoolConfig& pool, const std::string& pool_path, ProblemList* problems) {
  StringMap<std::string_view> owners;
  for (size_t b = 0; b < pool.backends.size(); ++b) {
    const BackendConfig& backend = pool.backends[b];
    for (size_t i = 0; i < backend.quic_server_ids.size(); ++i) {
      const std::string& id = backend.quic_server_ids[i];
      const std::string path = IndexPath(IndexPath(pool_path + ".backends", b) + ".quic_server_ids", i);
      const std::string what = Cat("QUIC server id ", Quote(id), " of backend ", Quote(backend.name));
      const bool good = !id.empty() && id.size() % kDigitsPerByte == 0 && IsHex(id) &&
                        id.size() <= kDigitsPerByte * lb::kQuicLbMaxServerIdLength;
      if (!good) {
        problems->Add(path, Cat(what, " is none; give 1 to ", lb::kQuicLbMaxServerIdLength,
                                " bytes as hexadecimal digits, like \"31441a\""));
        continue;
      }
      std::string lower = id;
      std::transform(lower.begin(), lower.end(), lower.begin(),
                     [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c); });
      const auto [owner, is_new] = owners.emplace(std::move(lower), backend.name);
      if (!is_new) {
        problems->Add(path, Cat(what, " is that of backend ", Quote(owner->second),
                                " in the same pool; give each an id of its own"));
      }
    }
  }
}

}  // namespace

void CheckQuic(const ServiceConfig& services, bool need_keys, ProblemList* problems) {
  CheckConfigs(services, need_keys, problems);
  for (size_t p = 0; p < services.pools.size(); ++p) {
    CheckServerIds(services.pools[p], PoolPath(p), problems);
  }
  bool used = false;
  for (size_t v = 0; v < services.vips.size(); ++v) {
    const VipConfig& vip = services.vips[v];
    if (!vip.quic) continue;
    const std::string path = VipPath(v) + ".quic";
    const std::string what = Cat("quic of VIP ", Quote(vip.name));
    if (vip.protocol != Protocol::kUdp) {
      problems->Add(path,
                    Cat(what, " needs protocol udp, which QUIC is made of; remove it, or give the VIP protocol udp"));
    } else if (IsNat(vip.mode)) {
      problems->Add(path, Cat(what, " cannot be with mode ", ModeName(vip.mode), "; take mode l2 or a tunnel"));
    } else {
      used = true;
    }
  }
  if (used && need_keys && services.quic_configs.empty()) {
    problems->Add(
        "services.quic_configs",
        "there is a VIP with quic, and no configuration of connection ids; add the one that the servers have, like "
        "{number: 0, server_id_bytes: 3, nonce_bytes: 4, key_file: ...}");
  }
}

void CheckQuicIdsOfFile(const ServiceConfig& services, ProblemList* problems) {
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    const auto vip = std::find_if(services.vips.begin(), services.vips.end(),
                                  [&](const VipConfig& each) { return each.quic && each.pool == pool.name; });
    if (vip == services.vips.end()) continue;
    for (const QuicConfig& config : services.quic_configs) {
      for (size_t b = 0; b < pool.backends.size(); ++b) {
        const BackendConfig& backend = pool.backends[b];
        const auto& ids = backend.quic_server_ids;
        const bool has_one = std::any_of(ids.begin(), ids.end(), [&](const std::string& id) {
          return id.size() == kDigitsPerByte * config.server_id_bytes;
        });
        if (has_one) continue;
        problems->Add(BackendPath(p, b),
                      Cat("backend ", Quote(backend.name), " has no QUIC server id of ", config.server_id_bytes,
                          " bytes, by which configuration ", config.number, " names servers of VIP ", Quote(vip->name),
                          "; add it to quic_server_ids"));
      }
    }
  }
}

}  // namespace sluice::config
