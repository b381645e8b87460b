#include "aggregator/ingest/reading_board.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace netsentinel::ingest {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const absl::CivilDay kToday(2026, 1, 10);
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
  board.Reset({{kLab, kR1, 100}}, {{kLab, kR1, kToday - 3}}, kToday - 3);
  board.Add({{kLab, kR1, 50}, {kLab, kR2, 900}}, {{kLab, kR2, kToday + 1}});
  EXPECT_FALSE(board.Readings(kLab, kToday - 3, kToday).has_value());
  const auto readings = board.Readings(kLab, kToday - 2, kToday + 1);
  ASSERT_TRUE(readings.has_value());
  EXPECT_THAT(readings->read_in_span, ElementsAre(kR2));
  ASSERT_THAT(readings->firsts, SizeIs(2));
  EXPECT_EQ(readings->firsts[0].at_us, 50);
  // A spool may bring a day that is held no more: the store has it.
  board.Add({}, {{kLab, kR1, kToday - 9}});
  EXPECT_FALSE(board.Readings(kLab, kToday - 9, kToday - 9).has_value());
}

}  // namespace
}  // namespace netsentinel::ingest
