#include "tests/unit/runtime/eal_fixture.h"

#include <rte_bus_vdev.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include <array>
#include <chrono>
#include <cstring>

#include "dataplane/base/check.h"

namespace sluice::test {
namespace {

constexpr size_t kMaxVips = 16;
constexpr size_t kMaxBackends = 16;
constexpr size_t kConnections = 4096;

rte_mempool* SharedPool(unsigned mbufs) {
  // No caches by core: what a thread frees is there for every other.
  static rte_mempool* pool = rte_pktmbuf_pool_create("runtime_test", mbufs, 0, 0, 2176, 0);
  SLUICE_CHECK(pool != nullptr);
  return pool;
}

Bytes BytesOf(const rte_mbuf* mbuf) {
  const auto* data = rte_pktmbuf_mtod(mbuf, const uint8_t*);
  return Bytes(data, data + rte_pktmbuf_data_len(mbuf));
}

std::string NextDeviceName() {
  static int devices = 0;
  return "test" + std::to_string(devices++);
}

}  // namespace

bool WaitFor(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  return true;
}

RingDevice::RingDevice(uint32_t rx_size, uint32_t tx_size, rte_mempool* pool)
    : rx_(runtime::MakeRing("rx", rx_size, RING_F_SP_ENQ | RING_F_SC_DEQ)),
      tx_(runtime::MakeRing("tx", tx_size, RING_F_SP_ENQ | RING_F_SC_DEQ)),
      name_(NextDeviceName()) {
  rte_ring* rx = rx_.get();
  rte_ring* tx = tx_.get();
  const int id = rte_eth_from_rings(name_.c_str(), &rx, 1, &tx, 1, 0);
  SLUICE_CHECK(id >= 0);
  id_ = static_cast<uint16_t>(id);
  const rte_eth_conf conf{};
  SLUICE_CHECK(rte_eth_dev_configure(id_, 1, 1, &conf) == 0);
  SLUICE_CHECK(rte_eth_rx_queue_setup(id_, 0, 512, 0, nullptr, pool) == 0);
  SLUICE_CHECK(rte_eth_tx_queue_setup(id_, 0, 512, 0, nullptr) == 0);
  SLUICE_CHECK(rte_eth_dev_start(id_) == 0);
}

RingDevice::~RingDevice() {
  rte_eth_dev_stop(id_);
  SLUICE_CHECK(rte_vdev_uninit(("net_ring_" + name_).c_str()) == 0);
}

EalTest::EalTest() : pool_(SharedPool(kMbufs)) {}

void EalTest::TearDown() {
  EXPECT_EQ(rte_mempool_avail_count(pool_), kMbufs) << "packet buffers were lost or freed twice";
}

rte_mbuf* EalTest::MakeMbuf(const Bytes& frame) {
  rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
  SLUICE_CHECK(mbuf != nullptr);
  std::memcpy(rte_pktmbuf_append(mbuf, static_cast<uint16_t>(frame.size())), frame.data(), frame.size());
  return mbuf;
}

void EalTest::Put(rte_ring* ring, const std::vector<Bytes>& frames) {
  for (const Bytes& frame : frames) SLUICE_CHECK(rte_ring_enqueue(ring, MakeMbuf(frame)) == 0);
}

void EalTest::Put(runtime::PuntQueue& queue, stage::PuntClass punt_class, const std::vector<Bytes>& frames) {
  for (const Bytes& frame : frames) SLUICE_CHECK(queue.Put(punt_class, MakeMbuf(frame)));
}

std::vector<Bytes> EalTest::Drain(rte_ring* ring) {
  std::vector<Bytes> frames;
  void* taken = nullptr;
  while (rte_ring_dequeue(ring, &taken) == 0) {
    auto* mbuf = static_cast<rte_mbuf*>(taken);
    frames.push_back(BytesOf(mbuf));
    rte_pktmbuf_free(mbuf);
  }
  return frames;
}

size_t EalTest::Drain(runtime::PuntQueue& queue) {
  size_t packets = 0;
  for (size_t i = 0; i < stage::kPuntClassCount; ++i) {
    rte_mbuf* mbuf = nullptr;
    for (; queue.Take(static_cast<stage::PuntClass>(i), &mbuf, 1) == 1; ++packets) rte_pktmbuf_free(mbuf);
  }
  return packets;
}

fwd::NextHop WorkerRig::NextHops::Lookup(const net::IpAddress& address) {
  fwd::NextHop hop = StateFixture().hop();
  const std::array<uint8_t, 6> mac = {2, 0, 0, 0, 1, address.data()[address.size() - 1]};
  hop.destination = net::MacAddress(mac.data());
  return hop;
}

WorkerRig::WorkerRig(rte_mempool* pool, const Options& options)
    : from_host_(runtime::MakeRing("from_host", 512, RING_F_SP_ENQ | RING_F_SC_DEQ)),
      publisher_(static_cast<uint32_t>(options.workers), &next_hops_),
      stalls_(options.workers + 1) {
  node_.ports[0].mac = net::MacAddress(kOwnMac);
  node_.ports[0].has_exception_port = true;
  backend_pool_ = fixture_.AddPool();
  fixture_.AddBackend(backend_pool_, "192.0.2.11");
  fixture_.AddVip("203.0.113.10", 6, 80, backend_pool_);
  SLUICE_CHECK(publisher_.Publish(fixture_.Build()).ok());

  std::vector<runtime::Worker*> all;
  for (size_t i = 0; i < options.workers; ++i) {
    devices_.push_back(std::make_unique<RingDevice>(1024, options.tx_size, pool));
    workers_.push_back(std::make_unique<runtime::Worker>(MakeSetup(i, options)));
    all.push_back(workers_.back().get());
  }
  for (const auto& worker : workers_) worker->Connect(all);
}

runtime::WorkerSetup WorkerRig::MakeSetup(size_t worker, const Options& options) {
  runtime::WorkerSetup setup;
  setup.id = WorkerId(static_cast<uint8_t>(worker));
  setup.ports = {{.id = PortId(0),
                  .queue = devices_[worker]->queue(),
                  .punt = &punt_,
                  .from_host = worker == 0 ? from_host_.get() : nullptr}};
  setup.node = &node_;
  setup.publisher = &publisher_;
  setup.punted = &punted_;
  setup.idle = options.idle;
  setup.tables = std::make_unique<fwd::FlowTables>(
      fwd::TableCapacities{.v4 = kConnections, .v6 = kConnections, .wide = kConnections}, memory_.Source());
  setup.max_vips = kMaxVips;
  setup.max_backends = kMaxBackends;
  return setup;
}

WorkerRig::~WorkerRig() { Stop(); }

void WorkerRig::Start() {
  for (size_t i = 0; i < workers_.size(); ++i) Start(i);
}

void WorkerRig::Start(size_t worker) {
  threads_.emplace_back([this, worker] { workers_[worker]->Run(); });
}

void WorkerRig::Stop() {
  for (const auto& worker : workers_) worker->Stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkerRig::DropHeld() {
  for (const auto& worker : workers_) worker->DropHeld();
}

absl::Status WorkerRig::PublishNext() {
  fixture_.AddBackend(backend_pool_, "192.0.2.12");
  return publisher_.Publish(fixture_.Build());
}

fwd::PacketTotals WorkerRig::Totals(const runtime::ExceptionThread* exception) const {
  return runtime::View(workers_, no_ports_, exception, publisher_, stalls_).Totals();
}

std::vector<Bytes> VipFrames(size_t count) {
  std::vector<Bytes> frames;
  for (size_t i = 0; i < count; ++i) {
    frames.push_back(FrameBuilder{.source_port = static_cast<uint16_t>(10000 + i), .payload = 30}.Build());
  }
  return frames;
}

Bytes ToBackend(Bytes frame) {
  const Bytes macs = {2, 0, 0, 0, 1, 11, 2, 0, 0, 0, 0, 1};
  std::copy(macs.begin(), macs.end(), frame.begin());
  return frame;
}

Bytes ArpFrame() {
  Bytes frame(60, 0);
  std::fill_n(frame.begin(), 6, uint8_t{0xff});
  frame[12] = 0x08;
  frame[13] = 0x06;
  return frame;
}

Bytes OtherHostFrame() {
  return FrameBuilder{.destination = "192.0.2.2", .destination_port = 23, .payload = 20}.Build();
}

}  // namespace sluice::test
