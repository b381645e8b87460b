#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/aggregator/accounting/book_driver.h"

// Stamps of clocks that are wrong, with and without an agreed time of receipt.
namespace netsentinel::accounting {
namespace {

class WrongClockTest : public ::testing::Test {
 protected:
  WrongClockTest() { d_.Start(); }
  static std::vector<Row> Alice(std::int64_t second) {
    const auto bytes = static_cast<std::uint64_t>(second) * 1000;
    return {{.name = "alice", .download = bytes, .packets = bytes / 100}};
  }
  // Read at `second`, with a stamp that is `off` seconds beside it. Received at once, by an agreed
  // time or by none.
  void Read(std::int64_t second, std::int64_t off, bool agreed) {
    counters::Snapshot snapshot =
        d_.Make(Alice(second), second, static_cast<std::uint64_t>(second + 5000));
    const std::int64_t received_us = snapshot.header.attribution_us;
    snapshot.header.attribution_us += off * 1'000'000;
    StagedBatch batch = d_.Stage(snapshot, agreed ? received_us : 0);
    ASSERT_THAT(batch.results[0], test::IsOk());
    for (StagedJournal& journal : batch.journal) {
      journal.journal_id = d_.next_journal_id++;
      d_.stored.journal.push_back(
          {journal.journal_id, journal.router, journal.menu, journal.received_us, journal.payload});
    }
    d_.book.Install(std::move(batch));
  }
  std::uint64_t CountedOn(int day) const {
    std::uint64_t sum = 0;
    for (const UsageRow& row : d_.Rows()) {
      if (row.day == absl::CivilDay(2026, 1, 1) + day) sum += row.counted.download;
    }
    return sum;
  }
  std::uint64_t Counted() const {
    std::uint64_t sum = 0;
    for (const UsageRow& row : d_.Rows()) sum += row.counted.download;
    return sum;
  }

  BookDriver d_;
};

TEST_F(WrongClockTest, WhileTimeIsAgreedAStampFarOffItsReceiptIsTheReceipt) {
  for (const std::int64_t off : {3'456'000, 90'000, -3'500'000}) {
    d_ = BookDriver();
    d_.Start();
    Read(36'000, 0, true);
    Read(36'030, off, true);
    Read(36'060, 0, true);
    EXPECT_EQ(CountedOn(0), 60'000U) << off;
    EXPECT_EQ(Counted(), 60'000U);
  }
}

TEST_F(WrongClockTest, WithoutAnAgreedTimeStampsStandAndCloseNoDay) {
  Read(36'000, 0, false);
  Read(36'030, 0, false);
  EXPECT_EQ(CountedOn(0), 30'000U);
  // The collector's clock is a day ahead, and nobody can tell.
  Read(36'060, 86'400, false);
  d_.Flush(36'061);
  EXPECT_TRUE(d_.stored.closed_days.empty());
}

TEST_F(WrongClockTest, OnceTimeIsAgreedReadingsComeBackToTheirDay) {
  for (const bool restart : {false, true}) {
    d_ = BookDriver();
    d_.Start();
    Read(36'000, 0, false);
    Read(36'030, 0, false);
    Read(36'060, 86'400, false);
    const std::uint64_t misplaced = Counted() - CountedOn(0);
    EXPECT_LE(misplaced, 30'000U);
    if (restart) d_.Restart(36'061);
    for (std::int64_t second = 36'090; second <= 36'900; second += 30) Read(second, 0, true);
    if (restart) d_.Restart(36'901);
    EXPECT_EQ(Counted(), 900'000U) << restart;
    EXPECT_EQ(CountedOn(0), 900'000U - misplaced) << restart;
  }
}

TEST_F(WrongClockTest, ADisputeThatBeganAheadComesBackToo) {
  Read(36'000, 0, false);
  Read(36'030, 0, false);
  counters::Snapshot zeros = d_.Make({{.name = "alice"}}, 36'060, 41'060);
  zeros.header.attribution_us += 86'400'000'000;
  StagedBatch batch = d_.Stage(zeros, 0);
  ASSERT_THAT(batch.results[0], test::IsOk());
  d_.book.Install(std::move(batch));
  for (std::int64_t second = 36'090; second <= 36'300; second += 30) Read(second, 0, true);
  EXPECT_EQ(Counted(), 300'000U);
  EXPECT_EQ(CountedOn(0), 300'000U);
}

}  // namespace
}  // namespace netsentinel::accounting
