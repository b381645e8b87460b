#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace netsentinel::metrics {

using Labels = std::map<std::string, std::string>;

// Handles are a pointer in size, thread-safe, and valid as long as their registry. One made by the
// default constructor counts nothing.

// Only grows. Name it `netsentinel_<what>_total`.
class Counter {
 public:
  Counter() = default;
  void Increment(double by = 1) const;  // `by` is not negative
  double value() const;

 private:
  friend class Registry;
  explicit Counter(prometheus::Counter* counter) : counter_(counter) {}
  prometheus::Counter* counter_ = nullptr;
};

class Gauge {
 public:
  Gauge() = default;
  void Set(double value) const;
  void Add(double by) const;
  double value() const;

 private:
  friend class Registry;
  explicit Gauge(prometheus::Gauge* gauge) : gauge_(gauge) {}
  prometheus::Gauge* gauge_ = nullptr;
};

class Histogram {
 public:
  Histogram() = default;
  void Observe(double value) const;

 private:
  friend class Registry;
  explicit Histogram(prometheus::Histogram* histogram) : histogram_(histogram) {}
  prometheus::Histogram* histogram_ = nullptr;
};

// Bounds from 100 µs to 10 s, for durations in seconds.
std::vector<double> LatencySeconds();

// The metrics of one process. Thread-safe. The same name and labels again give the same metric; a
// name that Prometheus does not allow, or that was registered as another kind, is a bug and aborts.
// At most kMaxSeries series: beyond it handles that count nothing are returned, and
// `netsentinel_metrics_refused_total` counts them.
class Registry {
 public:
  static constexpr std::size_t kMaxSeries = 50000;

  Registry();
  ~Registry();
  Registry(const Registry&) = delete;
  Registry& operator=(const Registry&) = delete;

  Counter AddCounter(absl::string_view name, absl::string_view help, const Labels& labels = {});
  Gauge AddGauge(absl::string_view name, absl::string_view help, const Labels& labels = {});
  // `bounds` are the upper ends of the buckets, ascending.
  Histogram AddHistogram(absl::string_view name, absl::string_view help,
                         const std::vector<double>& bounds, const Labels& labels = {});

  // `update` runs before every Text(), to set gauges that are only worth computing then. It must
  // stay callable as long as the registry lives, and must not call Text() or OnCollect().
  void OnCollect(std::function<void()> update);

  // All metrics in the Prometheus text format 0.0.4.
  std::string Text() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace netsentinel::metrics
