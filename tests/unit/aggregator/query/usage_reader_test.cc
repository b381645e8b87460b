#include "aggregator/query/usage_reader.h"

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/ingest/store_records.h"
#include "aggregator/store/sqlite_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_folder.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

namespace netsentinel::query {
namespace {

using accounting::BookDriver;
using ::testing::HasSubstr;

constexpr std::int64_t kDaySeconds = 86'400;
const absl::CivilDay kFirst(2026, 1, 1);

// Two routers of one site. On the first day each has "alice" move bytes, 1,000 on r1 and 2,000 on
// r2; then r2 goes silent while r1 is read on for five days.
class UsageReaderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_OK_AND_ASSIGN(factory_, store::OpenSqliteStore(folder_.path() + "/store.db"));
    ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
    ASSERT_OK_AND_ASSIGN(std::unique_ptr<store::Store> query_store, factory_->Connect());
    query_store_.Fill(std::move(query_store));
    ASSERT_OK_AND_ASSIGN(auto history_store, factory_->Connect());
    history_store_.Fill(std::move(history_store));
    ASSERT_OK_AND_ASSIGN(const store::LeaseInfo lease,
                         store_->AcquireLease("test", absl::Hours(1)));
    fence_ = lease.fence;
    accounting::RouterSettings second = driver_.policy.routers[0];
    second.id = base::RouterId("r2");
    driver_.policy.routers.push_back(second);
    driver_.Start();
    for (const char* router : {"r1", "r2"}) {
      Poll(router, 100, 0);
      Poll(router, 3600, router == std::string("r1") ? 1000 : 2000);
    }
    Flush(3600);
    Poll("r2", 7200, 2500);
    for (std::int64_t day = 1; day <= 5; ++day) {
      Poll("r1", day * kDaySeconds, 990 + 10 * static_cast<std::uint64_t>(day));
      Poll("r1", day * kDaySeconds + 600, 1000 + 10 * static_cast<std::uint64_t>(day));
      if (day < 5) Poll("r1", day * kDaySeconds + 700, 1000 + 10 * static_cast<std::uint64_t>(day));
    }
  }
  void Poll(const std::string& router, std::int64_t second, std::uint64_t download) {
    std::swap(driver_.dictionary, dictionaries_[router]);
    counters::Snapshot snapshot =
        driver_.Make({{.name = "alice", .download = download, .packets = download}}, second,
                     static_cast<std::uint64_t>(second) + 1000);
    snapshot.router = base::RouterId(router);
    snapshot.header.device.serial_number = router;  // two machines
    ASSERT_THAT(driver_.Take(snapshot), test::IsOk());
    std::swap(driver_.dictionary, dictionaries_[router]);
  }
  void Flush(std::int64_t second) {
    accounting::StagedFlush flush =
        driver_.book.StageFlush(BookDriver::kStartUs + second * 1'000'000, {});
    ASSERT_THAT(store_->Flush(fence_, ingest::ToBatch(flush)), test::IsOk());
    driver_.book.InstallFlush(std::move(flush));
  }
  // Of r1, that is: r2's first day is still open.
  void PurgeThreeDays() {
    Flush(5 * kDaySeconds + 600);
    Flush(5 * kDaySeconds + 660);
    ASSERT_OK_AND_ASSIGN(const std::size_t gone, store_->PurgeDaily(fence_, kFirst + 3, 100));
    ASSERT_EQ(gone, 3U);
  }
  // Download bytes by router.
  absl::StatusOr<std::map<std::string, std::uint64_t>> Sums(absl::CivilDay first,
                                                            absl::CivilDay last) {
    shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book)));
    UsageReader reader(shared_, query_store_, history_store_, catalog_, clock_, rows_max_);
    auto sums = reader.Sums(base::SiteId("site"), {first, last, kFirst + 5}, gone_);
    shared_.Write([&](accounting::Book& book) { driver_.book = std::move(book); });
    if (!sums.ok()) return sums.status();
    std::map<std::string, std::uint64_t> figures;
    for (const auto& [key, sum] : *sums) figures[key.router.value()] = sum.counted.download;
    return figures;
  }
  absl::StatusOr<std::vector<accounting::UsageRow>> Rows(absl::CivilDay first,
                                                         absl::CivilDay last) {
    shared_.Replace(std::make_unique<accounting::Book>(std::move(driver_.book)));
    UsageReader reader(shared_, query_store_, history_store_, catalog_, clock_, rows_max_);
    auto rows = reader.Rows({base::SiteId("site"), base::RouterId("r1"), "alice"},
                            {first, last, kFirst + 5}, gone_);
    shared_.Write([&](accounting::Book& book) { driver_.book = std::move(book); });
    return rows;
  }

  using Figures = std::map<std::string, std::uint64_t>;
  test::TempFolder folder_;
  test::FakeClock clock_;
  std::unique_ptr<store::StoreFactory> factory_;
  std::unique_ptr<store::Store> store_;
  StoreSlot query_store_, history_store_;
  store::Fence fence_;
  BookDriver driver_;
  std::map<std::string, accounting::StreamDictionary> dictionaries_;
  ingest::SharedBook shared_;
  CatalogHolder catalog_;
  StoredRowLimits rows_max_ = {.subscriber = 100, .ranking = 100};
  std::function<bool()> gone_ = [] { return false; };
};

