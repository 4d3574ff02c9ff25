#ifndef SLUICE_CONFIG_RULES_H_
#define SLUICE_CONFIG_RULES_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "dataplane/net/address.h"

// The rules that several validations share. Those that return text return what is wrong, or nothing.
namespace sluice::config {

// Collects problems of one part of the configuration.
class ProblemList {
 public:
  void Add(std::string field, std::string message) { problems_.push_back({std::move(field), std::move(message)}); }
  void AddIf(std::string field, std::optional<std::string> message) {
    if (message) Add(std::move(field), *std::move(message));
  }
  // `what` names the value for the message: "weight 1001".
  void CheckRange(std::string field, std::string_view what, uint64_t value, const Range& range) {
    if (!range.Contains(value)) Add(std::move(field), OutOfRange(what, range));
  }
  std::vector<Problem> Take() { return std::move(problems_); }

 private:
  std::vector<Problem> problems_;
};

// A name of a node, port, pool, backend or VIP: letters, digits, ".", "_", "-"; 1 to 63 of them.
std::optional<std::string> CheckName(std::string_view name);

// The name of a network interface that is to be created.
std::optional<std::string> CheckInterfaceName(std::string_view name);

// An address that packets of others can be sent to: no multicast, no loopback, ...
std::optional<std::string> CheckHostAddress(const net::IpAddress& address);

// A prefix, or a single address, whose addresses packets of others can be sent to. Host bits must be zero.
std::optional<std::string> CheckHostPrefix(const net::IpPrefix& prefix);

// "host:port" or "[host]:port" with an IP address as the host.
struct HostPort {
  net::IpAddress host;
  uint16_t port = 0;  // 1 to 65535
};
std::optional<HostPort> ParseHostPort(std::string_view text);

// Where the API listens: "unix:/absolute/path" or a loopback address with port.
std::optional<std::string> CheckApiListen(std::string_view listen);
// Where anything else listens: an IP address with port. `usual_port` is for the example in the message.
std::optional<std::string> CheckListen(std::string_view listen, uint16_t usual_port);

// "IPv4" or "IPv6".
std::string_view FamilyName(net::Family family);

}  // namespace sluice::config

#endif  // SLUICE_CONFIG_RULES_H_
