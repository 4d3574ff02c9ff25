// The whole pipeline on any frame, in one buffer or several, for every kind of VIP and backend. AddressSanitizer
// watches buffers of exactly the frame's size; checked are the packet sum, that every buffer comes back, what leaves,
// and that the fast path of packets (stage/fast_path.h) makes no difference.

#include <rte_mbuf.h>
#include <rte_mempool.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "dataplane/base/check.h"
#include "dataplane/fwd/flow_tables.h"
#include "dataplane/fwd/resolve.h"
#include "dataplane/fwd/state_builder.h"
#include "dataplane/net/checksum.h"
#include "dataplane/net/headers.h"
#include "dataplane/stage/eight_frames.h"
#include "dataplane/stage/frame_bytes.h"
#include "dataplane/stage/pipeline.h"
#include "tests/fuzz/exact_mbuf.h"
#include "tests/support/counter_values.h"
#include "tools/replay/eal.h"

namespace sluice {
namespace {

constexpr uint16_t kMtu = 1500;
constexpr uint16_t kMaxOverhead = 52;  // of a tunnel
constexpr std::array<uint8_t, 6> kOwnMac = {0x02, 0x5c, 0x00, 0x00, 0x00, 0x00};
constexpr std::array<uint8_t, 6> kBackendMac = {0x02, 0x00, 0xc0, 0x00, 0x02, 0x0b};

net::IpAddress Address(const char* text) { return *net::IpAddress::Parse(text); }

// VIPs as the golden cases have them, so that their frames are good seeds: ports 80 (L2) and 81 (IPIP) of both
// protocols, 53 without a backend, 443 with one that cannot be reached, 82 with one behind a gateway.
std::shared_ptr<const fwd::ForwardingState> MakeState() {
  fwd::StateSpec spec;
  const auto add = [&spec](uint16_t number, const char* vip, const char* backend, uint16_t port,
                           fwd::ForwardingMode mode, bool active) {
    const BackendId id(number);
    spec.backends.push_back({id, {.address = Address(backend), .generation = 1, .state = fwd::BackendState::kActive}});
    std::vector<fwd::PoolTable::Member> members;
    if (active) members.push_back({id, "only", 100});
    spec.pools.push_back({PoolId(number), 13, members});
    for (const uint8_t protocol : {net::kProtocolTcp, net::kProtocolUdp}) {
      const VipId vip_id(static_cast<uint16_t>(number * 2 + (protocol == net::kProtocolUdp ? 1 : 0)));
      fwd::VipSpec vip_spec;
      vip_spec.id = vip_id;
      vip_spec.prefix = *net::IpPrefix::Parse(vip);
      vip_spec.first_port = vip_spec.last_port = port;
      vip_spec.entry.pool = PoolId(number);
      vip_spec.entry.protocol = protocol;
      vip_spec.entry.mode = mode;
      vip_spec.entry.gue_port = 6080;
      spec.vips.push_back(vip_spec);
    }
  };
  uint16_t number = 0;
  for (const bool v4 : {true, false}) {
    const char* const vip = v4 ? "203.0.113.10" : "2001:db8:f::10";
    add(number++, vip, v4 ? "192.0.2.11" : "2001:db8::11", 80, fwd::ForwardingMode::kL2, true);
    add(number++, vip, v4 ? "192.0.2.11" : "2001:db8::11", 81, fwd::ForwardingMode::kIpip, true);
    add(number++, vip, v4 ? "192.0.2.11" : "2001:db8::11", 53, fwd::ForwardingMode::kL2, false);
    add(number++, vip, v4 ? "192.0.2.99" : "2001:db8::99", 443, fwd::ForwardingMode::kIpip, true);
    add(number++, vip, v4 ? "10.0.0.1" : "2001:db8:77::1", 82, fwd::ForwardingMode::kL2, true);
    // Tunnels of the other family.
    add(number++, vip, v4 ? "2001:db8::11" : "192.0.2.11", 83, fwd::ForwardingMode::kGue, true);
    add(number++, vip, v4 ? "2001:db8::11" : "192.0.2.11", 84, fwd::ForwardingMode::kGueDirect, true);
    add(number++, vip, v4 ? "2001:db8::11" : "192.0.2.11", 85, fwd::ForwardingMode::kGre, true);
    // A VIP of many addresses and ports.
    add(number++, v4 ? "198.18.0.0/24" : "2001:db8:18::/64", v4 ? "192.0.2.11" : "2001:db8::11", 80,
        fwd::ForwardingMode::kIpip, true);
  }
  const auto state = fwd::BuildState(spec, 1, nullptr);
  SLUICE_CHECK(state.ok());
  return fwd::ResolveNextHops(**state, [](const net::IpAddress& address) {
    const auto text = address.ToString();
    fwd::NextHop hop;
    hop.port = PortId(0);
    hop.on_link = text.starts_with("192.0.2.") || text.starts_with("2001:db8::");
    hop.resolved = !text.ends_with("99");
    hop.source = net::MacAddress(kOwnMac.data());
    hop.destination = net::MacAddress(kBackendMac.data());
    hop.source_v4 = Address("192.0.2.2");
    hop.source_v6 = Address("2001:db8::2");
    return hop;
  });
}

// Checks what leaves against the frame that came in, which all packets of a burst are copies of.
class CheckingSink final : public stage::PacketSink {
 public:
  CheckingSink(const uint8_t* frame, size_t size, fwd::WorkerCounters& counters)
      : frame_(frame), size_(size), counters_(counters) {}

