#include "config/validate_health.h"

#include <algorithm>
#include <string>

#include "config/limits.h"
#include "config/text.h"

namespace sluice::config {
namespace {

// One pool's check, and where its problems are reported.
class Rules {
 public:
  Rules(const PoolConfig& pool, size_t index, ProblemList* problems)
      : pool_(pool),
        check_(*pool.health_check),
        path_(IndexPath("services.pools", index) + ".health_check"),
        of_pool_(Cat(" of the health check of pool ", Quote(pool.name))),
        problems_(problems) {}

  void CheckTimes() {
    Range("interval_ms", check_.interval_ms, limits::kCheckIntervalMs);
    if (check_.fast_interval_ms) {
      Range("fast_interval_ms", *check_.fast_interval_ms, limits::kCheckIntervalMs);
      if (*check_.fast_interval_ms > check_.interval_ms) {
        Add("fast_interval_ms", Cat("fast_interval_ms ", *check_.fast_interval_ms, of_pool_, " is longer than its ",
                                    "interval_ms ", check_.interval_ms, "; take a shorter one, or remove it"));
      }
    }
    Range("timeout_ms", check_.timeout_ms, limits::kCheckTimeoutMs);
    Range("rise", check_.rise, limits::kCheckCount);
    Range("fall", check_.fall, limits::kCheckCount);
    if (check_.port) Range("port", *check_.port, limits::kL4Port);
  }

  // Fields of other types than the check's own say that something else was meant.
  void CheckFields() {
    const HealthCheckConfig usual;
    const bool http = IsHttp(check_.type);
    Only(http, "method", check_.method != usual.method, "types http and https");
    Only(http, "path", check_.path != usual.path, "types http and https");
    Only(http || check_.type == CheckType::kGrpc, "host", !check_.host.empty(), "types http, https and grpc");
    Only(http, "headers", !check_.headers.empty(), "types http and https");
    Only(http, "status", !check_.statuses.empty(), "types http and https");
    Only(http, "body", !check_.body.empty(), "types http and https");
    Only(http, "http2", check_.http2, "types http and https; gRPC speaks it always");
    Only(check_.type == CheckType::kGrpc, "tls", check_.tls, "type grpc; with HTTP, take type https");
    Only(check_.uses_tls(), "server_name", !check_.server_name.empty(), "TLS");
    Only(check_.uses_tls(), "ca_file", !check_.ca_file.empty(), "TLS");
    Only(check_.type == CheckType::kGrpc, "service", !check_.service.empty(), "type grpc");
    Only(check_.type == CheckType::kUdp, "send", !check_.send.empty(), "type udp");
    Only(check_.type == CheckType::kUdp, "expect", !check_.expect.empty(), "type udp");
    Only(check_.type == CheckType::kCommand, "command", !check_.command.empty(), "type command");
    if (check_.type == CheckType::kCommand) problems_->AddIf(Cat(path_, ".command"), CheckName(check_.command));
    if (check_.type == CheckType::kUdp && check_.send.empty()) {
      Add("send", Cat("send", of_pool_, " is missing: the datagram that is answered"));
    }
  }

  void CheckTexts() {
    Text("path", check_.path, false);
    if (!check_.path.starts_with('/')) {
      Add("path", Cat("path ", Quote(check_.path), of_pool_, " does not begin with a slash; write it like /healthz"));
    }
    Text("method", check_.method, false);
    Text("host", check_.host, false);
    Text("server_name", check_.server_name, false);
    Text("service", check_.service, false);
    Text("body", check_.body, true);
    Bytes("send", check_.send);
    Bytes("expect", check_.expect);
    Text("ca_file", check_.ca_file, true);
    if (!check_.ca_file.empty() && !check_.ca_file.starts_with('/')) {
      Add("ca_file", Cat("ca_file ", Quote(check_.ca_file), of_pool_, " is no absolute path"));
    }
    if (check_.headers.size() > limits::kCheckHeaders) {
      Add("headers", Cat("there are ", check_.headers.size(), " headers", of_pool_, "; at most ", limits::kCheckHeaders,
                         " are possible"));
      return;
    }
    for (size_t i = 0; i < check_.headers.size(); ++i) {
      const std::string field = IndexPath("headers", i);
      Text(field, check_.headers[i], true);
      const size_t colon = check_.headers[i].find(": ");
      if (colon == 0 || colon == std::string::npos) {
        Add(field, Cat(Quote(check_.headers[i]), of_pool_, " is no header; write it like \"X-Check: sluice\""));
      }
    }
  }

