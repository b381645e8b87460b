#include "aggregator/app/retention.h"

#include <memory>
#include <utility>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/store/sqlite_store.h"
#include "common/log/capturing_logger.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/ingest/flaky_store.h"

namespace netsentinel::app {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

const absl::Time kNow = absl::FromCivil(absl::CivilSecond(2026, 5, 20, 12), absl::UTCTimeZone());

TEST(RetentionTest, KeepsSoManyWholeMonthsBeforeTheCurrentOne) {
  Retention retention;
  retention.monthly_months = 2;
  EXPECT_EQ(retention.MonthsBefore(kNow), absl::CivilMonth(2026, 3));
  retention.monthly_months = 0;
  retention.monthly_days = 100;  // since February 9: February is wanted still
  EXPECT_EQ(retention.MonthsBefore(kNow), absl::CivilMonth(2026, 2));
  // Days of January may still go into it.
  retention.daily_days = 120;
  EXPECT_EQ(retention.MonthsBefore(kNow), absl::CivilMonth(2026, 1));
  EXPECT_EQ(retention.DaysBefore(kNow), absl::CivilDay(2026, 1, 20));
}

class PurgeTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(auto store, factory_->Connect());
    store_ = std::make_unique<store::FlakyStore>(std::move(store));
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Minutes(5)));
    fence_ = lease.fence;
    // One event and one epoch a day, of the last 100 days.
    store::CommitBatch batch;
    for (int day = 0; day < 100; ++day) {
      const std::int64_t at_us = absl::ToUnixMicros(kNow - day * absl::Hours(24));
      batch.events.push_back(
          {at_us, base::RouterId("r1"), counters::Menu::kSimple, "", "reboot", ""});
      batch.epochs.push_back({queue_, 1, at_us});
    }
    ASSERT_THAT(store_->Commit(fence_, batch), test::IsOk());
  }
  void Purge(std::size_t slice, const std::stop_token& stop = {}) {
    Retention retention;
    retention.history_days = 62;
    PurgeOnce({*store_, fence_, slice}, retention, kNow, stop, logger_);
  }

  const accounting::QueueKey queue_ = {base::RouterId("r1"), counters::Menu::kSimple, "alice"};
  test::TempFolder folder_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::FlakyStore> store_;
  store::Fence fence_;
  log::CapturingLogger logger_;
};

TEST_F(PurgeTest, HistoryPastItsRetentionGoesInBoundedBatchesAndTheRestStays) {
  Purge(10);
  // Days and months have nothing; then 37 events and as many epochs in calls of 10 of each.
  EXPECT_THAT(store_->purges(), ElementsAre(Pair(10, 0), Pair(10, 0), Pair(10, 20), Pair(10, 20),
                                            Pair(10, 20), Pair(10, 14), Pair(10, 0)));
  ASSERT_OK_AND_ASSIGN(const store::EventList list, store_->Events({}, 1000));
  const auto& events = list.events;
  EXPECT_THAT(events, SizeIs(63));
  for (const store::StoredEvent& event : events) {
    EXPECT_GE(event.event.at_us, absl::ToUnixMicros(kNow - 62 * absl::Hours(24)));
  }
  ASSERT_OK_AND_ASSIGN(const auto epochs,
                       store_->Epochs({queue_}, 0, absl::ToUnixMicros(kNow) + 1, 100));
  EXPECT_THAT(epochs, SizeIs(63));
  Purge(10);
  EXPECT_THAT(store_->Events({}, 1000)->events, SizeIs(63));
  EXPECT_EQ(logger_.Count("store.purge_failed"), 0U);
}

TEST_F(PurgeTest, AStopEndsItAndAFailureIsToldOnceForEachKind) {
  std::stop_source stop;
  stop.request_stop();
  Purge(10, stop.get_token());
  EXPECT_THAT(store_->purges(), IsEmpty());
  fence_.epoch += 1;
  Purge(10);
  EXPECT_THAT(store_->purges(), ::testing::AllOf(SizeIs(3), Each(Pair(10, 0))));
  EXPECT_EQ(logger_.Count("store.purge_failed"), 3U);
}

}  // namespace
}  // namespace netsentinel::app
