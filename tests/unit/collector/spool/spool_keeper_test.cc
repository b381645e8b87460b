#include "collector/spool/spool_keeper.h"

#include <filesystem>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/log/capturing_logger.h"
#include "tests/unit/collector/spool/spool_fixture.h"

namespace netsentinel::spool {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::_;

class SpoolKeeperTest : public SpoolFixture {
 protected:
  log::CapturingLogger logger_;
};

TEST_F(SpoolKeeperTest, OnAFullSpoolTheNewestReadingStaysInMemoryUntilThereIsRoom) {
  SpoolOptions options = Options();
  options.bytes_max = 10;
  SpoolKeeper keeper(options, clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Take(RowOf(Simple("a"), "12345678"));
  EXPECT_THAT(keeper.health(), IsOk());
  keeper.Take(RowOf(Simple("a"), "second"));
  keeper.Take(RowOf(Simple("a"), "third"));
  EXPECT_THAT(keeper.health(), StatusIs(absl::StatusCode::kResourceExhausted, _));
  EXPECT_EQ(logger_.Count("spool.failing"), 1U);
  ASSERT_NE(keeper.spool(), nullptr);
  EXPECT_EQ(keeper.spool()->stats().rows, 1U);

  ASSERT_EQ(keeper.pending().All().size(), 1U);
  EXPECT_EQ(keeper.pending().All()[0].payload, "third");
}

TEST_F(SpoolKeeperTest, WritesWhatWaitedOnceTheDiskHasRoom) {
  SpoolOptions options = Options();
  options.bytes_max = 30;
  SpoolKeeper keeper(options, clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Take({RowOf(Simple("a"), std::string(9, '1')), RowOf(Simple("a"), std::string(9, '2')),
               RowOf(Simple("a"), std::string(9, '3'))});
  keeper.Take(RowOf(Simple("a"), std::string(9, '4')));
  ASSERT_FALSE(keeper.health().ok());
  const auto rows = ReadAll(*keeper.spool(), Simple("a"));
  ASSERT_THAT(keeper.spool()->Acknowledge({{{Simple("a"), rows[1].sequence}}}), IsOk());
  clock_.Advance(absl::Minutes(1));
  keeper.Tick();
  EXPECT_THAT(keeper.health(), IsOk());
  EXPECT_TRUE(keeper.pending().empty());
  EXPECT_EQ(logger_.Count("spool.recovered"), 1U);
  EXPECT_EQ(ReadAll(*keeper.spool(), Simple("a")).back().payload, std::string(9, '4'));
}

TEST_F(SpoolKeeperTest, AMenuThatNobodyTakesLeavesRoomForTheOthers) {
  SpoolOptions options = Options();
  options.bytes_max = 8000;
  SpoolKeeper keeper(options, clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Take(RowOf(Simple("good"), std::string(100, 'g')));
  for (int i = 0; i < 200; ++i) keeper.Take(RowOf(Simple("refused"), std::string(100, 'r')));
  EXPECT_TRUE(keeper.pending().Has(Simple("refused")));
  EXPECT_FALSE(keeper.health().ok());
  for (int i = 0; i < 200; ++i) {
    keeper.Take(RowOf(Simple("good"), std::string(100, 'g')));
    const auto rows = ReadAll(*keeper.spool(), Simple("good"));
    ASSERT_THAT(keeper.spool()->Acknowledge({{{Simple("good"), rows.back().sequence}}}), IsOk());
    keeper.Take(RowOf(Simple("refused"), std::string(100, 'r')));
    ASSERT_FALSE(keeper.pending().Has(Simple("good"))) << i;
    clock_.Advance(absl::Minutes(1));
    keeper.Tick();
  }
  EXPECT_LE(keeper.spool()->stats().bytes, 8000U);
  EXPECT_GE(keeper.spool()->stats().bytes, 7000U);
}

TEST_F(SpoolKeeperTest, WhatWaitsGoesToDiskInSlicesThatFit) {
  SpoolOptions options = Options();
  options.bytes_max = 20'000;
  SpoolKeeper keeper(options, clock_, random_, logger_, {.bytes_max = 100'000});
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Fail(absl::UnavailableError("disk I/O error"));
  for (int i = 0; i < 9; ++i) keeper.Take(RowOf(Simple("a"), std::string(1000, 'a')));
  for (int i = 0; i < 50; ++i) keeper.Take(RowOf(Simple("b"), std::string(1000, 'b')));
  EXPECT_LE(keeper.pending().bytes(), 10'000U);
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(keeper.Tick());
  EXPECT_THAT(keeper.health(), IsOk());
  EXPECT_TRUE(keeper.pending().empty());
  EXPECT_GE(logger_.Count("spool.readings_lost"), 1U);
}

TEST_F(SpoolKeeperTest, ALeaseOfAnotherSpoolIsForgottenByWhatWaited) {
  SpoolKeeper keeper(Options(), clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Take(RowOf(Simple("a"), "1"));
  keeper.Fail(absl::UnavailableError("disk I/O error"));
  keeper.Take(RowOf(Simple("a"), "2"));
  std::filesystem::remove(folder_.path() + "/spool.mark");
  clock_.Advance(absl::Minutes(1));
  keeper.Tick();
  const auto rows = ReadAll(*keeper.spool(), Simple("a"));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[0].lease_epoch, 3U);
  EXPECT_EQ(rows[1].lease_epoch, 0U);
}

TEST_F(SpoolKeeperTest, AFailedWriteOpensTheFileAfreshAndLosesNothing) {
  SpoolKeeper keeper(Options(), clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Take(RowOf(Simple("a"), "1"));
  keeper.Fail(absl::UnavailableError("disk I/O error"));
  EXPECT_EQ(keeper.spool(), nullptr);
  keeper.Take(RowOf(Simple("a"), "2"));
  clock_.Advance(absl::Minutes(1));
  keeper.Tick();
  ASSERT_NE(keeper.spool(), nullptr);
  const auto rows = ReadAll(*keeper.spool(), Simple("a"));
  ASSERT_EQ(rows.size(), 2U);
  EXPECT_EQ(rows[1].payload, "2");
  EXPECT_EQ(rows[1].previous_sequence, rows[0].sequence);
}

TEST_F(SpoolKeeperTest, WithoutAFolderItSaysSoAtOnce) {
  SpoolKeeper keeper({.folder = folder_.path() + "/missing"}, clock_, random_, logger_);
  EXPECT_THAT(keeper.Start(), StatusIs(absl::StatusCode::kFailedPrecondition, _));
}

TEST_F(SpoolKeeperTest, SaysOnceThatTheSpoolIsAnOlderCopy) {
  {
    SpoolKeeper keeper(Options(), clock_, random_, logger_);
    ASSERT_THAT(keeper.Start(), IsOk());
  }
  std::filesystem::remove(folder_.path() + "/spool.mark");
  SpoolKeeper keeper(Options(), clock_, random_, logger_);
  ASSERT_THAT(keeper.Start(), IsOk());
  keeper.Tick();
  EXPECT_EQ(logger_.Count("spool.restored"), 1U);
}

}  // namespace
}  // namespace netsentinel::spool