  // The check must know a VIP's way and a port.
  // `named`: the VIP that has the name of `vip`, and `backup` that of its pool; `first`: the first that uses the pool.
  // Null: there is none.
  void CheckWay(const VipConfig* named, std::string_view backup, const VipConfig* first) {
    if (!check_.vip.empty()) {
      if (named == nullptr || (named->pool != pool_.name && backup != pool_.name)) {
        Add("vip", Cat("vip ", Quote(check_.vip), of_pool_, named == nullptr ? " is no VIP" : " does not use this pool",
                       "; name one that uses it, or remove `vip`, for the first one by name"));
        return;
      }
      if (check_.direct) {
        Add("vip", Cat("vip", of_pool_, " means nothing with `direct`; remove one of them"));
      }
    }
    if (check_.port || check_.type == CheckType::kIcmp || pool_.backends.empty()) return;
    const VipConfig* vip = named != nullptr ? named : first;
    if (vip != nullptr && vip->ports.is_single()) return;
    const bool all_have_one = std::all_of(pool_.backends.begin(), pool_.backends.end(),
                                          [](const BackendConfig& backend) { return backend.port.has_value(); });
    if (all_have_one) return;
    // A pool that no VIP uses yet is not checked.
    if (vip == nullptr && !check_.direct) return;
    Add("port", Cat("port", of_pool_, " must be given: ",
                    vip == nullptr ? std::string("no VIP uses the pool")
                                   : Cat("the VIP ", Quote(vip->name), " has more than one port"),
                    ", so none can be taken from it"));
  }

 private:
  void Add(std::string_view field, std::string message) { problems_->Add(Cat(path_, ".", field), std::move(message)); }
  void Range(std::string_view field, uint64_t value, const config::Range& range) {
    problems_->CheckRange(Cat(path_, ".", field), Cat(field, " ", value, of_pool_), value, range);
  }
  void Only(bool allowed, std::string_view field, bool given, std::string_view where) {
    if (allowed || !given) return;
    Add(field,
        Cat(field, of_pool_, ", whose type is ", CheckTypeName(check_.type), ", is only for ", where, "; remove it"));
  }
  void Bytes(std::string_view field, const std::string& text) {
    Text(field, text, true);
    if (!text.starts_with("0x")) return;
    const bool hex = text.size() > 2 && text.size() % 2 == 0 &&
                     text.find_first_not_of("0123456789abcdefABCDEF", 2) == std::string::npos;
    if (!hex) Add(field, Cat(field, of_pool_, " begins with 0x, but pairs of hexadecimal digits do not follow"));
  }
  // Texts end up in requests: what would begin another line there is refused.
  void Text(std::string_view field, const std::string& text, bool spaces) {
    if (text.size() > limits::kCheckText) {
      Add(field, Cat(field, of_pool_, " is longer than ", limits::kCheckText, " bytes"));
    } else if (std::any_of(text.begin(), text.end(), [&](char c) {
                 return static_cast<unsigned char>(c) < 0x20 || c == 0x7f || (c == ' ' && !spaces);
               })) {
      Add(field, Cat(field, of_pool_, " has a ", spaces ? "" : "space or ", "control character; remove it"));
    }
  }

  const PoolConfig& pool_;
  const HealthCheckConfig& check_;
  const std::string path_;
  const std::string of_pool_;
  ProblemList* const problems_;
};

}  // namespace

void CheckHealthChecks(const ServiceConfig& services, ProblemList* problems) {
  StringMap<const VipConfig*> by_name;
  StringMap<const VipConfig*> first_of_pool;
  StringMap<std::string_view> backups;  // by pool
  for (const PoolConfig& pool : services.pools) backups.emplace(pool.name, pool.policy.backup);
  const auto backup_of = [&](const VipConfig& vip) {
    const auto found = backups.find(vip.pool);
    return found == backups.end() ? std::string_view() : found->second;
  };
  StringMap<const VipConfig*> first_of_backup;
  const auto note = [](const VipConfig& vip, const VipConfig*& first) {
    if (first == nullptr || vip.name < first->name) first = &vip;
  };
  for (const VipConfig& vip : services.vips) {
    by_name.emplace(vip.name, &vip);
    note(vip, first_of_pool[vip.pool]);
    note(vip, first_of_backup[std::string(backup_of(vip))]);
  }
  const auto find = [](const StringMap<const VipConfig*>& vips, const std::string& key) {
    const auto found = vips.find(key);
    return found == vips.end() ? nullptr : found->second;
  };
  for (size_t i = 0; i < services.pools.size(); ++i) {
    if (!services.pools[i].health_check) continue;
    Rules rules(services.pools[i], i, problems);
    rules.CheckTimes();
    rules.CheckFields();
    rules.CheckTexts();
    const VipConfig* named = find(by_name, services.pools[i].health_check->vip);
    const VipConfig* first = find(first_of_pool, services.pools[i].name);
    if (first == nullptr) first = find(first_of_backup, services.pools[i].name);
    rules.CheckWay(named, named == nullptr ? std::string_view() : backup_of(*named), first);
  }
}

}  // namespace sluice::config
