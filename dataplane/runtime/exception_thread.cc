#include "dataplane/runtime/exception_thread.h"

#include <pthread.h>
#include <rte_mbuf.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace sluice::runtime {
namespace {

// Packets from the kernel end a sleep, and so do workers that punted and have become idle. A busy worker does not tell,
// because telling is a system call: while workers receive, the rings are looked at this often.
constexpr uint64_t kFirstNapNs = 50'000;
constexpr uint64_t kMaxBusyNapNs = 400'000;
// While they receive nothing; it is the longest that the first punted packet of a train that keeps a worker busy waits.
constexpr uint64_t kMaxIdleNapNs = 5'000'000;
constexpr size_t kReadBatch = 32;

uint64_t NowNs() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

// A tenth of a second's worth at once: the kernel's own bursts (a traceroute, a few new connections) pass unhindered.
uint64_t BurstOf(uint32_t rate_limit_pps) { return std::max<uint64_t>(rate_limit_pps / 10, 1); }

}  // namespace

ExceptionThread::ExceptionThread(std::vector<ExceptionPort> ports, rte_mempool* pool, uint32_t rate_limit_pps,
                                 Event* punted, std::function<uint64_t()> received)
    : ports_(std::move(ports)),
      pool_(pool),
      punted_(punted),
      received_(std::move(received)),
      counters_(0, 0),
      bucket_(rate_limit_pps, BurstOf(rate_limit_pps), NowNs()) {}

ExceptionThread::~ExceptionThread() {
  Stop();
  if (epoll_fd_ >= 0) close(epoll_fd_);
}

absl::Status ExceptionThread::Start() {
  epoll_fd_ = epoll_create1(EPOLL_CLOEXEC);
  if (epoll_fd_ < 0) return absl::InternalError(absl::StrCat("epoll_create1 failed: ", std::strerror(errno)));
  for (const ExceptionPort& port : ports_) {
    epoll_event event{};
    event.events = EPOLLIN;
    if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, port.tap->fd(), &event) != 0) {
      return absl::InternalError(
          absl::StrCat("exception interface ", port.tap->name(), ": epoll_ctl failed: ", std::strerror(errno)));
    }
  }
  epoll_event event{};
  event.events = EPOLLIN;
  if (epoll_ctl(epoll_fd_, EPOLL_CTL_ADD, punted_->fd(), &event) != 0) {
    return absl::InternalError(absl::StrCat("the exception thread's epoll_ctl failed: ", std::strerror(errno)));
  }
  thread_ = std::thread([this] { Run(); });
  pthread_setname_np(thread_.native_handle(), "sluice-host");
  return absl::OkStatus();
}

void ExceptionThread::Stop() {
  if (!thread_.joinable()) return;
  stop_.store(true, std::memory_order_release);
  punted_->Signal();
  thread_.join();
}

void ExceptionThread::Run() {
  prctl(PR_SET_TIMERSLACK, 1UL);
  while (!stop_.load(std::memory_order_acquire)) {
    counters_.polls.Increment();
    const Turn turn = ServePunts();
    bool worked = turn == Turn::kWorked;
    for (const ExceptionPort& port : ports_) worked |= ReadTap(port);
    // A flood beyond the rate limit is no reason to spin, and none to let the naps grow while others may be waiting.
    if (worked || turn == Turn::kLimited) nap_ns_ = kFirstNapNs;
    if (!worked && !UrgentWait()) Sleep();
  }
  while (ServePunts() != Turn::kIdle) continue;
  for (const ExceptionPort& port : ports_) {
    std::array<rte_mbuf*, kReadBatch> left;
    while (const unsigned count =
               rte_ring_dequeue_burst(port.from_host, reinterpret_cast<void**>(left.data()), kReadBatch, nullptr)) {
      DropAll(left.data(), count, DropReason::kHostQueueFull);
    }
  }
}

ExceptionThread::Turn ExceptionThread::ServePunts() {
  delivered_ = false;
  const size_t served = ServePuntTurn([this](stage::PuntClass punt_class, size_t count) {
    size_t most = 0;
    for (const ExceptionPort& port : ports_) most = std::max(most, ServeClass(port, punt_class, count));
    return most;
  });
  if (delivered_) return Turn::kWorked;
  return served != 0 ? Turn::kLimited : Turn::kIdle;
}

bool ExceptionThread::UrgentWait() const {
  for (const ExceptionPort& port : ports_) {
    for (size_t i = 0; i < static_cast<size_t>(stage::PuntClass::kOther); ++i) {
      if (port.punt->size(static_cast<stage::PuntClass>(i)) != 0) return true;
    }
  }
  return false;
}

