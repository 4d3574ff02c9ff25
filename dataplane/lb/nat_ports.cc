#include "dataplane/lb/nat_ports.h"

namespace sluice::lb {
namespace {

uint32_t PortCount(const LocalEnds& ends) { return uint32_t{ends.last_port} - ends.first_port + 1; }

}  // namespace

bool LocalEnds::Add(const net::IpAddress& address) {
  LocalAddresses& local = address.is_v4() ? v4 : v6;
  if (local.count == kMaxLocalAddresses) return false;
  local.addresses[local.count++] = LoadNatAddress(address.family(), address.data());
  return true;
}

LocalPortPart PortsOfWorker(const LocalEnds& ends, WorkerId worker, size_t worker_count) {
  const uint64_t count = PortCount(ends);
  const auto begin = static_cast<uint32_t>(count * worker.value() / worker_count);
  const auto end = static_cast<uint32_t>(count * (worker.value() + 1u) / worker_count);
  return {.first = ends.first_port + begin, .count = end - begin};
}

WorkerId WorkerOfLocalPort(const LocalEnds& ends, Be16 port, size_t worker_count) {
  // The inverse of the above: the last worker whose part begins at or before the port.
  const uint64_t at = uint64_t{port.Host()} - ends.first_port;
  return WorkerId(static_cast<WorkerId::rep>(((at + 1) * worker_count - 1) / PortCount(ends)));
}

}  // namespace sluice::lb
