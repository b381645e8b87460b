#include "common/metrics/registry.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::metrics {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(RegistryTest, MetricsAppearInThePrometheusTextFormat) {
  Registry registry;
  registry.AddCounter("polls_total", "Polls made.", {{"router", "hq"}}).Increment(3);
  registry.AddGauge("queues", "Queues seen.").Set(7);
  registry.AddHistogram("poll_seconds", "Time taken.", {0.1, 1}).Observe(0.5);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("# HELP polls_total Polls made.\n# TYPE polls_total counter\n"
                              "polls_total{router=\"hq\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("queues 7\n"));
  EXPECT_THAT(text, HasSubstr("poll_seconds_bucket{le=\"0.1\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("poll_seconds_bucket{le=\"1\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("poll_seconds_count 1\n"));
}

TEST(RegistryTest, TheSameNameAndLabelsAreTheSameMetric) {
  Registry registry;
  registry.AddCounter("c_total", "C.", {{"a", "1"}}).Increment();
  const Counter again = registry.AddCounter("c_total", "C.", {{"a", "1"}});
  const Counter other = registry.AddCounter("c_total", "C.", {{"a", "2"}});
  again.Increment();
  EXPECT_EQ(again.value(), 2);
  EXPECT_EQ(other.value(), 0);
}

TEST(RegistryTest, ALabelValueCannotBreakOutOfItsLine) {
  Registry registry;
  registry.AddGauge("g", "G.", {{"queue", "a\"} 1\nevil 2"}}).Set(1);
  EXPECT_THAT(registry.Text(), HasSubstr("g{queue=\"a\\\"} 1\\nevil 2\"} 1\n"));
}

TEST(RegistryTest, AHandleOfNothingCountsNothing) {
  const Counter counter;
  const Gauge gauge;
  counter.Increment();
  gauge.Set(5);
  Histogram().Observe(1);
  EXPECT_EQ(counter.value(), 0);
  EXPECT_EQ(gauge.value(), 0);
}

TEST(RegistryTest, UpdatesRunBeforeEachText) {
  Registry registry;
  const Gauge gauge = registry.AddGauge("asked", "How often.");
  registry.OnCollect([gauge] { gauge.Add(1); });
  registry.Text();
  EXPECT_THAT(registry.Text(), HasSubstr("asked 2\n"));
}

TEST(RegistryTest, BeyondTheLimitSeriesAreRefusedAndCounted) {
  Registry registry;
  for (std::size_t i = 0; i < Registry::kMaxSeries + 5; ++i) {
    registry.AddGauge("many", "Many.", {{"i", absl::StrCat(i)}}).Set(1);
  }
  const std::string text = registry.Text();
  // The refusal counter is itself one of the series.
  EXPECT_THAT(text, HasSubstr("netsentinel_metrics_refused_total 6\n"));
  EXPECT_THAT(text, HasSubstr("many{i=\"0\"} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr(absl::StrCat("many{i=\"", Registry::kMaxSeries, "\"}"))));
}

TEST(RegistryTest, ThreadsMayCountAndReadAtTheSameTime) {
  Registry registry;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&registry, t] {
      for (int i = 0; i < 200; ++i) {
        registry.AddCounter("c_total", "C.").Increment();
        registry.AddGauge("g", "G.", {{"t", absl::StrCat(t)}}).Set(i);
        if (i % 50 == 0) registry.Text();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(registry.AddCounter("c_total", "C.").value(), 800);
}

TEST(RegistryDeathTest, ANameThatPrometheusDoesNotAllowIsABug) {
  Registry registry;
  EXPECT_DEATH(registry.AddCounter("with space", "X."), "with space");
  registry.AddCounter("twice", "X.");
  EXPECT_DEATH(registry.AddGauge("twice", "X."), "another kind");
}

}  // namespace
}  // namespace netsentinel::metrics
