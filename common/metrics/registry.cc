#include "common/metrics/registry.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include <prometheus/check_names.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "common/base/check.h"
#include "common/base/mutex.h"

namespace netsentinel::metrics {

void Counter::Increment(double by) const {
  if (counter_ != nullptr) counter_->Increment(by);
}
double Counter::value() const { return counter_ == nullptr ? 0 : counter_->Value(); }

void Gauge::Set(double value) const {
  if (gauge_ != nullptr) gauge_->Set(value);
}
void Gauge::Add(double by) const {
  if (gauge_ != nullptr) gauge_->Increment(by);
}
double Gauge::value() const { return gauge_ == nullptr ? 0 : gauge_->Value(); }

void Histogram::Observe(double value) const {
  if (histogram_ != nullptr) histogram_->Observe(value);
}

std::vector<double> LatencySeconds() {
  return {0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
          0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};
}

struct Registry::State {
  enum class Kind { kCounter, kGauge, kHistogram };

  // True when the series may be made; checks the name and the kind.
  bool Admit(absl::string_view name, const Labels& labels, Kind kind) {
    NS_CHECK(prometheus::CheckMetricName(std::string(name)), name);
    for (const auto& [label, value] : labels) {
      NS_CHECK(prometheus::CheckLabelName(label), label);
    }
    base::MutexLock lock(mutex);
    const auto [at, inserted] = kinds.emplace(std::string(name), kind);
    NS_CHECK(inserted || at->second == kind, absl::StrCat(name, " is of another kind"));
    if (series.count({std::string(name), labels}) != 0) return true;
    if (series.size() >= kMaxSeries) return false;
    series.insert({std::string(name), labels});
    return true;
  }

  base::Mutex mutex;
  std::map<std::string, Kind> kinds ABSL_GUARDED_BY(mutex);
  std::set<std::pair<std::string, Labels>> series ABSL_GUARDED_BY(mutex);
  std::vector<std::function<void()>> updates ABSL_GUARDED_BY(mutex);
  prometheus::Registry registry;
  Counter refused;
};

Registry::Registry() : state_(std::make_unique<State>()) {
  state_->refused = AddCounter("netsentinel_metrics_refused_total",
                               "Series that were not made because the process has too many.");
}

Registry::~Registry() = default;

Counter Registry::AddCounter(absl::string_view name, absl::string_view help, const Labels& labels) {
  if (!state_->Admit(name, labels, State::Kind::kCounter)) {
    state_->refused.Increment();
    return Counter();
  }
  return Counter(&prometheus::BuildCounter()
                      .Name(std::string(name))
                      .Help(std::string(help))
                      .Register(state_->registry)
                      .Add(labels));
}

Gauge Registry::AddGauge(absl::string_view name, absl::string_view help, const Labels& labels) {
  if (!state_->Admit(name, labels, State::Kind::kGauge)) {
    state_->refused.Increment();
    return Gauge();
  }
  return Gauge(&prometheus::BuildGauge()
                    .Name(std::string(name))
                    .Help(std::string(help))
                    .Register(state_->registry)
                    .Add(labels));
}

Histogram Registry::AddHistogram(absl::string_view name, absl::string_view help,
                                 const std::vector<double>& bounds, const Labels& labels) {
  if (!state_->Admit(name, labels, State::Kind::kHistogram)) {
    state_->refused.Increment();
    return Histogram();
  }
  return Histogram(&prometheus::BuildHistogram()
                        .Name(std::string(name))
                        .Help(std::string(help))
                        .Register(state_->registry)
                        .Add(labels, bounds));
}

void Registry::OnCollect(std::function<void()> update) {
  base::MutexLock lock(state_->mutex);
  state_->updates.push_back(std::move(update));
}

std::string Registry::Text() const {
  std::vector<std::function<void()>> updates;
  {
    base::MutexLock lock(state_->mutex);
    updates = state_->updates;
  }
  for (const auto& update : updates) update();
  return prometheus::TextSerializer().Serialize(state_->registry.Collect());
}

}  // namespace netsentinel::metrics
