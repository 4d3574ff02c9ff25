#include "tools/backend/program.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <set>

#include "config/text.h"
#include "dataplane/base/byte_order.h"
#include "dataplane/base/check.h"
#include "dataplane/net/headers.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/map_keys.h"
#include "tools/backend/program_bytes.h"

namespace sluice::backend {
namespace {

using config::Cat;

// Handshakes last a round trip, connections longer.
constexpr uint32_t kConnectionsForEachHalfOpen = 4;

// Makes a map's keys those of `wanted`. Values of keys that stay are left as the programs have made them.
template <typename Key, typename Value>
absl::Status Synchronize(int map, const char* name, const std::set<Key, KeyLess>& wanted, const Value& value) {
  std::vector<Key> unwanted;
  Key key;
  for (const Key* before = nullptr; bpf_map_get_next_key(map, before, &key) == 0; before = &key) {
    if (!wanted.contains(key)) unwanted.push_back(key);
  }
  for (const Key& each : wanted) {
    if (bpf_map_update_elem(map, &each, &value, BPF_NOEXIST) != 0 && errno != EEXIST) {
      return BpfFailure(Cat("cannot write the map ", std::string_view(name)), errno);
    }
  }
  for (const Key& each : unwanted) bpf_map_delete_elem(map, &each);
  return absl::OkStatus();
}

template <typename Source>
auto KeysOf(const std::vector<Source>& sources) {
  std::set<decltype(KeyOf(sources.front())), KeyLess> keys;
  for (const Source& source : sources) keys.insert(KeyOf(source));
  return keys;
}

// The one of `old` that can stand for `map`.
const FileDescriptor* FindOld(const std::vector<FileDescriptor>& old, bpf_map* map) {
  for (const FileDescriptor& each : old) {
    bpf_map_info info{};
    uint32_t size = sizeof(info);
    if (bpf_obj_get_info_by_fd(each.get(), &info, &size) != 0) continue;
    if (std::string_view(info.name) == bpf_map__name(map) && info.type == bpf_map__type(map) &&
        info.key_size == bpf_map__key_size(map) && info.value_size == bpf_map__value_size(map) &&
        info.max_entries == bpf_map__max_entries(map)) {
      return &each;
    }
  }
  return nullptr;
}

}  // namespace

void Program::Close::operator()(bpf_object* object) const { bpf_object__close(object); }

absl::StatusOr<Program> Program::Load(const std::vector<FileDescriptor>& old, uint32_t connections) {
  LIBBPF_OPTS(bpf_object_open_opts, options, .object_name = "sluice_backend");
  TakeBpfMessages();
  bpf_object* object =
      bpf_object__open_mem(program_bytes, static_cast<size_t>(program_bytes_end - program_bytes), &options);
  if (object == nullptr) return BpfFailure("cannot read the eBPF programs", errno);
  Program program(object, connections);
  if (connections > 0) {
    bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "established"), connections);
    bpf_map__set_max_entries(bpf_object__find_map_by_name(object, "half_open"),
                             std::max(connections / kConnectionsForEachHalfOpen, 1024u));
  }
  for (const char* name : kKeptMaps) {
    bpf_map* map = bpf_object__find_map_by_name(object, name);
    SLUICE_CHECK(map != nullptr);
    if (const FileDescriptor* found = FindOld(old, map)) bpf_map__reuse_fd(map, found->get());
  }
  if (const int error = bpf_object__load(object); error != 0) {
    const std::string words = TakeBpfMessages();
    // The verifier's refusal looks like a missing permission; only its log tells them apart.
    const bool refused = words.find("processed ") != std::string::npos;
    if (!refused) return BpfFailure("cannot load the eBPF programs", error);
    return absl::InternalError(Cat("the kernel's verifier does not take the eBPF programs:\n", words));
  }
  // No program looks at this map; bound to them it lives as long as they do.
  for (const int each : {program.ingress(), program.egress()}) {
    if (const int error = bpf_prog_bind_map(each, program.map("created_clsact"), nullptr); error != 0) {
      return BpfFailure("cannot bind a map to the eBPF programs", error);
    }
  }
  return program;
}

int Program::ingress() const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), SLUICE_BACKEND_INGRESS));
}

int Program::egress() const {
  return bpf_program__fd(bpf_object__find_program_by_name(object_.get(), SLUICE_BACKEND_EGRESS));
}

int Program::map(const char* name) const { return bpf_object__find_map_fd_by_name(object_.get(), name); }