TEST_F(UsageReaderTest, ASilentRouterHidesNoDayOfAnother) {
  Flush(5 * kDaySeconds + 600);
  Flush(5 * kDaySeconds + 660);  // days that are stored leave memory with the flush after
  ASSERT_GT(driver_.book.WholeFrom(), kFirst);
  Poll("r2", 7300, 2700);  // newer in memory than in the store
  ASSERT_OK_AND_ASSIGN(Figures figures, Sums(kFirst, kFirst));
  EXPECT_EQ(figures, (Figures{{"r1", 1000}, {"r2", 2700}}));
  ASSERT_OK_AND_ASSIGN(figures, Sums(kFirst, kFirst + 5));
  EXPECT_EQ(figures, (Figures{{"r1", 1050}, {"r2", 2700}}));
  ASSERT_OK_AND_ASSIGN(figures, Sums(kFirst + 5, kFirst + 5));
  EXPECT_EQ(figures["r1"], 10U);
  ASSERT_OK_AND_ASSIGN(const auto rows, Rows(kFirst, kFirst + 5));
  std::uint64_t sum = 0;
  for (const accounting::UsageRow& row : rows) sum += row.counted.download;
  EXPECT_EQ(sum, 1050U);
}

TEST_F(UsageReaderTest, PurgedDaysAnswerInWholeMonthsOnly) {
  PurgeThreeDays();
  const Figures all = {{"r1", 1050}, {"r2", 2500}};
  ASSERT_OK_AND_ASSIGN(Figures figures, Sums(kFirst, kFirst + 30));
  EXPECT_EQ(figures, all);
  ASSERT_OK_AND_ASSIGN(figures, Sums(kFirst, kFirst + 2));
  EXPECT_EQ(figures, (Figures{{"r1", 1020}, {"r2", 2500}}));
  const auto refused =
      test::StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("days before 2026-01-04"));
  EXPECT_THAT(Sums(kFirst, kFirst), refused);
  EXPECT_THAT(Sums(kFirst + 1, kFirst + 5), refused);
  EXPECT_THAT(Rows(kFirst, kFirst + 5), refused);
  EXPECT_THAT(Rows(kFirst + 3, kFirst + 5), test::IsOk());
}

TEST_F(UsageReaderTest, MonthsPastTheirRetentionAreNotAnsweredAsEmpty) {
  Flush(5 * kDaySeconds + 600);
  Flush(5 * kDaySeconds + 660);
  ASSERT_THAT(store_->PurgeDaily(fence_, kFirst + 3, 100), test::IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t gone,
                       store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 2), 100));
  EXPECT_EQ(gone, 1U);
  EXPECT_THAT(Sums(kFirst, kFirst + 30),
              test::StatusIs(absl::StatusCode::kOutOfRange,
                             HasSubstr("months before 2026-02 are past retention.monthly and "
                                       "deleted: ask for days from 2026-02-01 on")));
}

