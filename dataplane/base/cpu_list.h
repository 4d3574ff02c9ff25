#ifndef SLUICE_DATAPLANE_BASE_CPU_LIST_H_
#define SLUICE_DATAPLANE_BASE_CPU_LIST_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Lists of CPUs in the kernel's notation: "0-2,5".
namespace sluice {

// Consecutive numbers as ranges, in the order given.
std::string CpuListText(const std::vector<uint32_t>& cpus);

// The numbers of a list, in its order; empty text gives none. Spaces and a newline around it are ignored. Nothing for
// text of another form, and for lists of more than 65536 numbers.
std::optional<std::vector<uint32_t>> ParseCpuList(std::string_view text);

}  // namespace sluice

#endif  // SLUICE_DATAPLANE_BASE_CPU_LIST_H_
