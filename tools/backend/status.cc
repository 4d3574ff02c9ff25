#include "tools/backend/status.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include <cerrno>
#include <iomanip>
#include <map>
#include <numeric>

#include "config/text.h"
#include "dataplane/base/byte_order.h"
#include "tools/backend/agent.h"
#include "tools/backend/bpf_failure.h"
#include "tools/backend/map_keys.h"
#include "tools/backend/options.h"
#include "tools/backend/tc_hook.h"
#include "tools/replay/json_writer.h"

namespace sluice::backend {
namespace {

constexpr std::array<std::string_view, kCounters> kNames = {
#define SLUICE_BACKEND_NAME(symbol, name, help) name,
    SLUICE_BACKEND_COUNTERS(SLUICE_BACKEND_NAME)
#undef SLUICE_BACKEND_NAME
};
constexpr std::array<std::string_view, kCounters> kHelp = {
#define SLUICE_BACKEND_HELP(symbol, name, help) help,
    SLUICE_BACKEND_COUNTERS(SLUICE_BACKEND_HELP)
#undef SLUICE_BACKEND_HELP
};

template <typename Key, typename See>
void ForEachKey(int map, const See& see) {
  Key key;
  for (const Key* before = nullptr; bpf_map_get_next_key(map, before, &key) == 0; before = &key) see(key);
}

absl::StatusOr<Status> ReadOne(uint32_t program) {
  const FileDescriptor settings = MapOf(program, "settings");
  const FileDescriptor addresses = MapOf(program, "own_addresses");
  const FileDescriptor directors = MapOf(program, "directors");
  const FileDescriptor peers = MapOf(program, "peers");
  const FileDescriptor vips = MapOf(program, "vips");
  const FileDescriptor cookie_rules = MapOf(program, "cookie_rules");
  const FileDescriptor counters = MapOf(program, "counters");
  const int cpus = libbpf_num_possible_cpus();
  if (!settings || !addresses || !directors || !peers || !vips || !cookie_rules || !counters || cpus <= 0) {
    return BpfFailure("cannot read the maps of the attached programs", errno);
  }
  Status status;
  const uint32_t zero = 0;
  bpf_map_lookup_elem(settings.get(), &zero, &status.settings);
  ForEachKey<AddressKey>(addresses.get(), [&](const AddressKey& key) { status.addresses.push_back(AddressOf(key)); });
  ForEachKey<PrefixKey>(directors.get(), [&](const PrefixKey& key) { status.directors.push_back(PrefixOf(key)); });
  ForEachKey<PrefixKey>(peers.get(), [&](const PrefixKey& key) { status.peers.push_back(PrefixOf(key)); });
  ForEachKey<PrefixKey>(vips.get(), [&](const PrefixKey& key) {
    VipValue value{};
    bpf_map_lookup_elem(vips.get(), &key, &value);
    status.vips.emplace_back(PrefixOf(key), value);
  });
  ForEachKey<CookieRuleKey>(cookie_rules.get(), [&](const CookieRuleKey&) { ++status.cookie_rules; });
  std::vector<uint64_t> each_cpu(static_cast<size_t>(cpus));
  for (uint32_t i = 0; i < kCounters; ++i) {
    if (bpf_map_lookup_elem(counters.get(), &i, each_cpu.data()) != 0) {
      return absl::FailedPreconditionError(
          "the attached programs are of another version of sluice-backend; read them with that one, or attach anew");
    }
    status.counters[i] = std::accumulate(each_cpu.begin(), each_cpu.end(), uint64_t{0});
  }
  return status;
}

std::vector<std::string_view> TunnelNames(const Settings& settings) {
  std::vector<std::string_view> names;
  for (int kind = 0; kind < kTunnelKinds; ++kind) {
    if ((settings.tunnel_kinds >> kind & 1) != 0) names.push_back(TunnelName(static_cast<TunnelKind>(kind)));
  }
  return names;
}

template <typename List>
std::string Join(const List& list) {
  std::string text;
  for (const auto& each : list) text += (text.empty() ? "" : ", ") + each.ToString();
  return text;
}

}  // namespace

std::string_view CounterName(Counter counter) { return kNames[counter]; }
std::string_view CounterHelp(Counter counter) { return kHelp[counter]; }

absl::StatusOr<std::vector<Status>> ReadStatus() {
  std::map<uint32_t, std::vector<std::string>> groups;
  for (const std::string& name : AttachedInterfaces()) {
    const absl::StatusOr<Interface> interface = FindInterface(name);
    if (!interface.ok()) continue;  // gone this moment
    const absl::StatusOr<std::optional<uint32_t>> id = FindAttached(*interface, Direction::kIngress);
    if (id.ok() && id->has_value()) groups[**id].push_back(name);
  }
  std::vector<Status> all;
  for (const auto& [program, interfaces] : groups) {
    absl::StatusOr<Status> status = ReadOne(program);
    if (!status.ok()) return status.status();
    status->interfaces = interfaces;
    all.push_back(*std::move(status));
  }
  return all;
}

void PrintText(const std::vector<Status>& groups, std::ostream& out) {
  for (const Status& status : groups) {
    std::vector<std::string_view> interfaces(status.interfaces.begin(), status.interfaces.end());
    out << "interfaces   " << config::JoinWithCommas(interfaces) << "\n"
        << "tunnels      " << config::JoinWithCommas(TunnelNames(status.settings)) << ", GUE on port "
        << Be16::FromRaw(status.settings.gue_port).Host() << "\n"
        << "end at       " << Join(status.addresses) << "\n"
        << "come from    " << Join(status.directors) << "\n";
    if (!status.peers.empty()) out << "peers        " << Join(status.peers) << "\n";
    for (const auto& [prefix, value] : status.vips) {
      out << "VIP          " << prefix.ToString();
      if (value.overhead_bytes == 0) {
        out << ", no tunnel packet yet\n";
      } else if (status.settings.link_mtu == 0) {
        out << ", tunnels of up to " << value.overhead_bytes << " bytes, MSS left alone\n";
      } else {
        out << ", tunnels of up to " << value.overhead_bytes << " bytes, MSS lowered to fit "
            << status.settings.link_mtu << "\n";
      }
    }
    if (status.cookie_rules > 0) out << "cookies      for " << status.cookie_rules << " VIP(s)\n";
    for (size_t i = 0; i < kCounters; ++i) {
      if (status.counters[i] == 0) continue;
      out << std::left << std::setw(22) << kNames[i] << std::right << std::setw(14) << status.counters[i] << "  "
          << kHelp[i] << "\n";
    }
  }
}

void PrintJson(const std::vector<Status>& groups, std::ostream& out) {
  using replay::ObjectWriter;
  using replay::WriteArray;
  {
    ObjectWriter all(out);
    WriteArray(all.Key("groups"), groups, [&out](const Status& status) {
      ObjectWriter object(out);
      const auto write_text = [&out](const auto& each) { out << model::JsonString(each); };
      const auto write_address = [&out](const auto& each) { out << model::JsonString(each.ToString()); };
      WriteArray(object.Key("interfaces"), status.interfaces, write_text);
      WriteArray(object.Key("tunnels"), TunnelNames(status.settings), write_text);
      object.Number("gue_port", Be16::FromRaw(status.settings.gue_port).Host());
      object.Number("link_mtu", status.settings.link_mtu);
      object.Text("family_change", status.settings.family_change == kFamilyChangeByFlag ? "flag" : "redirect");
      WriteArray(object.Key("addresses"), status.addresses, write_address);
      WriteArray(object.Key("directors"), status.directors, write_address);
      WriteArray(object.Key("peers"), status.peers, write_address);
      WriteArray(object.Key("vips"), status.vips, [&out](const auto& vip) {
        ObjectWriter entry(out);
        entry.Text("prefix", vip.first.ToString());
        entry.Number("overhead_bytes", vip.second.overhead_bytes);
      });
      object.Number("cookie_vips", status.cookie_rules);
      object.Key("counters");
      ObjectWriter counters(out);
      for (size_t i = 0; i < kCounters; ++i) counters.Number(kNames[i], status.counters[i]);
    });
  }
  out << "\n";
}

}  // namespace sluice::backend
