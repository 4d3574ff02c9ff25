// The agent's C structures against the director's wire formats, and what the maps rely on.

#include <cstddef>

#include "dataplane/lb/cookie.h"
#include "dataplane/net/headers.h"
#include "tools/backend/abi.h"

namespace sluice::backend {
namespace {

static_assert(sizeof(GueWire) == sizeof(net::GueHeader));
static_assert(offsetof(GueWire, variant_control_length) == offsetof(net::GueHeader, variant_control_length));
static_assert(offsetof(GueWire, protocol) == offsetof(net::GueHeader, protocol));
static_assert(offsetof(GueWire, flags) == offsetof(net::GueHeader, flags));

static_assert(sizeof(SecondChanceWire) == sizeof(net::GueSecondChance));
static_assert(offsetof(SecondChanceWire, version) == offsetof(net::GueSecondChance, version));
static_assert(offsetof(SecondChanceWire, state) == offsetof(net::GueSecondChance, state));
static_assert(SLUICE_BACKEND_SECOND_CHANCE_VERSION == net::kSecondChanceVersion);
static_assert(kChanceIsNamed == 0 && kChanceIsTaken == 1);

static_assert(sizeof(GreWire) == sizeof(net::GreHeader));
static_assert(offsetof(GreWire, flags_version) == offsetof(net::GreHeader, flags_version));
static_assert(offsetof(GreWire, protocol) == offsetof(net::GreHeader, protocol));

// A longest-prefix table wants its key without gaps.
static_assert(sizeof(PrefixKey) == 20);
static_assert(sizeof(Settings) == 16);
static_assert(sizeof(CookieRuleKey) == 20);
static_assert(sizeof(CookieFlowKey) == 36);
static_assert(lb::CookieKeys::kSlots == SLUICE_BACKEND_COOKIE_KEYS);
static_assert(lb::kSynEchoMark == SLUICE_BACKEND_SYN_ECHO_MARK);
static_assert(lb::kSynTierMark == SLUICE_BACKEND_SYN_TIER_MARK);
static_assert(lb::kMaxCookieBits == SLUICE_BACKEND_SYN_ECHO_SHIFT);
static_assert(sizeof(lb::AesBlock) * (lb::Aes128Key::kRounds + 1) == SLUICE_BACKEND_SCHEDULE_BYTES);

// Counters of a kind are found by its number.
static_assert(kGuePackets == kIpipPackets + 2 * kTunnelGue);
static_assert(kGueDirectPackets == kIpipPackets + 2 * kTunnelGueDirect);
static_assert(kGrePackets == kIpipPackets + 2 * kTunnelGre);
static_assert(kGreBytes == kIpipBytes + 2 * kTunnelGre);

}  // namespace
}  // namespace sluice::backend
