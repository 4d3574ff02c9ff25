#ifndef SLUICE_DATAPLANE_FWD_TABLE_MEMORY_H_
#define SLUICE_DATAPLANE_FWD_TABLE_MEMORY_H_

#include <cstddef>
#include <functional>

namespace sluice::fwd {

// Gives memory aligned to 64 bytes and zeroed, that lives as long as the tables; called at start only.
using TableMemory = std::function<void*(size_t bytes)>;

}  // namespace sluice::fwd

#endif  // SLUICE_DATAPLANE_FWD_TABLE_MEMORY_H_
