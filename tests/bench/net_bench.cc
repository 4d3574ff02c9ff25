// Micro-benchmarks of what dataplane/net does to every packet of a NAT flow.

#include <benchmark/benchmark.h>

#include <algorithm>

#include "dataplane/net/common_frame.h"
#include "dataplane/net/headers.h"
#include "dataplane/net/nat_rewrite.h"
#include "dataplane/net/parser.h"
#include "dataplane/net/tcp_options.h"
#include "tests/support/packets.h"

namespace sluice::net {
namespace {

using test::Bytes;
using test::operator+;

Bytes Packet(Family family, const Bytes& l4) {
  const bool v4 = family == Family::kIpv4;
  return test::Sealed((v4 ? test::Ipv4(6, l4.size()) : test::Ipv6(6, l4.size())) + l4, v4 ? 20 : 40, kProtocolTcp);
}

// A segment with aligned timestamps, as after the handshake.
Bytes Segment() {
  Bytes tcp = test::Tcp(kTcpAck, 8);
  const Bytes options = test::FromHex("0101080a 00000001 00000002");
  std::copy(options.begin(), options.end(), tcp.begin() + 20);
  return tcp;
}

void Parse(benchmark::State& state) {
  const auto family = state.range(0) == 4 ? Family::kIpv4 : Family::kIpv6;
  const Bytes frame = test::Ether(state.range(0) == 4 ? kEtherTypeIpv4 : kEtherTypeIpv6) + Packet(family, Segment());
  const auto size = static_cast<uint32_t>(frame.size());
  const bool common = state.range(1) != 0;
  ParsedHeaders headers;
  for (auto _ : state) {
    if (!common || !ParseCommonFrame(frame.data(), size, size, headers)) headers = ParseFrame(frame.data(), size, size);
    benchmark::DoNotOptimize(headers);
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Parse)->ArgNames({"family", "common"})->Args({4, 0})->Args({6, 0})->Args({4, 1})->Args({6, 1});

// Both ends, checksums, and one hop less.
void Rewrite(benchmark::State& state) {
  const auto family = state.range(0) == 4 ? Family::kIpv4 : Family::kIpv6;
  Bytes bytes = Packet(family, Segment());
  const uint32_t l4 = state.range(0) == 4 ? 20 : 40;
  const PacketBytes packet = {family, kProtocolTcp, bytes.data(), &bytes[l4], static_cast<uint32_t>(bytes.size()) - l4};
  uint8_t ends[2][32] = {};
  ends[1][5] = 1;
  uint16_t port = 0;
  for (auto _ : state) {
    const uint8_t* const now = ends[++port % 2];
    benchmark::DoNotOptimize(RewriteFlow(packet, {now, now + 16, Be16::FromHost(port), Be16::FromHost(8080)}));
    bytes[family == Family::kIpv4 ? 8 : 7] = 64;
    benchmark::DoNotOptimize(DecrementHopLimit(family, bytes.data()));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Rewrite)->Arg(4)->Arg(6);

// A SYN's, behind which other options stand.
void ClampMssOfSyn(benchmark::State& state) {
  Bytes tcp = test::Tcp(kTcpSyn, 10);
  const Bytes options = test::FromHex("02042300 0402 080a0000000100000000 01 030307");
  std::copy(options.begin(), options.end(), tcp.begin() + 20);
  uint16_t mss = UINT16_MAX;
  for (auto _ : state) benchmark::DoNotOptimize(ClampMss(tcp.data(), tcp.size(), --mss));
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(ClampMssOfSyn);

void Timestamps(benchmark::State& state) {
  Bytes tcp = Segment();
  uint32_t value = 0;
  for (auto _ : state) {
    const auto found = FindTimestamps(tcp.data(), tcp.size());
    ReplaceTcpField(tcp.data(), found->value_offset, Be32::FromHost(++value));
  }
  state.SetItemsProcessed(state.iterations());
}
BENCHMARK(Timestamps);

}  // namespace
}  // namespace sluice::net
