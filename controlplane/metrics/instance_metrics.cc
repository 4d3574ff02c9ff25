#include <chrono>
#include <optional>

#include "controlplane/metrics/parts.h"
#include "controlplane/model/text.h"

namespace sluice::metrics {
namespace {

double Seconds(std::chrono::nanoseconds time) { return std::chrono::duration<double>(time).count(); }

void CollectIds(const model::Registry& registry, Families& out) {
  Family ids = GaugeFamily("sluice_ids", "Internal numbers in use, or waiting until no worker can know them any more.");
  Family limits =
      GaugeFamily("sluice_ids_limit", "Internal numbers there are: the most objects this instance can hold.");
  const auto add = [&](std::string_view kind, const model::IdAllocator& allocator) {
    ids.Add({{"kind", kind}, {"state", "used"}}, allocator.used());
    ids.Add({{"kind", kind}, {"state", "quarantined"}}, allocator.quarantined());
    limits.Add({{"kind", kind}}, allocator.limit());
  };
  add("vip", registry.vip_ids);
  add("backend", registry.backend_ids);
  out.Add(std::move(ids));
  out.Add(std::move(limits));
}

void CollectCalls(const model::CallStats& stats, Families& out) {
  Family calls = CounterFamily("sluice_api_calls_total", "Calls of the API that were answered, by their code.");
  Family duration("sluice_api_call_duration_seconds", "Time from a call of the API to its answer.",
                  prometheus::MetricType::Histogram);
  for (const auto& [method, of] : stats.All()) {
    for (const auto& [code, count] : of.by_code) calls.Add({{"method", method}, {"code", code}}, count);
    duration.AddHistogram({{"method", method}}, of.latency);
  }
  out.Add(std::move(calls));
  out.Add(std::move(duration));
}

}  // namespace

void CollectInstance(const Sources& sources, const model::Snapshot& now, Families& out) {
  Family build = GaugeFamily("sluice_build_info", "Always 1; its labels say what is running.");
  build.Add({{"version", sources.version}}, 1);
  out.Add(std::move(build));
  out.AddGauge("process_start_time_seconds", "When the process started, in seconds since 1970.",
               sources.started_unix_s);

  out.AddGauge("sluice_state_generation", "Generation of the newest forwarding state.", now.generation);
  out.AddGauge("sluice_state_generation_in_use", "Newest generation that every worker has taken up.",
               sources.view.GenerationInUse());
  out.AddGauge("sluice_state_published_timestamp_seconds",
               "When the newest state was published, in seconds since 1970.",
               Seconds(now.published_at.time_since_epoch()));
  const model::PublishStats stats = sources.truth.publish_stats();
  Family publish("sluice_state_publish_duration_seconds", "Time from a valid change to its publication to the workers.",
                 prometheus::MetricType::Histogram);
  publish.AddHistogram({}, stats.time);
  out.Add(std::move(publish));
  out.AddGauge("sluice_state_last_publish_duration_seconds", "The same, of the newest state.",
               Seconds(stats.last_time));
  out.AddCounter("sluice_state_publish_refused_total",
                 "States that the data plane did not take because a worker does not make progress.", stats.refused);

  out.AddGauge("sluice_config_last_reload_successful", "Whether the configuration file was applied when last read.",
               sources.reload.last_successful.load() ? 1 : 0);
  out.AddGauge("sluice_config_last_reload_success_timestamp_seconds",
               "When the configuration file was last applied, in seconds since 1970.",
               sources.reload.last_success_unix_s.load());
  Family cookies =
      GaugeFamily("sluice_cookie_digest_info", "Always 1; its labels are equal on directors that read cookies alike.");
  cookies.Add({{"ids", model::HexDigits(now.cookie_ids_digest)}, {"keys", model::HexDigits(now.cookie_keys_digest)}},
              1);
  out.Add(std::move(cookies));
  CollectIds(*now.registry, out);
  const std::optional<double> expiry = sources.certificate_expiry ? sources.certificate_expiry() : std::nullopt;
  if (expiry) {
    out.AddGauge("sluice_api_certificate_expiry_timestamp_seconds",
                 "When the certificate of the API's TLS port ends, in seconds since 1970.", *expiry);
  }
  if (sources.calls != nullptr) CollectCalls(*sources.calls, out);
}

}  // namespace sluice::metrics
