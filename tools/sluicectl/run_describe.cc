#include <string>

#include "config/dump.h"
#include "config/text.h"
#include "controlplane/rpc/convert.h"
#include "tools/sluicectl/change.h"
#include "tools/sluicectl/failure.h"
#include "tools/sluicectl/run.h"
#include "tools/sluicectl/units.h"

// All about one object.
namespace sluice::ctl {
namespace {

using config::Cat;
using Stub = v1::Inspector::Stub;

void Line(std::string_view name, const std::string& value, std::ostream& out) {
  out << name << std::string(14 - name.size(), ' ') << value << "\n";
}

std::string Traffic(uint64_t packets, uint64_t bytes) {
  return Cat(HumanCount(packets), " packets, ", HumanBytes(bytes));
}

// In the words of a file. Left out where this sluicectl does not understand it, being older than the server.
void PrintConfiguration(const v1::Vip& vip, std::ostream& out) {
  const absl::StatusOr<config::VipConfig> desired = rpc::FromProto(vip, "vip");
  if (!desired.ok()) return;
  config::ServiceConfig only;
  only.vips.push_back(*desired);
  const std::string text = config::DumpServices(only);
  const size_t item = text.find("    - ");
  if (item != std::string::npos) out << "\nconfiguration\n" << text.substr(item);
}

void PrintVip(const v1::VipStatus& vip, std::ostream& out) {
  const v1::Vip& desired = vip.vip();
  Line("VIP", desired.name(), out);
  Line("service", ServiceText(desired), out);
  Line("mode", std::string(ModeText(desired.mode())), out);
  Line("hash", std::string(HashText(desired.hash())), out);
  Line("tracking", TrackingText(desired), out);
  Line("pool", Cat(desired.pool(), ", ", vip.backends_active(), " of ", vip.backends_total(), " backends active"), out);
  Line("traffic", Traffic(vip.packets(), vip.bytes()), out);
  if (vip.reply_packets() > 0) Line("replies", Traffic(vip.reply_packets(), vip.reply_bytes()), out);
  Line("new flows", HumanCount(vip.new_flows()), out);
  Line("dropped", HumanCount(vip.dropped()), out);
  Line("unprotected",
       Cat(HumanCount(vip.unprotected()), vip.unprotected() == 0 ? "" : " packets without entry or cookie"), out);
  PrintConfiguration(desired, out);
}

std::string ServedByText(const v1::PoolStatus& pool) {
  switch (pool.served_by()) {
    case v1::POOL_SERVICE_PANIC:
      return Cat("PANIC: fewer than ", pool.pool().panic_threshold_percent(), "% are up, so all are used");
    case v1::POOL_SERVICE_BACKUP:
      return Cat("BACKUP: go to the pool ", pool.pool().backup());
    case v1::POOL_SERVICE_NONE:
      return "NONE: no backend can be used";
    default:
      return "go to its own backends";
  }
}

std::string_view HealthText(v1::BackendHealth health) {
  switch (health) {
    case v1::BACKEND_HEALTH_UP:
      return "up";
    case v1::BACKEND_HEALTH_DOWN:
      return "down";
    default:
      return "unchecked";
  }
}

// "down since 2026-11-28T20:11:02Z: connection refused"
std::string HealthLine(const v1::BackendStatus& backend) {
  return Cat(HealthText(backend.health()), " since ", UtcTime(backend.health_since_unix_ms()),
             backend.health_reason().empty() ? "" : ": ", backend.health_reason());
}

void PrintPool(const v1::PoolStatus& pool, std::ostream& out) {
  Line("pool", pool.pool().name(), out);
  Line("table size", std::to_string(pool.pool().table_size()), out);
  Line("VIPs", VipNames(pool), out);
  Line("new flows", ServedByText(pool), out);
  Line("active", Cat(pool.backends_active(), " of ", pool.backends_size(), " backends"), out);
  Line("flows alive", HumanCount(pool.flows_alive()), out);
  out << "\n";
  v1::ListBackendsResponse backends;
  *backends.mutable_backends() = pool.backends();
  PrintBackends(backends, false, out);
}

void PrintBackend(const v1::BackendStatus& backend, std::ostream& out) {
  const v1::Backend& desired = backend.backend();
  Line("backend", Cat(backend.pool(), "/", desired.name()), out);
  Line("address", BackendText(desired), out);
  Line("state", StateText(backend), out);
  if (backend.health() > v1::BACKEND_HEALTH_UNCHECKED) {
    Line("health", HealthLine(backend), out);
    Line("  checks", std::string(HealthText(backend.health_checked())), out);
    Line("  reports", std::string(HealthText(backend.health_reported())), out);
  }
  if (backend.has_check()) {
    const v1::CheckStatus& check = backend.check();
    Line("check", check.check(), out);
    Line("  newest", check.reason(), out);
    Line("  latency", HumanMicroseconds(check.latency_us()), out);
    Line("  results",
         Cat(check.passed(), " passed, ", check.failed(), " failed, ", check.not_made(), " not made, ",
             check.transitions(), " transitions"),
         out);
  }
  if (backend.check().has_load()) Line("  load", HumanShare(backend.check().load()), out);
  Line("weight", Cat(desired.weight(), ", ", HumanShare(backend.slot_share()), " of the pool's slots"), out);
  if (backend.slow_start_percent() > 0 && backend.slow_start_percent() < 100) {
    Line("  slow start", Cat(backend.slow_start_percent(), "% of the weight so far"), out);
  }
  if (backend.load_percent() > 0 && backend.load_percent() < 100) {
    Line("  by load", Cat(backend.load_percent(), "% of the weight, because it reports more load than others"), out);
  }
  if (desired.has_cookie_id()) Line("cookie id", std::to_string(desired.cookie_id()), out);
  Line("flows", Cat(HumanCount(backend.flows_alive()), " alive, ", HumanCount(backend.flows_started()), " started"),
       out);
  Line("traffic", Traffic(backend.packets(), backend.bytes()), out);
  Line("next hop", NextHopText(backend.next_hop()), out);
}

}  // namespace

absl::Status RunDescribe(Invocation& invocation) {
  const std::string& kind = invocation.operands[0];
  const std::string& name = invocation.operands[1];
  if (kind == "vip") {
    v1::GetVipRequest request;
    request.set_name(name);
    return Change<Stub, v1::GetVipRequest, v1::VipStatus>(
        invocation, &Stub::GetVip, request, [&](const v1::VipStatus& vip) { PrintVip(vip, invocation.out); });
  }
  if (kind == "pool") {
    v1::GetPoolRequest request;
    request.set_name(name);
    return Change<Stub, v1::GetPoolRequest, v1::PoolStatus>(
        invocation, &Stub::GetPool, request, [&](const v1::PoolStatus& pool) { PrintPool(pool, invocation.out); });
  }
  if (kind == "backend") {
    const absl::StatusOr<BackendName> backend = ReadBackendName(name);
    if (!backend.ok()) return backend.status();
    v1::GetBackendRequest request;
    request.set_pool(backend->pool);
    request.set_backend(backend->backend);
    return Change<Stub, v1::GetBackendRequest, v1::BackendStatus>(
        invocation, &Stub::GetBackend, request,
        [&](const v1::BackendStatus& status) { PrintBackend(status, invocation.out); });
  }
  return UsageError(Cat("\"", kind, "\" cannot be described", Suggestion(kind, {"vip", "pool", "backend"}),
                        "; use: sluicectl describe vip NAME, pool NAME or backend POOL/NAME"));
}

}  // namespace sluice::ctl
