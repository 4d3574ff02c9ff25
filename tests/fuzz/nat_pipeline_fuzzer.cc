// The pipeline with address translation on any frame, among flows that are there already: clients' packets, answers of
// backends, ICMP errors about either. Checked are the packet sum, that every buffer comes back, and that what leaves is
// a packet whose headers hold together and whose checksums are as right as they came.

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/base/check.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/pipeline.h"
#include "tests/fuzz/exact_mbuf.h"
#include "tests/support/state_fixture.h"
#include "tools/replay/eal.h"

namespace sluice {
namespace {

constexpr uint16_t kMtu = 1500;
constexpr std::array<uint8_t, 6> kOwnMac = {0x02, 0x5c, 0x00, 0x00, 0x00, 0x00};

uint16_t Get16(const uint8_t* at) { return static_cast<uint16_t>(at[0] << 8 | at[1]); }

uint32_t Sum(const uint8_t* bytes, size_t size) {
  uint32_t sum = 0;
  for (size_t i = 0; i + 1 < size; i += 2) sum += Get16(bytes + i);
  if (size % 2 != 0) sum += static_cast<uint32_t>(bytes[size - 1] << 8);
  return sum;
}

uint16_t Fold(uint32_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Whether the TCP or UDP checksum of a whole packet is right; one of UDP that says "none" over IPv4 counts as right.
bool L4ChecksumIsRight(const std::vector<uint8_t>& frame, const net::ParsedHeaders& h) {
  const bool v4 = h.family == net::Family::kIpv4;
  const uint8_t* l4 = frame.data() + h.l4_offset;
  auto size = static_cast<uint32_t>(h.l3_offset + h.ip_length - h.l4_offset);
  if (h.protocol == net::kProtocolUdp) {
    if (v4 && Get16(l4 + 6) == 0) return true;
    size = Get16(l4 + 4);  // what follows the datagram is not summed
  }
  const uint32_t addresses = Sum(frame.data() + h.l3_offset + (v4 ? 12 : 8), v4 ? 8 : 32);
  return Fold(addresses + h.protocol + size + Sum(l4, size)) == 0xffff;
}

bool IsWholeFlowPacket(const net::ParsedHeaders& h) {
  return h.status == net::ParseStatus::kOk && h.l4_status == net::L4Status::kPorts;
}

class CheckingSink final : public stage::PacketSink {
 public:
  explicit CheckingSink(fwd::WorkerCounters& counters) : counters_(counters) {}

  // What leaves from here on comes from this frame; null: from one that is known to be good.
  void Begin(const std::vector<uint8_t>* frame) { frame_ = frame; }

  void Transmit(PortId, rte_mbuf** mbufs, size_t count, uint64_t bytes) override {
    SLUICE_CHECK(bytes == stage::FrameBytes(mbufs, count));
    for (size_t i = 0; i < count; ++i) {
      Check(test::BytesOf(mbufs[i]));
      rte_pktmbuf_free(mbufs[i]);
    }
    counters_.forwarded.Add(count);
  }
  void Answer(PortId, rte_mbuf* mbuf) override {
    const std::vector<uint8_t> out = test::BytesOf(mbuf);
    const net::ParsedHeaders h = Parse(out);
    SLUICE_CHECK(h.status == net::ParseStatus::kOk && h.ip_length <= kMtu);
    rte_pktmbuf_free(mbuf);
    counters_.answered.Increment();
  }
  void Punt(PortId, stage::PuntClass, rte_mbuf* mbuf) override {
    SLUICE_CHECK(frame_ == nullptr || test::BytesOf(mbuf) == *frame_);
    rte_pktmbuf_free(mbuf);
    counters_.punted.Increment();
  }
  void HandOver(WorkerId, rte_mbuf*) override { SLUICE_CHECK(false && "there is one worker"); }

 private:
  static net::ParsedHeaders Parse(const std::vector<uint8_t>& frame) {
    const auto size = static_cast<uint32_t>(frame.size());
    return net::ParseFrame(frame.data(), size, size);
  }

  void Check(const std::vector<uint8_t>& out) const {
    const net::ParsedHeaders h = Parse(out);
    SLUICE_CHECK(h.status == net::ParseStatus::kOk && h.ip_length <= kMtu);
    SLUICE_CHECK(std::memcmp(out.data() + 6, kOwnMac.data(), 6) == 0);
    if (frame_ == nullptr) return;
    const net::ParsedHeaders in = Parse(*frame_);
    SLUICE_CHECK(in.status == net::ParseStatus::kOk && in.vlan_tags == h.vlan_tags);
    const uint8_t* ip = out.data() + h.l3_offset;
    if (h.family == net::Family::kIpv4) {
      const bool came_right = in.family == net::Family::kIpv6 ||
                              Fold(Sum(frame_->data() + in.l3_offset, (*frame_)[in.l3_offset] % 16 * 4u)) == 0xffff;
      SLUICE_CHECK(!came_right || Fold(Sum(ip, ip[0] % 16 * 4u)) == 0xffff);
    }
    if (!IsWholeFlowPacket(in) || !IsWholeFlowPacket(h)) return;
    SLUICE_CHECK(L4ChecksumIsRight(out, h) || !L4ChecksumIsRight(*frame_, in));
  }

  fwd::WorkerCounters& counters_;
  const std::vector<uint8_t>* frame_ = nullptr;
};

struct Flow {
  uint8_t protocol;
  uint16_t port;
  fwd::ForwardingMode mode;
  bool other_family = false;
  bool proxy = false;
};
constexpr std::array kFlows = {
    Flow{6, 80, fwd::ForwardingMode::kFullNat},
    Flow{17, 80, fwd::ForwardingMode::kFullNat},
    Flow{6, 81, fwd::ForwardingMode::kNat},
    Flow{17, 53, fwd::ForwardingMode::kNat},
    Flow{6, 82, fwd::ForwardingMode::kFullNat, true},
    Flow{17, 82, fwd::ForwardingMode::kFullNat, true},
    Flow{6, 85, fwd::ForwardingMode::kFullNat, false, true},
};

// Clients, VIPs, backends and local ends as the golden cases have them, so that their frames are good seeds.
struct World {
  test::StateFixture fixture;
  std::shared_ptr<const fwd::ForwardingState> state;
  std::vector<std::vector<uint8_t>> beginnings;  // a first packet of each flow
  rte_mempool* pool = test::MakeExactMbufPool("fuzz_nat", 1023);
  stage::NodeTraits node;
  fwd::NatSetup nat;
  stage::Burst burst;

  World() {
    fixture.hop().source = net::MacAddress(kOwnMac.data());
    const std::array<PoolId, 2> pools = {fixture.AddPool(), fixture.AddPool()};
    fixture.AddBackend(pools[0], "192.0.2.11");
    fixture.AddBackend(pools[1], "2001:db8::11");
    for (const size_t family : {0u, 1u}) {
      for (const Flow& flow : kFlows) {
        const VipId id = fixture.AddVip(family == 0 ? "203.0.113.10" : "2001:db8:f::10", flow.protocol, flow.port,
                                        pools[flow.other_family ? 1 - family : family], flow.mode);
        fixture.Vip(id).entry.proxy_protocol = flow.proxy;
        beginnings.push_back(Beginning(family == 0, flow));
      }
    }
    std::vector<fwd::ClientHop> hops(1);
    hops[0].port = PortId(0);
    hops[0].resolved = true;
    std::memcpy(hops[0].ether.source, kOwnMac.data(), 6);
    std::vector<lb::PrefixValue> routes = {{*net::IpPrefix::Parse("0.0.0.0/0"), 0}, {*net::IpPrefix::Parse("::/0"), 0}};
    fixture.SetClientRoutes(std::make_shared<const fwd::ClientRoutes>(
        std::make_shared<const fwd::RouteSet>(std::move(routes), std::vector<fwd::RouteSet::Group>{{0}}),
        std::move(hops), std::make_shared<const fwd::NeighbourTable>(std::vector<fwd::NeighbourTable::Neighbour>())));
    state = fixture.Build();
    node.ports[0].mac = net::MacAddress(kOwnMac.data());
    node.ports[0].mtu_bytes = kMtu;
    node.ports[0].has_exception_port = true;
    node.ports[0].address_v4 = test::Address("192.0.2.2");
    node.ports[0].address_v6 = test::Address("2001:db8::2");
    nat.ends.Add(test::Address("192.0.2.100"));
    nat.ends.Add(test::Address("2001:db8::64"));
    nat.ends.first_port = 20000;
    nat.ends.last_port = 29999;
  }

  static std::vector<uint8_t> Beginning(bool v4, const Flow& flow) {
    std::vector<uint8_t> frame(kOwnMac.begin(), kOwnMac.end());
    frame.insert(frame.end(), {2, 0, 0, 0, 1, 1});
    const auto put = [&frame](uint32_t value) {
      frame.insert(frame.end(), {static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)});
    };
    const uint32_t l4_bytes = flow.protocol == 6 ? 20 : 8;
    put(v4 ? net::kEtherTypeIpv4 : net::kEtherTypeIpv6);
    if (v4) {
      frame.insert(frame.end(), {0x45, 0});
      put(20 + l4_bytes);
      frame.insert(frame.end(), {0, 1, 0, 0, 64, flow.protocol, 0, 0});
    } else {
      frame.insert(frame.end(), {0x60, 0, 0, 0});
      put(l4_bytes);
      frame.insert(frame.end(), {flow.protocol, 64});
    }
    for (const char* text : {v4 ? "198.51.100.7" : "2001:db8:c::7", v4 ? "203.0.113.10" : "2001:db8:f::10"}) {
      const net::IpAddress address = test::Address(text);
      frame.insert(frame.end(), address.data(), address.data() + address.size());
    }
    put(40000);
    put(flow.port);
    if (flow.protocol == 6) {
      frame.insert(frame.end(), {0, 0, 3, 0xe8, 0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0});
    } else {
      put(8);
      put(0x1234);
    }
    return frame;
  }
};

struct Tables {
  explicit Tables(const fwd::NatSetup& nat)
      : tables({.v4 = 64, .v6 = 64, .wide = 64, .nat = 64}, memory.Source(), nat) {}
  test::TestMemory memory;
  fwd::FlowTables tables;
};

void RunFrame(const uint8_t* data, size_t size) {
  static World world;
  const std::vector<uint8_t> frame(data, data + size);
  Tables tables(world.nat);
  lb::FragmentTable fragments(8, 4, 10);
  fwd::WorkerCounters counters(64, 32);
  CheckingSink sink(counters);
  stage::StageEnv env{.state = world.state.get(),
                      .node = &world.node,
                      .tables = &tables.tables,
                      .counters = &counters,
                      .now_s = 1,
                      .fragments = &fragments};
  const auto run = [&](const std::vector<uint8_t>& bytes, size_t first) {
    rte_mbuf* mbuf = test::MakeExactMbuf(world.pool, bytes.data(), bytes.size(), first);
    // Few mutations keep the IPv4 checksum right; a device that vouches for it lets the others in.
    mbuf->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
    stage::RunPipeline(&mbuf, 1, PortId(0), env, world.burst, sink);
    while (stage::ResumeFragments(env, world.burst, sink) != 0) continue;
  };
  for (const std::vector<uint8_t>& beginning : world.beginnings) run(beginning, beginning.size());
  SLUICE_CHECK(tables.tables.nat().table().in_use() == 10);
  // The source MAC address, which no stage reads, says where the first buffer ends.
  const size_t split = size > 7 ? (size_t{data[6]} << 8 | data[7]) % (size + 1) : size;
  sink.Begin(&frame);
  for (const size_t first : {size, split, size}) run(frame, first);
  fragments.Expire(100);
  while (stage::ResumeFragments(env, world.burst, sink) != 0) continue;
  uint64_t left = counters.forwarded.Value() + counters.answered.Value() + counters.punted.Value();
  for (const Counter& dropped : counters.dropped) left += dropped.Value();
  SLUICE_CHECK(counters.received.Value() + counters.originated.Value() == left);
  SLUICE_CHECK(rte_mempool_in_use_count(world.pool) == 0);
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  SLUICE_CHECK(sluice::replay::InitEalForBuffersOnly().ok());
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Longer frames say nothing new; the MTU is 1500.
  constexpr size_t kMaxFrame = 2048;
  if (size > kMaxFrame) return 0;
  sluice::RunFrame(data, size);
  return 0;
}
