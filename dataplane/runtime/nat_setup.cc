#include "dataplane/runtime/nat_setup.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "dataplane/base/log.h"

namespace sluice::runtime {

std::vector<std::unique_ptr<RssSteering>> MakeReplySteering(const DataplaneOptions& options,
                                                            const std::vector<std::unique_ptr<Port>>& ports) {
  std::vector<std::unique_ptr<RssSteering>> steering;
  if (options.workers < 2 || options.nat_local_addresses.empty()) return steering;
  const std::optional<RssSetup> rss = ports.front()->Rss();
  const bool same = rss && std::all_of(ports.begin(), ports.end(), [&](const auto& p) { return p->Rss() == rss; });
  if (!same) {
    SLUICE_LOG(kInfo) << "full NAT: the devices do not tell how they spread packets over queues, or differ in it; "
                         "replies that arrive on another worker are passed on to theirs";
    return steering;
  }
  for (uint32_t i = 0; i < options.workers; ++i) {
    steering.push_back(std::make_unique<RssSteering>(*rss, WorkerId(static_cast<uint8_t>(i))));
  }
  return steering;
}

absl::StatusOr<fwd::NatSetup> MakeNatSetup(const DataplaneOptions& options, WorkerId worker,
                                           const lb::ReplySteering* steering) {
  fwd::NatSetup setup;
  setup.worker = worker;
  setup.worker_count = options.workers;
  setup.steering = steering;
  setup.ends.first_port = options.nat_first_port;
  setup.ends.last_port = options.nat_last_port;
  for (const net::IpAddress& address : options.nat_local_addresses) {
    if (setup.ends.Add(address)) continue;
    return absl::InvalidArgumentError(absl::StrCat("nat.local_addresses has more than ", lb::kMaxLocalAddresses,
                                                   " addresses of one family: remove some"));
  }
  return setup;
}

}  // namespace sluice::runtime
