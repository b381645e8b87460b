#include "common/shell/process_metrics.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/fake_clock.h"

namespace netsentinel::shell {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;

TEST(ProcessMetricsTest, TheProcessIsMeasuredWhenAsked) {
  const test::FakeClock clock(absl::FromUnixSeconds(1767225600));
  metrics::Registry registry;
  AddProcessMetrics(registry, clock);
  const std::string text = registry.Text();
  EXPECT_THAT(text, HasSubstr("netsentinel_build_info{version=\"0.1.0\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("process_start_time_seconds 1767225600\n"));
  EXPECT_THAT(text, ContainsRegex("process_resident_memory_bytes [1-9]"));
  EXPECT_THAT(text, ContainsRegex("process_open_fds [1-9]"));
  EXPECT_THAT(text, HasSubstr("process_cpu_seconds_total "));
}

}  // namespace
}  // namespace netsentinel::shell
