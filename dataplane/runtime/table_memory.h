#ifndef SLUICE_DATAPLANE_RUNTIME_TABLE_MEMORY_H_
#define SLUICE_DATAPLANE_RUNTIME_TABLE_MEMORY_H_

#include <cstddef>
#include <vector>

namespace sluice::runtime {

// Memory for big tables that are read at random: from huge pages where there are any, because with 4 KB pages most
// accesses would miss the TLB too. It lives as long as this object. Main thread.
class TableMemory {
 public:
  // `hugepages`: take them from EAL.
  explicit TableMemory(bool hugepages) : hugepages_(hugepages) {}
  ~TableMemory();
  TableMemory(const TableMemory&) = delete;
  TableMemory& operator=(const TableMemory&) = delete;

  // Zeroed, aligned to a cache line, on NUMA node `socket`. Null when there is not enough memory.
  void* Allocate(size_t bytes, int socket);

 private:
  struct Mapping {
    void* memory;
    size_t bytes;
  };
  const bool hugepages_;
  std::vector<void*> from_eal_;
  std::vector<Mapping> mappings_;
};

}  // namespace sluice::runtime

#endif  // SLUICE_DATAPLANE_RUNTIME_TABLE_MEMORY_H_
