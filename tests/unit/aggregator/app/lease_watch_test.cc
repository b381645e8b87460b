#include "aggregator/app/lease_watch.h"

#include <atomic>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::app {
namespace {

using ::testing::HasSubstr;

// Moves only when told; the watch's own thread looks at it too.
class WatchedClock final : public base::Clock {
 public:
  absl::Time WallNow() const override { return absl::UnixEpoch() + MonotonicNow(); }
  absl::Duration MonotonicNow() const override { return absl::Seconds(seconds_.load()); }
  absl::Duration BootNow() const override { return MonotonicNow(); }
  void Advance(absl::Duration by) { seconds_ += absl::ToInt64Seconds(by); }

 private:
  std::atomic<std::int64_t> seconds_{3600};
};

TEST(LeaseWatchTest, ALeaseThatCannotBeWrittenIsNotReadyUntilItIsWrittenAgain) {
  WatchedClock clock;
  http::Readiness readiness;
  LeaseWatch watch(readiness, clock, absl::Seconds(15));
  watch.Heard();
  clock.Advance(absl::Seconds(8));
  watch.Look();
  EXPECT_TRUE(readiness.ready()) << "it is extended every 5 s, and may take 3";
  clock.Advance(absl::Seconds(1));
  watch.Look();
  EXPECT_FALSE(readiness.ready());
  EXPECT_THAT(readiness.Text(), HasSubstr("lease: not ready: this aggregator's lease could not be "
                                          "written for 9s"));
  watch.Heard();
  EXPECT_TRUE(readiness.ready());
}

TEST(LeaseWatchTest, AStandbyHasNoLeaseThatCouldBeLate) {
  WatchedClock clock;
  http::Readiness readiness;
  LeaseWatch watch(readiness, clock, absl::Seconds(15));
  clock.Advance(absl::Hours(1));
  watch.Look();
  EXPECT_TRUE(readiness.ready());
  watch.Heard();
  watch.Rest();
  clock.Advance(absl::Hours(1));
  watch.Look();
  EXPECT_TRUE(readiness.ready());
}

}  // namespace
}  // namespace netsentinel::app
