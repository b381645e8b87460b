#include "aggregator/ingest/reading_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netsentinel::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::CivilDay kToday(2026, 1, 10);
const absl::CivilDay kOldest = kToday - ReadingBoard::kDays;
const base::SiteId kLab("lab");
const base::RouterId kR1("r1"), kR2("r2");

TEST(ReadingBoardTest, SaysWhatTheStoreHasFromTheFirstDayThatItKnows) {
  ReadingBoard board;
  EXPECT_FALSE(board.Readings(kLab, kToday, kToday).has_value());
  board.Reset({{kLab, kR1, 100}}, {{kLab, kR1, kToday - 3}, {kLab, kR1, kToday}}, kToday - 3);
  EXPECT_FALSE(board.Readings(kLab, kToday - 4, kToday).has_value());
  EXPECT_THAT(board.Readings(kLab, kToday - 3, kToday - 3)->read_in_span, ElementsAre(kR1));
  EXPECT_THAT(board.Readings(kLab, kToday - 2, kToday - 1)->read_in_span, IsEmpty());
  EXPECT_THAT(board.Readings(kLab, kToday - 3, kToday)->read_in_span, ElementsAre(kR1));
  EXPECT_THAT(board.Readings(kLab, kToday, kToday)->firsts, SizeIs(1));
  EXPECT_THAT(board.Readings(base::SiteId("dubai"), kToday, kToday)->firsts, IsEmpty());
}

TEST(ReadingBoardTest, HoldsTheLastDaysOnlyAndAnEarlierFirstReadingWins) {
  ReadingBoard board;
  board.Reset({{kLab, kR1, 100}}, {{kLab, kR1, kOldest}}, kOldest);
  board.Add({{kLab, kR1, 50}, {kLab, kR2, 900}}, {{kLab, kR2, kToday + 1}});
  EXPECT_FALSE(board.Readings(kLab, kOldest, kToday).has_value());
  const auto readings = board.Readings(kLab, kOldest + 1, kToday + 1);
  ASSERT_TRUE(readings.has_value());
  EXPECT_THAT(readings->read_in_span, ElementsAre(kR2));
  ASSERT_THAT(readings->firsts, SizeIs(2));
  EXPECT_EQ(readings->firsts[0].at_us, 50);
  // A spool may bring a day that is held no more: the store has it.
  board.Add({}, {{kLab, kR1, kOldest - 6}});
  EXPECT_FALSE(board.Readings(kLab, kOldest - 6, kOldest - 6).has_value());
}

TEST(ReadingBoardTest, HoldsAsManyDaysAsAPresentMonthMayNeed) {
  // On the last day of a month whose router is silent, and open, since the longest ago.
  ReadingBoard board;
  const absl::CivilDay month = kToday - 35 - 31;
  board.Reset({{kLab, kR1, 100}}, {{kLab, kR1, month}}, kToday - ReadingBoard::kDays);
  board.Add({}, {{kLab, kR1, kToday}});
  ASSERT_TRUE(board.Readings(kLab, month, kToday).has_value());
  EXPECT_THAT(board.Readings(kLab, month, month)->read_in_span, ElementsAre(kR1));
  EXPECT_THAT(board.Readings(kLab, month + 1, kToday - 1)->read_in_span, IsEmpty());
}

}  // namespace
}  // namespace netsentinel::ingest
