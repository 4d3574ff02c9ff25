#include "tests/bench/pipeline/scenario.h"

#include <algorithm>
#include <array>
#include <initializer_list>

#include "absl/strings/str_cat.h"
#include "config/limits.h"

namespace sluice::bench {
namespace {

std::string Count(uint32_t value) {
  if (value >= 1'000'000 && value % 1'000'000 == 0) return absl::StrCat(value / 1'000'000, "M");
  if (value >= 1000 && value % 1000 == 0) return absl::StrCat(value / 1000, "k");
  return absl::StrCat(value);
}

using net::Family;

// A guess at what an edge has: five in eight IPv4, one in four UDP, and of TCP over IPv4 some of each selection.
constexpr std::array<VipKind, 8> kMixedKinds = {{{Selection::kTable, Family::kIpv4, net::kProtocolTcp},
                                                 {Selection::kTable, Family::kIpv6, net::kProtocolTcp},
                                                 {Selection::kCookie, Family::kIpv4, net::kProtocolTcp},
                                                 {Selection::kTable, Family::kIpv4, net::kProtocolUdp},
                                                 {Selection::kTable, Family::kIpv4, net::kProtocolTcp},
                                                 {Selection::kTable, Family::kIpv6, net::kProtocolTcp},
                                                 {Selection::kHash, Family::kIpv4, net::kProtocolTcp},
                                                 {Selection::kTable, Family::kIpv6, net::kProtocolUdp}}};

std::string SizeName(uint32_t packet_bytes) {
  if (packet_bytes == kImix) return "imix";
  if (packet_bytes == kShortest) return "shortest";
  return absl::StrCat(packet_bytes, "B");
}

}  // namespace

std::string_view LoadName(Load load) {
  switch (load) {
    case Load::kEstablished:
      return "established";
    case Load::kNew:
      return "new";
    case Load::kMixed:
      return "mixed";
    case Load::kNoVip:
      return "no-vip";
  }
  return "unknown";
}

std::string_view SelectionName(const Scenario& scenario) {
  if (scenario.load == Load::kMixed) return "all";
  switch (scenario.selection) {
    case Selection::kHash:
      return "hash";
    case Selection::kTable:
      return "table";
    case Selection::kCookie:
      return "cookie";
    case Selection::kSlot:
      return "stateful";
  }
  return "unknown";
}

std::string Scenario::Name() const {
  const std::string_view version = load == Load::kMixed ? "4-6" : family == Family::kIpv4 ? "4" : "6";
  const std::string_view datagrams = protocol == net::kProtocolUdp ? "udp-" : "";
  return absl::StrCat(std::string(LoadName(load)), "/", std::string(config::ModeName(mode)), "/",
                      std::string(SelectionName(*this)), "/", std::string(datagrams), "ipv", std::string(version), "/",
                      Count(flows), "-flows/", Count(vips), "-vips/", Count(backends), "-backends/",
                      SizeName(packet_bytes), "/burst-", burst,
                      changes_per_s != 0 ? absl::StrCat("/", changes_per_s, "-changes") : "",
                      one_new_in != 0 ? absl::StrCat("/one-new-in-", one_new_in) : "",
                      other_family ? absl::StrCat("/over-ipv", family == Family::kIpv4 ? "6" : "4") : "",
                      connections != 0 ? absl::StrCat("/", Count(connections), "-connections") : "");
}

uint32_t Scenario::Connections() const {
  using config::limits::kConnections;
  if (connections != 0) return connections;
  const uint64_t enough = flows + uint64_t{flows} / 4;
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(has_new() ? 4 * enough : enough, kConnections.min, kConnections.max));
}

uint32_t Scenario::OneNewIn() const {
  switch (load) {
    case Load::kEstablished:
      return one_new_in;
    case Load::kNew:
      return 1;
    case Load::kMixed:
      return 16;
    case Load::kNoVip:
      return 0;
  }
  return 0;
}

Family Scenario::BackendFamily(Family of_vip) const {
  const Family other = of_vip == Family::kIpv4 ? Family::kIpv6 : Family::kIpv4;
  return other_family ? other : of_vip;
}

VipKind Scenario::KindOf(uint32_t vip) const {
  if (load == Load::kMixed) return kMixedKinds[vip % kMixedKinds.size()];
  return {.selection = selection, .family = family, .protocol = protocol};
}

bool Scenario::Has(Selection wanted) const {
  if (load != Load::kMixed) return selection == wanted;
  return std::any_of(kMixedKinds.begin(), kMixedKinds.end(),
                     [wanted](const VipKind& kind) { return kind.selection == wanted; });
}

