#ifndef SLUICE_TOOLS_SLUICECTL_UNITS_H_
#define SLUICE_TOOLS_SLUICECTL_UNITS_H_

#include <cstdint>
#include <string>

// Numbers for people. Exact ones are in -o json.
namespace sluice::ctl {

// "0", "9999", "12.3k", "4.56M": exact below 10 000, else three digits and a decimal prefix.
std::string HumanCount(uint64_t count);
// "512 B" is written "512B"; "1.50KiB", "12.3MiB": three digits and a binary prefix, no blank, to be one cell.
std::string HumanBytes(uint64_t bytes);
// "33.3%"
std::string HumanShare(double share);
// "42s", "5m10s", "3h5m", "12d4h"
std::string HumanDuration(uint64_t seconds);
// "870us", "12.3ms"
std::string HumanMicroseconds(uint64_t us);
// "2024-05-04T10:11:12Z"; "-" for 0.
std::string UtcTime(uint64_t unix_ms);

}  // namespace sluice::ctl

#endif  // SLUICE_TOOLS_SLUICECTL_UNITS_H_