absl::StatusOr<bool> Program::FollowsFamilyChange() const {
  // Ethernet, IPv6, IPv4 with as many bytes behind it as an IPv6 header has more: a kernel without the flag must not
  // fail for a reason of its own.
  constexpr size_t kBytes = sizeof(net::EtherHeader) + 2 * sizeof(net::Ipv6Header);
  std::array<uint8_t, kBytes> packet{};
  const Be16 type = Be16::FromHost(net::kEtherTypeIpv6);
  std::memcpy(packet.data() + offsetof(net::EtherHeader, ether_type), &type, sizeof(type));
  packet[sizeof(net::EtherHeader)] = 0x60;
  LIBBPF_OPTS(bpf_test_run_opts, run, .data_in = packet.data(), .data_size_in = packet.size(), .repeat = 1);
  const int probe = bpf_program__fd(bpf_object__find_program_by_name(object_.get(), "sluice_probe"));
  if (const int error = bpf_prog_test_run_opts(probe, &run); error != 0) {
    return BpfFailure("cannot run a test program", error);
  }
  return run.retval == 0;
}

absl::Status Program::FillCookies(const CookieOptions& cookies) const {
  if (!cookies.vips.empty() && connections_ != cookies.connections) {
    return absl::FailedPreconditionError(
        "cookies: whether there are any, and `connections`, are settled at the start; start sluice-backend anew");
  }
  const uint32_t zero = 0;
  const AesSubstitution box = Substitution();
  bool good = bpf_map_update_elem(map("substitution"), &zero, &box, BPF_ANY) == 0;
  for (uint32_t number = 0; number < SLUICE_BACKEND_COOKIE_KEYS; ++number) {
    CookieSchedule schedule{};  // of a key that is not there any more
    for (const CookieSecret& key : cookies.keys) {
      if (key.number == number) schedule = ScheduleOf(key.secret);
    }
    good = good && bpf_map_update_elem(map("cookie_keys"), &number, &schedule, BPF_ANY) == 0;
  }
  std::set<CookieRuleKey, KeyLess> wanted;
  for (const CookieVip& vip : cookies.vips) {
    const CookieRuleKey key = RuleKeyOf(vip);
    const CookieRule rule = RuleOf(vip);
    wanted.insert(key);
    good = good && bpf_map_update_elem(map("cookie_rules"), &key, &rule, BPF_ANY) == 0;
  }
  if (!good) return BpfFailure("cannot write the maps of the cookies", errno);
  return Synchronize(map("cookie_rules"), "cookie_rules", wanted, CookieRule{});
}

absl::Status Program::Fill(const Options& options, const Resolved& resolved) const {
  Settings settings{};
  for (const TunnelKind kind : options.tunnels) settings.tunnel_kinds |= 1u << kind;
  settings.gue_port = Be16::FromHost(options.gue_port).raw();
  settings.link_mtu = resolved.link_mtu;
  settings.second_chance = static_cast<uint8_t>(!options.peers.empty());
  settings.cookies = static_cast<uint8_t>(!options.cookies.vips.empty());
  settings.family_change = kFamilyChangeByRedirect;
  if (options.family_change == FamilyChangeOption::kFlag) settings.family_change = kFamilyChangeByFlag;
  if (options.family_change == FamilyChangeOption::kAuto) {
    const absl::StatusOr<bool> follows = FollowsFamilyChange();
    if (!follows.ok()) return follows.status();
    if (*follows) settings.family_change = kFamilyChangeByFlag;
  }
  // The lists first: with empty settings nothing is a tunnel yet.
  absl::Status status = Synchronize(map("own_addresses"), "own_addresses", KeysOf(resolved.addresses), uint8_t{1});
  if (status.ok()) status = Synchronize(map("directors"), "directors", KeysOf(resolved.directors), uint8_t{1});
  if (status.ok()) status = Synchronize(map("peers"), "peers", KeysOf(options.peers), uint8_t{1});
  if (status.ok()) status = Synchronize(map("vips"), "vips", KeysOf(resolved.vips), VipValue{});
  if (status.ok()) status = FillCookies(options.cookies);
  const uint32_t zero = 0;
  if (status.ok() && bpf_map_update_elem(map("settings"), &zero, &settings, BPF_ANY) != 0) {
    status = BpfFailure("cannot write the map settings", errno);
  }
  return status;
}

}  // namespace sluice::backend