TEST_F(UsageReaderTest, StoredDaysAreNotReadOnForACallerThatHasGone) {
  Flush(5 * kDaySeconds + 600);
  Flush(5 * kDaySeconds + 660);
  int looks = 0;
  gone_ = [&looks] { return ++looks > 3; };
  EXPECT_THAT(Sums(kFirst, kFirst + 5), test::StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  EXPECT_EQ(looks, 4);
  looks = 0;
  gone_ = [&looks] { return ++looks > 0; };
  EXPECT_THAT(Rows(kFirst, kFirst + 5), test::StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  EXPECT_EQ(looks, 1);
  looks = 0;
  EXPECT_THAT(Sums(kFirst + 5, kFirst + 5), test::IsOk());  // in memory
  EXPECT_EQ(looks, 0);
}

TEST_F(UsageReaderTest, MoreStoredRowsThanAnAnswerTakesAreRefusedInWords) {
  Flush(5 * kDaySeconds + 600);
  Flush(5 * kDaySeconds + 660);
  rows_max_ = {.subscriber = 2, .ranking = 3};
  EXPECT_THAT(Rows(kFirst, kFirst + 1), test::IsOk());
  EXPECT_THAT(
      Rows(kFirst, kFirst + 2),
      test::StatusIs(absl::StatusCode::kOutOfRange,
                     HasSubstr("more than 2 rows, one for each queue, day and segment, are stored "
                               "up to 2026-01-03: ask for fewer days")));
  // On the first day both routers have a row. A single day is always ranked.
  rows_max_.ranking = 1;
  EXPECT_THAT(Sums(kFirst, kFirst), test::IsOk());
  rows_max_.ranking = 3;
  EXPECT_THAT(Sums(kFirst, kFirst + 1), test::IsOk());
  EXPECT_THAT(
      Sums(kFirst, kFirst + 2),
      test::StatusIs(absl::StatusCode::kOutOfRange,
                     HasSubstr("more than 3 rows, one for each queue, day and segment, are stored "
                               "up to 2026-01-03: ask for fewer days")));
}

// Days that can never be ranked are not said to be too many.
TEST_F(UsageReaderTest, PurgedDaysAreRefusedBeforeTheirRowsAreCounted) {
  PurgeThreeDays();
  rows_max_.ranking = 0;
  EXPECT_THAT(Sums(kFirst + 1, kFirst + 4),
              test::StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("days before 2026-01-04")));
}

TEST(HistoryGateTest, OneMoreThanFitsWaitsAndIsThenRefusedInWords) {
  const auto waits = [] { return false; };
  HistoryGate gate(2, absl::Milliseconds(100));
  auto first = gate.Enter(waits);
  const auto second = gate.Enter(waits);
  ASSERT_THAT(first, test::IsOk());
  ASSERT_THAT(second, test::IsOk());
  EXPECT_THAT(gate.Enter(waits),
              test::StatusIs(absl::StatusCode::kResourceExhausted,
                             HasSubstr("2 answers from stored days are being made, and none was "
                                       "done within 100ms: ask again later")));
  EXPECT_THAT(gate.Enter([] { return true; }),
              test::StatusIs(absl::StatusCode::kCancelled, ::testing::_));
  *first = nullptr;
  EXPECT_THAT(gate.Enter(waits), test::IsOk());
}

TEST(HistoryGateTest, OneThatWaitsGoesInWhenAnotherIsDone) {
  const auto waits = [] { return false; };
  HistoryGate gate(1, absl::Seconds(60));
  auto first = gate.Enter(waits);
  absl::StatusOr<HistoryGate::Pass> second = absl::UnknownError("not yet");
  std::thread waiting([&] { second = gate.Enter(waits); });
  absl::SleepFor(absl::Milliseconds(20));
  *first = nullptr;
  waiting.join();
  EXPECT_THAT(second, test::IsOk());
}

}  // namespace
}  // namespace netsentinel::query