size_t ExceptionThread::ServeClass(const ExceptionPort& port, stage::PuntClass punt_class, size_t count) {
  std::array<rte_mbuf*, kPuntBatch> mbufs;
  const size_t taken = port.punt->Take(punt_class, mbufs.data(), std::min(count, mbufs.size()));
  if (taken == 0) return 0;
  size_t allowed = taken;
  if (punt_class == stage::PuntClass::kOther) {
    allowed = bucket_.Take(taken, NowNs());
    DropAll(mbufs.data() + allowed, taken - allowed, DropReason::kPuntRateLimited);
  }
  size_t written = 0;
  for (size_t i = 0; i < allowed; ++i) written += port.tap->Write(mbufs[i]) ? 1 : 0;
  rte_pktmbuf_free_bulk(mbufs.data(), static_cast<unsigned>(allowed));
  counters_.punted.Add(written);
  counters_.dropped[static_cast<size_t>(DropReason::kPuntWriteFailed)].Add(allowed - written);
  delivered_ |= allowed != 0;
  return taken;
}

bool ExceptionThread::ReadTap(const ExceptionPort& port) {
  std::array<rte_mbuf*, kReadBatch> mbufs;
  size_t count = 0;
  bool any = false;
  while (count < kReadBatch) {
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool_);
    if (mbuf == nullptr) {
      // Taken and dropped, rather than left to grow old in the kernel's queue.
      std::array<uint8_t, 1> discarded;
      if (port.tap->Read(discarded.data(), discarded.size()) == 0) break;
      any = true;
      counters_.from_host.Increment();
      counters_.dropped[static_cast<size_t>(DropReason::kHostNoBuffer)].Increment();
      break;
    }
    const size_t bytes = port.tap->Read(rte_pktmbuf_mtod(mbuf, uint8_t*), rte_pktmbuf_tailroom(mbuf));
    if (bytes == 0) {
      rte_pktmbuf_free(mbuf);
      break;
    }
    mbuf->data_len = static_cast<uint16_t>(bytes);
    mbuf->pkt_len = static_cast<uint32_t>(bytes);
    mbufs[count++] = mbuf;
  }
  if (count == 0) return any;
  counters_.from_host.Add(count);
  const size_t queued = rte_ring_enqueue_burst(port.from_host, reinterpret_cast<void**>(mbufs.data()),
                                               static_cast<unsigned>(count), nullptr);
  DropAll(mbufs.data() + queued, count - queued, DropReason::kHostQueueFull);
  port.wake();
  return true;
}

void ExceptionThread::Sleep() {
  counters_.sleeps.Increment();
  const uint64_t received = received_();
  const uint64_t max_nap_ns = received == last_received_ ? kMaxIdleNapNs : kMaxBusyNapNs;
  last_received_ = received;
  nap_ns_ = std::clamp(nap_ns_, kFirstNapNs, max_nap_ns);
  std::array<epoll_event, 4> events{};
  const timespec timeout = {.tv_sec = 0, .tv_nsec = static_cast<long>(nap_ns_)};
  const int count = epoll_pwait2(epoll_fd_, events.data(), static_cast<int>(events.size()), &timeout, nullptr);
  for (int i = 0; i < count; ++i) {
    if ((events[static_cast<size_t>(i)].events & (EPOLLERR | EPOLLHUP)) == 0) continue;
    // A TAP that somebody deleted reports so at once and for ever: sleep the nap out rather than spin.
    uint64_t suppressed = 0;
    if (lost_log_.Allow(&suppressed)) {
      SLUICE_LOG(kError)
          << "an exception interface is gone (deleted?): the host cannot be reached by it; its packets are "
             "dropped as punt_write_failed. Remedy: restart sluiced";
    }
    clock_nanosleep(CLOCK_MONOTONIC, 0, &timeout, nullptr);
    break;
  }
  punted_->Clear();
  nap_ns_ *= 2;
}

void ExceptionThread::DropAll(rte_mbuf** mbufs, size_t count, DropReason reason) {
  if (count == 0) return;
  rte_pktmbuf_free_bulk(mbufs, static_cast<unsigned>(count));
  counters_.dropped[static_cast<size_t>(reason)].Add(count);
}

uint64_t ExceptionThread::held() const {
  uint64_t packets = 0;
  for (const ExceptionPort& port : ports_) packets += port.punt->size() + rte_ring_count(port.from_host);
  return packets;
}

}  // namespace sluice::runtime
