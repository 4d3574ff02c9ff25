#include "tools/replay/eal.h"

#include <rte_eal.h>
#include <rte_errno.h>
#include <sched.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <string>

namespace sluice::replay {
namespace {

// The main lcore must lie on a CPU that this process may use; CPU 0 need not be one.
int FirstUsableCpu() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof(set), &set) != 0) return 0;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) return cpu;
  }
  return 0;
}

}  // namespace

absl::Status InitEalForBuffersOnly() {
  static bool done = false;
  if (done) return absl::OkStatus();
  // EAL pins the calling thread; the caller's own choice is restored below.
  cpu_set_t before;
  CPU_ZERO(&before);
  const bool have_affinity = sched_getaffinity(0, sizeof(before), &before) == 0;

  std::array<std::string, 12> arguments = {"sluice-replay",
                                           "--no-huge",
                                           "--no-pci",
                                           "--no-shconf",
                                           "--no-telemetry",
                                           "-m",
                                           "128",
                                           "--lcores",
                                           "0@" + std::to_string(FirstUsableCpu()),
                                           "--log-level=*:error",
                                           "--file-prefix",
                                           "sluice-replay"};
  std::array<char*, 12> argv{};
  std::transform(arguments.begin(), arguments.end(), argv.begin(), [](std::string& s) { return s.data(); });
  if (rte_eal_init(static_cast<int>(argv.size()), argv.data()) < 0) {
    return absl::InternalError(std::string("DPDK's EAL did not initialise: ") + rte_strerror(rte_errno) +
                               "; it needs 128 MB of free memory");
  }
  if (have_affinity) sched_setaffinity(0, sizeof(before), &before);
  done = true;
  return absl::OkStatus();
}

rte_mbuf* MakeMbuf(rte_mempool* pool, const uint8_t* bytes, uint32_t size) {
  rte_mbuf* const head = rte_pktmbuf_alloc(pool);
  if (head == nullptr) return nullptr;
  rte_mbuf* segment = head;
  while (true) {
    const uint32_t taken = std::min<uint32_t>(size, rte_pktmbuf_tailroom(segment));
    std::memcpy(rte_pktmbuf_append(segment, static_cast<uint16_t>(taken)), bytes, taken);
    bytes += taken;
    size -= taken;
    if (size == 0) break;
    rte_mbuf* const next = rte_pktmbuf_alloc(pool);
    if (next == nullptr) {
      rte_pktmbuf_free(head);
      return nullptr;
    }
    // A driver fills later buffers from their start on; the headroom is of use in the first only.
    next->data_off = 0;
    segment->next = next;
    segment = next;
    ++head->nb_segs;
  }
  // Appending to a lone segment counted its own bytes only.
  head->pkt_len = 0;
  for (const rte_mbuf* s = head; s != nullptr; s = s->next) head->pkt_len += s->data_len;
  return head;
}

}  // namespace sluice::replay
