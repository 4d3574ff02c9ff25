#ifndef SLUICE_CONTROLPLANE_METRICS_FAMILIES_H_
#define SLUICE_CONTROLPLANE_METRICS_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <chrono>
#include <initializer_list>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "controlplane/model/latency.h"

namespace sluice::metrics {

// A label's name and value.
using Label = std::pair<std::string_view, std::string_view>;

// One metric under construction: its name, its help, and a sample for each set of labels.
class Family {
 public:
  Family(std::string_view name, std::string_view help, prometheus::MetricType type) {
    family_.name = name;
    family_.help = help;
    family_.type = type;
  }

  // A counter's or a gauge's value.
  template <typename Number>
  void Add(std::initializer_list<Label> labels, Number value) {
    prometheus::ClientMetric& sample = NewSample(labels);
    if (family_.type == prometheus::MetricType::Counter) {
      sample.counter.value = static_cast<double>(value);
    } else {
      sample.gauge.value = static_cast<double>(value);
    }
  }
  void AddHistogram(std::initializer_list<Label> labels, const model::LatencyHistogram& latency) {
    prometheus::ClientMetric::Histogram& histogram = NewSample(labels).histogram;
    uint64_t below = 0;
    for (size_t i = 0; i < latency.counts.size(); ++i) {
      below += latency.counts[i];
      const bool last = i == latency.kUpToSeconds.size();
      histogram.bucket.push_back(
          {.cumulative_count = below,
           .upper_bound = last ? std::numeric_limits<double>::infinity() : latency.kUpToSeconds[i]});
    }
    histogram.sample_count = below;
    histogram.sample_sum = std::chrono::duration<double>(latency.total).count();
  }

  prometheus::MetricFamily Take() && { return std::move(family_); }

 private:
  prometheus::ClientMetric& NewSample(std::initializer_list<Label> labels) {
    prometheus::ClientMetric& sample = family_.metric.emplace_back();
    for (const auto& [name, value] : labels) sample.label.push_back({std::string(name), std::string(value)});
    return sample;
  }

  prometheus::MetricFamily family_;
};

// The metrics of one scrape.
class Families {
 public:
  // By Prometheus' conventions a counter's name ends in "_total".
  void Add(Family family) { out_.push_back(std::move(family).Take()); }
  template <typename Number>
  void AddGauge(std::string_view name, std::string_view help, Number value) {
    Family family(name, help, prometheus::MetricType::Gauge);
    family.Add({}, value);
    Add(std::move(family));
  }
  template <typename Number>
  void AddCounter(std::string_view name, std::string_view help, Number value) {
    Family family(name, help, prometheus::MetricType::Counter);
    family.Add({}, value);
    Add(std::move(family));
  }

  std::vector<prometheus::MetricFamily> Take() && { return std::move(out_); }

 private:
  std::vector<prometheus::MetricFamily> out_;
};

inline Family CounterFamily(std::string_view name, std::string_view help) {
  return {name, help, prometheus::MetricType::Counter};
}
inline Family GaugeFamily(std::string_view name, std::string_view help) {
  return {name, help, prometheus::MetricType::Gauge};
}

}  // namespace sluice::metrics

#endif  // SLUICE_CONTROLPLANE_METRICS_FAMILIES_H_