  void Transmit(PortId port, rte_mbuf** mbufs, size_t count, uint64_t bytes) override {
    SLUICE_CHECK(port == PortId(0) && bytes == stage::FrameBytes(mbufs, count));
    for (size_t i = 0; i < count; ++i) {
      const std::vector<uint8_t> out = test::BytesOf(mbufs[i]);
      CheckForwarded(out);
      Keep(out);
      rte_pktmbuf_free(mbufs[i]);
    }
    counters_.forwarded.Add(count);
  }

  // An answer goes back to the station that sent the frame, as a packet whose headers hold together.
  void Answer(PortId port, rte_mbuf* mbuf) override {
    SLUICE_CHECK(port == PortId(0));
    const std::vector<uint8_t> out = test::BytesOf(mbuf);
    const auto out_size = static_cast<uint32_t>(out.size());
    const net::ParsedHeaders h = net::ParseFrame(out.data(), out_size, out_size);
    SLUICE_CHECK(h.status == net::ParseStatus::kOk && h.ip_length <= kMtu);
    SLUICE_CHECK(std::equal(out.begin(), out.begin() + 6, frame_ + 6));
    SLUICE_CHECK(std::equal(kOwnMac.begin(), kOwnMac.end(), out.begin() + 6));
    Keep(out);
    rte_pktmbuf_free(mbuf);
    counters_.answered.Increment();
  }

  void Punt(PortId port, stage::PuntClass, rte_mbuf* mbuf) override {
    SLUICE_CHECK(port == PortId(0));
    const std::vector<uint8_t> out = test::BytesOf(mbuf);
    SLUICE_CHECK(out.size() == size_ && std::equal(out.begin(), out.end(), frame_));
    Keep(out);
    rte_pktmbuf_free(mbuf);
    counters_.punted.Increment();
  }

  void HandOver(WorkerId, rte_mbuf*) override { SLUICE_CHECK(false && "there is one worker"); }

  // All that left, in order.
  const std::vector<uint8_t>& kept() const { return kept_; }

 private:
  void Keep(const std::vector<uint8_t>& out) { kept_.insert(kept_.end(), out.begin(), out.end()); }

  void CheckForwarded(const std::vector<uint8_t>& out) const {
    const net::ParsedHeaders in_headers =
        net::ParseFrame(frame_, static_cast<uint32_t>(size_), static_cast<uint32_t>(size_));
    const auto out_size = static_cast<uint32_t>(out.size());
    const net::ParsedHeaders h = net::ParseFrame(out.data(), out_size, out_size);
    SLUICE_CHECK(in_headers.status == net::ParseStatus::kOk && h.status == net::ParseStatus::kOk);
    SLUICE_CHECK(h.vlan_tags == in_headers.vlan_tags && h.ip_length <= kMtu);
    SLUICE_CHECK(std::equal(kBackendMac.begin(), kBackendMac.end(), out.begin()));
    SLUICE_CHECK(std::equal(kOwnMac.begin(), kOwnMac.end(), out.begin() + 6));
    if (in_headers.family == net::Family::kIpv4 && in_headers.ip_length > kMtu - kMaxOverhead) return;  // in pieces
    // The client's packet is in there as it came.
    SLUICE_CHECK(h.ip_length >= in_headers.ip_length);
    const auto overhead = static_cast<uint32_t>(h.ip_length - in_headers.ip_length);
    SLUICE_CHECK(std::equal(frame_ + in_headers.l3_offset, frame_ + in_headers.l3_offset + in_headers.ip_length,
                            out.begin() + h.l3_offset + overhead));
    if (overhead == 0) return;
    const bool v4 = h.family == net::Family::kIpv4;
    const auto ip_bytes = static_cast<uint32_t>(v4 ? sizeof(net::Ipv4Header) : sizeof(net::Ipv6Header));
    // IPIP, GRE, GUE direct, GUE.
    const uint32_t shim = overhead - ip_bytes;
    SLUICE_CHECK(shim == 0 || shim == 4 || shim == 8 || shim == 12);
    if (v4) SLUICE_CHECK(net::ChecksumIsValid(out.data() + h.l3_offset, sizeof(net::Ipv4Header)));
  }