std::vector<Scenario> Matrix() {
  std::vector<Scenario> rows;
  const Scenario base;
  const auto add = [&rows](std::string_view group, const Scenario& from, auto change) {
    Scenario row = from;
    row.group = std::string(group);
    change(row);
    rows.push_back(std::move(row));
  };
  using Flows = std::initializer_list<uint32_t>;
  using Selections = std::initializer_list<Selection>;
  const auto add_each = [&add](std::string_view group, const Scenario& from, Flows all_flows, Selections selections) {
    for (const uint32_t flows : all_flows) {
      for (const Selection selection : selections) {
        add(group, from, [&](Scenario& row) { row.flows = flows, row.selection = selection; });
      }
    }
  };
  const Selections hash_and_table = {Selection::kHash, Selection::kTable};
  add_each("flows", base, {1, 1000, 100'000, 1'000'000, 10'000'000}, hash_and_table);
  Scenario v6 = base;
  v6.family = Family::kIpv6;
  v6.packet_bytes = kShortestV6Bytes;
  add_each("ipv6", v6, {1000, 1'000'000}, hash_and_table);
  Scenario timestamps = base;
  timestamps.packet_bytes = kTimestampsBytes;
  Scenario timestamps_v6 = v6;
  timestamps_v6.packet_bytes = kTimestampsV6Bytes;
  for (const Scenario& from : {timestamps, timestamps_v6}) {
    add_each("cookies", from, {1000, 1'000'000}, {Selection::kCookie, Selection::kSlot});
  }
  Scenario datagrams = base;
  datagrams.protocol = net::kProtocolUdp;
  datagrams.packet_bytes = kDatagramBytes;
  add_each("udp", datagrams, {1000, 100'000, 1'000'000, 10'000'000}, hash_and_table);
  add("udp", datagrams, [](Scenario& row) { row.family = Family::kIpv6, row.packet_bytes = kDatagramV6Bytes; });
  add("udp", datagrams, [](Scenario& row) { row.mode = config::ForwardingMode::kNat; });
  // The same frames where nobody reads their timestamps.
  add_each("bytes", timestamps, {base.flows}, hash_and_table);
  for (const Scenario& from : {base, v6}) {
    for (const config::ForwardingMode mode : {config::ForwardingMode::kNat, config::ForwardingMode::kFullNat}) {
      for (const uint32_t flows : {1000u, 1'000'000u}) {
        add("nat", from, [&](Scenario& row) { row.flows = flows, row.mode = mode; });
      }
    }
    for (const config::ForwardingMode mode : {config::ForwardingMode::kL2, config::ForwardingMode::kGue,
                                              config::ForwardingMode::kGueDirect, config::ForwardingMode::kGre}) {
      add("mode", from, [&](Scenario& row) { row.mode = mode; });
    }
  }
  for (const Scenario& from : {base, v6}) {
    for (const uint32_t flows : {1000u, 1'000'000u}) {
      add("mode", from, [&](Scenario& row) { row.flows = flows, row.other_family = true; });
    }
  }
  for (const uint32_t vips : {1u, 10'000u}) add("vips", base, [&](Scenario& row) { row.vips = vips; });
  for (const uint32_t backends : {10u, 10'000u}) add("backends", base, [&](Scenario& row) { row.backends = backends; });
  for (const uint32_t bytes : {1500u, kImix}) add("bytes", base, [&](Scenario& row) { row.packet_bytes = bytes; });
  for (const uint32_t burst : {1u, 4u, 16u}) add("burst", base, [&](Scenario& row) { row.burst = burst; });
  add("changes", base, [](Scenario& row) { row.changes_per_s = 100; });
  for (const uint32_t flows : {1000u, 1'000'000u}) {
    add("mixed", base,
        [&](Scenario& row) { row.load = Load::kMixed, row.packet_bytes = kShortest, row.flows = flows; });
  }
  for (const Scenario& from : {base, v6}) {
    add("new", from, [](Scenario& row) { row.load = Load::kNew; });
    // The table as full as one that was made for these flows.
    add("new", from, [&](Scenario& row) { row.load = Load::kNew, row.connections = from.Connections(); });
  }
  add("new", datagrams, [](Scenario& row) { row.load = Load::kNew; });
  // Those that go on, in the table of those that begin; and bursts of both.
  Scenario begins = base;
  begins.load = Load::kNew;
  Scenario both = base;
  both.connections = begins.Connections();
  add("flows", both, [](Scenario&) {});
  for (const uint32_t one_in : {2u, 10u}) {
    for (const uint32_t flows : {1000u, 1'000'000u}) {
      add("new", both, [&](Scenario& row) { row.flows = flows, row.one_new_in = one_in; });
    }
  }
  for (const config::ForwardingMode mode : {config::ForwardingMode::kNat, config::ForwardingMode::kFullNat}) {
    add("new", base, [&](Scenario& row) { row.load = Load::kNew, row.mode = mode; });
  }
  for (const Selection selection : {Selection::kCookie, Selection::kSlot}) {
    add("new", timestamps, [&](Scenario& row) { row.load = Load::kNew, row.selection = selection; });
  }
  add("drops", base, [](Scenario& row) { row.load = Load::kNoVip; });
  add("drops", v6, [](Scenario& row) { row.load = Load::kNoVip; });
  return rows;
}

}  // namespace sluice::bench
