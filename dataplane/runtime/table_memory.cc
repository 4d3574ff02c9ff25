#include "dataplane/runtime/table_memory.h"

#include <rte_malloc.h>
#include <sys/mman.h>

#include <cstdint>

#include "dataplane/base/log.h"

namespace sluice::runtime {
namespace {

constexpr size_t kHugepage = 2 << 20;
constexpr size_t kCacheLine = 64;

}  // namespace

TableMemory::~TableMemory() {
  for (void* memory : from_eal_) rte_free(memory);
  for (const Mapping& mapping : mappings_) munmap(mapping.memory, mapping.bytes);
}

void* TableMemory::Allocate(size_t bytes, int socket) {
  if (hugepages_) {
    if (void* memory = rte_zmalloc_socket("table", bytes, kCacheLine, socket)) {
      from_eal_.push_back(memory);
      return memory;
    }
    SLUICE_LOG(kWarning) << "no huge pages left for " << (bytes >> 20) << " MB of connection tables on NUMA node "
                         << socket << "; they take ordinary memory. Remedy: a larger vm.nr_hugepages";
  }
  // One huge page more, so that the table can begin at the boundary of one: the kernel may then back it by
  // transparent ones. Pages that are not touched cost nothing. Fresh mappings are zero; the worker's first touch places
  // them on its node.
  const size_t mapped = bytes + kHugepage;
  void* memory = mmap(nullptr, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return nullptr;
  mappings_.push_back({.memory = memory, .bytes = mapped});
  const uintptr_t begin = (reinterpret_cast<uintptr_t>(memory) + kHugepage - 1) / kHugepage * kHugepage;
  // Only advice: without it the table works, more slowly.
  madvise(reinterpret_cast<void*>(begin), bytes, MADV_HUGEPAGE);
  return reinterpret_cast<void*>(begin);
}

}  // namespace sluice::runtime