  const uint8_t* frame_;
  size_t size_;
  fwd::WorkerCounters& counters_;
  std::vector<uint8_t> kept_;
};

void CheckSum(const fwd::WorkerCounters& c) {
  uint64_t left = c.forwarded.Value() + c.answered.Value() + c.punted.Value() + c.sent_for_host.Value();
  for (const Counter& dropped : c.dropped) left += dropped.Value();
  SLUICE_CHECK(c.received.Value() + c.originated.Value() == left);
}

// Tables of one input: what one input leaves in them must not change what the next does.
struct Tables {
  std::vector<std::unique_ptr<void, decltype(&std::free)>> memory;
  fwd::FlowTables tables = fwd::FlowTables({.v4 = 64, .v6 = 64, .wide = 64}, [this](size_t bytes) {
    void* const block = std::aligned_alloc(64, (bytes + 63) / 64 * 64);
    SLUICE_CHECK(block != nullptr);
    std::memset(block, 0, bytes);
    memory.emplace_back(block, &std::free);
    return block;
  });
};

struct World {
  rte_mempool* pool = test::MakeExactMbufPool("fuzz", 1023);
  std::shared_ptr<const fwd::ForwardingState> state = MakeState();
  stage::NodeTraits node;
  stage::Burst burst;

  World() {
    node.ports[0].mac = net::MacAddress(kOwnMac.data());
    node.ports[0].mtu_bytes = kMtu;
    node.ports[0].has_exception_port = true;
    node.management_ports.set(22);
  }
};

// What came of it: two runs are equal when nothing that can be seen of them differs.
struct Outcome {
  std::vector<uint8_t> left;
  std::vector<uint64_t> counters;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

Outcome RunFrame(const uint8_t* data, size_t size, bool fast_path) {
  static World world;
  Tables tables;
  lb::FragmentTable fragments(8, 4, 10);
  fwd::WorkerCounters counters(64, 32);
  CheckingSink sink(data, size, counters);
  // The source MAC address, which no stage reads, says where the first buffer ends and what the device checked.
  const size_t split = size > 7 ? (size_t{data[6]} << 8 | data[7]) % (size + 1) : size;
  const bool vouched = size > 8 && (data[8] & 1) != 0;
  for (const size_t first : {size, split}) {
    // As many as are checked at once and one by itself, then a full burst, then fewer.
    for (const auto& [now_s, count] :
         {std::pair<uint32_t, size_t>{1, stage::kEight + 1}, {1, stage::kBurstSize}, {100, 3}}) {
      std::vector<rte_mbuf*> copies(count);
      for (rte_mbuf*& copy : copies) {
        copy = test::MakeExactMbuf(world.pool, data, size, first);
        // Few mutations keep the IPv4 checksum right; a device that vouches for it lets the others in.
        if (vouched) copy->ol_flags |= RTE_MBUF_F_RX_IP_CKSUM_GOOD;
      }
      stage::StageEnv env{.state = world.state.get(),
                          .node = &world.node,
                          .tables = &tables.tables,
                          .counters = &counters,
                          .now_s = now_s,
                          .fragments = &fragments,
                          .fast_path = fast_path};
      stage::RunPipeline(copies.data(), copies.size(), PortId(0), env, world.burst, sink);
      while (stage::ResumeFragments(env, world.burst, sink) != 0) continue;
      fragments.Expire(now_s + 10);
      while (stage::ResumeFragments(env, world.burst, sink) != 0) continue;
      CheckSum(counters);
    }
  }
  SLUICE_CHECK(rte_mempool_in_use_count(world.pool) == 0);
  return {.left = sink.kept(), .counters = test::CounterValues(counters)};
}

}  // namespace
}  // namespace sluice

extern "C" int LLVMFuzzerInitialize(int*, char***) {
  SLUICE_CHECK(sluice::replay::InitEalForBuffersOnly().ok());
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  // Longer frames say nothing new; the MTU is 1500.
  constexpr size_t kMaxFrame = 4096;
  if (size > kMaxFrame) return 0;
  const auto by_stages = sluice::RunFrame(data, size, false);
  if (!sluice::stage::FastPathIsSupported()) return 0;
  SLUICE_CHECK(sluice::RunFrame(data, size, true) == by_stages);
  return 0;
}
