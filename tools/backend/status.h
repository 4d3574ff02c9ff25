#ifndef SLUICE_TOOLS_BACKEND_STATUS_H_
#define SLUICE_TOOLS_BACKEND_STATUS_H_

#include <array>
#include <cstdint>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "dataplane/net/address.h"
#include "tools/backend/abi.h"

namespace sluice::backend {

// Name and help of a counter.
std::string_view CounterName(Counter counter);
std::string_view CounterHelp(Counter counter);

// What the programs at some interfaces do and have done, read from the kernel.
struct Status {
  std::vector<std::string> interfaces;
  Settings settings{};
  std::vector<net::IpAddress> addresses;
  std::vector<net::IpPrefix> directors;
  std::vector<net::IpPrefix> peers;
  std::vector<std::pair<net::IpPrefix, VipValue>> vips;
  uint32_t cookie_rules = 0;  // VIPs whose connections get cookies
  std::array<uint64_t, kCounters> counters{};
};

// That of each group of interfaces that share their programs; all interfaces of this network namespace. Empty when
// nothing is attached.
absl::StatusOr<std::vector<Status>> ReadStatus();

void PrintText(const std::vector<Status>& groups, std::ostream& out);
// {"groups": [...]}, one object each with the names of the structure above and of the counters.
void PrintJson(const std::vector<Status>& groups, std::ostream& out);

}  // namespace sluice::backend

#endif  // SLUICE_TOOLS_BACKEND_STATUS_H_
