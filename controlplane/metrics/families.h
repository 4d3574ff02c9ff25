#ifndef SLUICE_CONTROLPLANE_METRICS_FAMILIES_H_
#define SLUICE_CONTROLPLANE_METRICS_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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
  // A summary without quantiles: how many, and their sum.
  void AddSummary(uint64_t count, double sum) {
    prometheus::ClientMetric& sample = NewSample({});
    sample.summary.sample_count = count;
    sample.summary.sample_sum = sum;
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
