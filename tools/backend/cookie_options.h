#ifndef SLUICE_TOOLS_BACKEND_COOKIE_OPTIONS_H_
#define SLUICE_TOOLS_BACKEND_COOKIE_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "config/limits.h"
#include "config/yaml_reader.h"
#include "dataplane/lb/cookie.h"
#include "dataplane/lb/slot_table.h"
#include "dataplane/net/address.h"
#include "tools/backend/abi.h"

namespace sluice::backend {

// A secret under its number. Never printed.
struct CookieSecret {
  uint32_t number = 0;
  std::string file;
  lb::AesBlock secret{};
};

// Which connections of a VIP carry which cookie; the same as the director's settings of the VIP, and this backend's id.
struct CookieVip {
  net::IpAddress vip;
  uint16_t port = 0;  // 0: all
  uint32_t backend = 0;
  uint32_t tier = 0;
  uint32_t key = 0;       // number of the key for new connections
  bool stateful = false;  // the director chooses cookies: neither id nor key, and a layout of its own
  lb::CookieLayout layout;
  bool clock_bits_given = false;  // else the fewest that idle_s needs
  uint64_t idle_s = lb::kDefaultIdleMs / 1000;
};

struct CookieOptions {
  std::vector<CookieSecret> keys = {};
  std::vector<CookieVip> vips = {};
  uint32_t connections = 262'144;  // that are remembered
};

// Of stateful VIPs: the cookie is a slot's number, and needs no clock bits for the two hours that are asked for.
constexpr lb::CookieLayout StatefulLayout() { return {.key_bits = 0, .backend_bits = lb::SlotTable::kSlotBits}; }

namespace limits {
inline constexpr config::Range kCookieConnections = {1024, 16'777'216};
inline constexpr size_t kCookieVips = 4096;  // of the map cookie_rules
}  // namespace limits

// The section `cookies` of the configuration file, with the key files it names; problems go to the value's log.
void ReadCookies(const config::YamlValue& value, CookieOptions* out);

// ---- What the program's maps hold

CookieRuleKey RuleKeyOf(const CookieVip& vip);
CookieRule RuleOf(const CookieVip& vip);
CookieSchedule ScheduleOf(const lb::AesBlock& secret);
AesSubstitution Substitution();

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_COOKIE_OPTIONS_H_
