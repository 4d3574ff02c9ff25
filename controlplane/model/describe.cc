#include "controlplane/model/describe.h"

#include <vector>

#include "absl/strings/str_join.h"
#include "controlplane/model/text.h"

namespace sluice::model {

std::string_view ModeName(ForwardingMode mode) {
  switch (mode) {
    case ForwardingMode::kL2:
      return "l2";
    case ForwardingMode::kIpip:
      return "ipip";
  }
  return "unknown";
}

std::string_view ProtocolName(Protocol protocol) {
  switch (protocol) {
    case Protocol::kTcp:
      return "tcp";
    case Protocol::kUdp:
      return "udp";
  }
  return "unknown";
}

std::string ServiceAddress(const DesiredVip& vip) {
  const std::string address = vip.address.is_v4() ? vip.address.ToString() : Cat("[", vip.address.ToString(), "]");
  return Cat(address, ":", vip.port, "/", ProtocolName(vip.protocol));
}

std::string DescribeAdded(std::string_view pool, const BackendRecord& backend) {
  return Cat("+ backend ", pool, "/", backend.desired.name, ": ", backend.desired.address.ToString(), " weight ",
             backend.desired.weight, " ", LifecycleName(backend.lifecycle));
}

std::string DescribeRemoved(std::string_view pool, const BackendRecord& backend) {
  return Cat("- backend ", pool, "/", backend.desired.name, ": ", LifecycleName(backend.lifecycle), " -> ",
             LifecycleName(Lifecycle::kRemoved));
}

std::string DescribeChanged(std::string_view pool, const BackendRecord& before, const BackendRecord& after) {
  std::vector<std::string> parts;
  if (before.desired.name != after.desired.name) {
    parts.push_back(Cat("name ", before.desired.name, " -> ", after.desired.name));
  }
  if (before.desired.weight != after.desired.weight) {
    parts.push_back(Cat("weight ", before.desired.weight, " -> ", after.desired.weight));
  }
  if (before.lifecycle != after.lifecycle) {
    parts.push_back(Cat(LifecycleName(before.lifecycle), " -> ", LifecycleName(after.lifecycle)));
  }
  if (parts.empty()) return "";
  return Cat("~ backend ", pool, "/", after.desired.name, ": ", absl::StrJoin(parts, ", "));
}

std::string DescribeAdded(const DesiredVip& vip) {
  return Cat("+ vip ", vip.name, ": ", ServiceAddress(vip), " pool ", vip.pool, " mode ", ModeName(vip.mode));
}

std::string DescribeChanged(const DesiredVip& before, const DesiredVip& after) {
  std::vector<std::string> parts;
  if (before.name != after.name) parts.push_back(Cat("name ", before.name, " -> ", after.name));
  if (before.pool != after.pool) parts.push_back(Cat("pool ", before.pool, " -> ", after.pool));
  if (before.mode != after.mode) {
    parts.push_back(Cat("mode ", ModeName(before.mode), " -> ", ModeName(after.mode)));
  }
  if (parts.empty()) return "";
  return Cat("~ vip ", after.name, ": ", absl::StrJoin(parts, ", "));
}

}  // namespace sluice::model
