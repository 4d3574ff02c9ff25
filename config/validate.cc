#include "config/validate.h"

#include <iterator>
#include <map>

#include "config/rules.h"
#include "config/text.h"
#include "config/validate_cookies.h"
#include "config/validate_nat.h"

namespace sluice::config {

std::vector<Problem> ValidateTogether(const NodeConfig& node, const ServiceConfig& services) {
  std::map<net::IpAddress, std::string_view> own;
  for (const PortConfig& port : node.ports) {
    for (const net::IpPrefix& prefix : port.addresses) {
      if (!prefix.address.IsUnspecified()) own.emplace(prefix.address, port.name);
    }
  }
  ProblemList problems;
  const auto check = [&](std::string field, std::string_view kind, std::string_view name, const net::IpAddress& address,
                         std::string_view remedy) {
    const auto port = own.find(address);
    if (port == own.end()) return;
    problems.Add(std::move(field), Cat(kind, " ", Quote(name), " has the address ", address.ToString(),
                                       " of this node's port ", Quote(port->second), "; ", remedy));
  };
  for (size_t v = 0; v < services.vips.size(); ++v) {
    const VipConfig& vip = services.vips[v];
    const std::string field = VipPath(v) + ".address";
    if (vip.prefix.length == vip.prefix.address.bits()) {
      check(field, "VIP", vip.name, vip.prefix.address,
            "give it an address that no interface has, or the node could not be reached at its own");
      continue;
    }
    if (vip.prefix.address.IsUnspecified()) continue;
    // In the order of addresses those of a prefix stand together.
    const auto port = own.lower_bound(vip.prefix.address);
    if (port == own.end() || !vip.prefix.Contains(port->first)) continue;
    problems.Add(field, Cat("VIP ", Quote(vip.name), " has the prefix ", vip.prefix.ToString(), ", and with it the ",
                            "address ", port->first.ToString(), " of this node's port ", Quote(port->second),
                            "; give prefixes without it, or the node could not be reached at its own"));
  }
  for (size_t p = 0; p < services.pools.size(); ++p) {
    const PoolConfig& pool = services.pools[p];
    for (size_t b = 0; b < pool.backends.size(); ++b) {
      check(BackendPath(p, b) + ".address", "backend", pool.backends[b].name, pool.backends[b].address,
            "a backend is another machine");
    }
  }
  CheckNatTogether(node, services, &problems);
  CheckTiersTogether(node, services, &problems);
  return problems.Take();
}

std::vector<Problem> ValidateConfig(const Config& config) {
  std::vector<Problem> problems = ValidateNode(config.node);
  for (auto&& part : {ValidateServices(config.services), ValidateTogether(config.node, config.services)}) {
    problems.insert(problems.end(), part.begin(), part.end());
  }
  return problems;
}

}  // namespace sluice::config
