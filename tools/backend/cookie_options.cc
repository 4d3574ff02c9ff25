#include "tools/backend/cookie_options.h"

#include <algorithm>
#include <cstring>

#include "config/cookie_secret.h"
#include "config/problem.h"
#include "config/text.h"
#include "dataplane/lb/binary_field.h"
#include "tools/backend/map_keys.h"

namespace sluice::backend {
namespace {

using config::Cat;
using config::MapReader;
using config::Number;
using config::Quote;
using config::YamlValue;

constexpr config::Range kKeyNumber = {0, lb::CookieKeys::kSlots - 1};
constexpr config::Range kId = {0, 65535};
constexpr config::Range kWidth = {0, 24};
constexpr config::Range kIdleS = {1, lb::kMaxIdleMs / 1000};

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

// Says what is wrong without a word of the contents.
std::string ReadSecret(const std::string& path, lb::AesBlock* secret) {
  std::string digits;
  std::string wrong = config::ReadCookieSecret(path, &digits);
  if (!wrong.empty()) return wrong;
  for (size_t i = 0; i < secret->size(); ++i) {
    (*secret)[i] = static_cast<uint8_t>(HexDigit(digits[2 * i]) << 4 | HexDigit(digits[2 * i + 1]));
  }
  std::fill(digits.begin(), digits.end(), '\0');
  return {};
}

void ReadKey(const YamlValue& value, CookieSecret* out) {
  value.Map([&](MapReader& map) {
    map.Required("number", "0", &out->number, Number(kKeyNumber));
    map.Required("file", "/etc/sluice/cookie-0.key", &out->file, config::ReadText);
  });
  if (out->number > kKeyNumber.max) {
    value.Fail(Cat("number: ", config::OutOfRange(std::to_string(out->number), kKeyNumber)));
  } else if (const std::string wrong = out->file.empty() ? std::string() : ReadSecret(out->file, &out->secret);
             !wrong.empty()) {
    value.Fail(wrong);
  }
}

// The cookie of a stateful VIP has no other bits than the slot's number.
std::string DescribeStatefulError(CookieVip* vip, bool has_backend) {
  if (has_backend || vip->tier != 0 || vip->key != 0 || !(vip->layout == CookieVip().layout)) {
    return "stateful: the director chooses the cookies of this VIP; give vip, port, and idle_s only";
  }
  vip->layout = StatefulLayout();
  const auto enough = lb::ClockBitsFor(vip->layout, vip->idle_s * 1000);
  if (!enough) return Cat("idle_s: no layout lets connections idle for ", vip->idle_s, " s; give less");
  vip->layout.clock_bits = *enough;
  return {};
}

// What the fields of a VIP say together; empty when it is good.
std::string DescribeError(CookieVip* vip, bool has_backend) {
  if (vip->stateful) return DescribeStatefulError(vip, has_backend);
  if (!has_backend) {
    return "backend is missing; add the cookie id of this backend, like backend: 5, or stateful: true";
  }
  const uint64_t idle_ms = vip->idle_s * 1000;
  if (!vip->clock_bits_given) vip->layout.clock_bits = lb::ClockBitsFor(vip->layout, idle_ms).value_or(0);
  if (std::string wrong = lb::DescribeLayoutError(vip->layout, idle_ms); !wrong.empty()) return wrong;
  if (vip->backend >> vip->layout.backend_bits != 0) {
    return Cat("backend: ", vip->backend, " does not fit ", int{vip->layout.backend_bits},
               " bits; give more backend_bits");
  }
  if (vip->tier >> vip->layout.tier_bits != 0) {
    return Cat("tier: ", vip->tier, " does not fit ", int{vip->layout.tier_bits}, " bits; give more tier_bits");
  }
  if (vip->key >> vip->layout.key_bits != 0) {
    return Cat("key: ", vip->key, " does not fit ", int{vip->layout.key_bits}, " bits; give more key_bits");
  }
  return {};
}

void ReadVip(const YamlValue& value, CookieVip* out) {
  std::optional<uint32_t> backend;
  value.Map([&](MapReader& map) {
    map.Required("vip", "203.0.113.10", &out->vip, config::ReadAddress);
    map.Optional("port", &out->port, Number(config::limits::kL4Port));
    map.Optional("backend", &backend, config::Set(Number(kId)));
    map.Optional("stateful", &out->stateful, config::ReadBool);
    map.Optional("tier", &out->tier, Number(kId));
    map.Optional("key", &out->key, Number(kKeyNumber));
    map.Optional("key_bits", &out->layout.key_bits, Number(kWidth));
    map.Optional("tier_bits", &out->layout.tier_bits, Number(kWidth));
    map.Optional("backend_bits", &out->layout.backend_bits, Number(kWidth));
    map.Optional("check_bits", &out->layout.check_bits, Number(kWidth));
    map.Optional("clock_bits", &out->layout.clock_bits, [out](const YamlValue& bits, uint8_t* to) {
      out->clock_bits_given = true;
      Number(kWidth)(bits, to);
    });
    map.Optional("idle_s", &out->idle_s, Number(kIdleS));
  });
  out->backend = backend.value_or(0);
  if (const std::string wrong = DescribeError(out, backend.has_value()); !wrong.empty()) value.Fail(wrong);
}

}  // namespace

void ReadCookies(const YamlValue& value, CookieOptions* out) {
  *out = {};
  value.Map([&](MapReader& map) {
    map.Optional("keys", &out->keys, config::ListOf(ReadKey));
    map.Required("vips", "[{vip: 203.0.113.10, backend: 5}]", &out->vips, config::ListOf(ReadVip));
    map.Optional("connections", &out->connections, Number(limits::kCookieConnections));
  });
  if (!limits::kCookieConnections.Contains(out->connections)) {
    value.Fail(Cat("connections: ", config::OutOfRange(std::to_string(out->connections), limits::kCookieConnections)));
  }
  if (out->vips.size() > limits::kCookieVips) {
    value.Fail(Cat("vips: ", out->vips.size(), " of them; the program's table holds ", limits::kCookieVips));
  }
  for (const CookieVip& vip : out->vips) {
    if (vip.stateful) continue;
    const bool there = std::any_of(out->keys.begin(), out->keys.end(),
                                   [&vip](const CookieSecret& key) { return key.number == vip.key; });
    if (!there) {
      value.Fail(
          Cat("vips: ", vip.vip.ToString(), " uses the key ", vip.key, ", which is not among keys; add its file"));
    }
  }
}

CookieRuleKey RuleKeyOf(const CookieVip& vip) {
  return {.vip = KeyOf(vip.vip), .port = Be16::FromHost(vip.port).raw(), .zero = 0};
}

CookieRule RuleOf(const CookieVip& vip) {
  const lb::CookieLayout& layout = vip.layout;
  return {.plain = (vip.tier << layout.backend_bits | vip.backend) << layout.check_bits,
          .polynomial = lb::kFieldPolynomial[static_cast<size_t>(layout.permuted_bits())],
          .bits = static_cast<uint8_t>(layout.bits()),
          .permuted_bits = static_cast<uint8_t>(layout.permuted_bits()),
          .clock_bits = layout.clock_bits,
          .key_number = static_cast<uint8_t>(vip.key),
          .by_director = static_cast<uint8_t>(vip.stateful),
          .tier_shift = static_cast<uint8_t>(layout.backend_bits + layout.check_bits),
          .tier_bits = layout.tier_bits,
          .zero = 0};
}

CookieSchedule ScheduleOf(const lb::AesBlock& secret) {
  const lb::CookieKey key(secret);
  CookieSchedule schedule{};
  for (int round = 0; round <= lb::Aes128Key::kRounds; ++round) {
    const size_t at = static_cast<size_t>(round) * sizeof(lb::AesBlock);
    std::memcpy(schedule.v4 + at, key.key(net::Family::kIpv4).round_key(round).data(), sizeof(lb::AesBlock));
    std::memcpy(schedule.v6 + at, key.key(net::Family::kIpv6).round_key(round).data(), sizeof(lb::AesBlock));
  }
  return schedule;
}

AesSubstitution Substitution() {
  AesSubstitution box{};
  for (unsigned i = 0; i < sizeof(box.byte); ++i) box.byte[i] = lb::AesSubstitute(static_cast<uint8_t>(i));
  return box;
}

}  // namespace sluice::backend
