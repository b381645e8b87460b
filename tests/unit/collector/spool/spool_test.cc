#include "collector/spool/spool.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/sqlite/database.h"
#include "tests/unit/collector/spool/spool_fixture.h"

namespace netsentinel::spool {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::_;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class SpoolTest : public SpoolFixture {
 protected:
  // Changes the file as a fault would, without the spool.
  void Tamper(const std::string& sql) const {
    ASSERT_OK_AND_ASSIGN(auto database, sqlite::Database::Open(DatabasePath(), {}));
    ASSERT_THAT(database->Execute(sql), IsOk());
  }
};

TEST_F(SpoolTest, KeepsRowsOverARestartInOrderWithTheirPredecessors) {
  std::vector<std::uint64_t> written;
  std::string uuid;
  {
    auto spool = Open();
    uuid = spool->uuid();
    written = Put(*spool, {RowOf(Simple("a"), std::string("x\0y", 3), 11), RowOf(Tree("a"), "t"),
                           RowOf(Simple("a"), "z", 12)});
    ASSERT_THAT(written, SizeIs(3));
  }
  auto spool = Open();
  EXPECT_EQ(spool->uuid(), uuid);
  const std::vector<SpoolRow> rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].sequence, written[0]);
  EXPECT_EQ(rows[0].previous_sequence, 0U);
  EXPECT_EQ(rows[0].payload, std::string("x\0y", 3));
  EXPECT_EQ(rows[0].attribution_us, 11);
  EXPECT_EQ(rows[0].spool_uuid, uuid);
  EXPECT_EQ(rows[1].sequence, written[2]);
  EXPECT_EQ(rows[1].previous_sequence, written[0]);
  EXPECT_EQ(rows[1].lease_epoch, 3U);
  EXPECT_THAT(spool->TakeIncidents(), IsEmpty());
}

TEST_F(SpoolTest, NeverGivesASequenceTwiceEvenWhenEverythingWasAcknowledged) {
  std::uint64_t last = 0;
  for (int restart = 0; restart < 3; ++restart) {
    auto spool = Open();
    const auto sequences = Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Simple("a"), "2")});
    EXPECT_GT(sequences[0], last);
    last = sequences[1];
    ASSERT_THAT(spool->Acknowledge({{{Simple("a"), last}}}), IsOk());
    clock_.Advance(absl::Hours(48));
    ASSERT_THAT(spool->Trim(), IsOk());
  }
}

TEST_F(SpoolTest, AnAcknowledgedRowIsNoLongerWaitingAndTheNewestOfThemStays) {
  auto spool = Open();
  const auto sequences =
      Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Simple("a"), "2"), RowOf(Simple("a"), "3")});
  ASSERT_THAT(spool->Acknowledge({{{Simple("a"), sequences[1]}}}), IsOk());
  EXPECT_EQ(spool->Waiting(base::RouterId("a")), 1U);
  EXPECT_EQ(spool->stats().waiting_rows, 1U);
  EXPECT_EQ(spool->stats().rows, 3U);
  clock_.Advance(absl::Hours(25));
  ASSERT_THAT(spool->Trim(), IsOk());
  const auto rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].sequence, sequences[1]);
  EXPECT_EQ(rows[1].sequence, sequences[2]);
}

TEST_F(SpoolTest, AResumePointMayGoBackToWhatIsStillKept) {
  auto spool = Open();
  const auto sequences =
      Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Simple("a"), "2"), RowOf(Simple("a"), "3")});
  ASSERT_THAT(spool->Acknowledge({{{Simple("a"), sequences[2]}}}), IsOk());
  ASSERT_THAT(spool->ResumeAfter(Simple("a"), sequences[0]), IsOk());
  EXPECT_EQ(spool->stats().waiting_rows, 2U);
  ASSERT_OK_AND_ASSIGN(const auto positions, spool->Positions());
  ASSERT_THAT(positions, SizeIs(1));
  EXPECT_EQ(positions[0].oldest_sequence, sequences[1]);
  EXPECT_EQ(positions[0].newest_sequence, sequences[2]);
}

TEST_F(SpoolTest, TheFirstRowLeftFollowsAResumePointBeforeTrimmedRows) {
  auto spool = Open();
  const auto sequences =
      Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Simple("a"), "2"), RowOf(Simple("a"), "3")});
  ASSERT_THAT(spool->Acknowledge({{{Simple("a"), sequences[1]}}}), IsOk());
  clock_.Advance(absl::Hours(25));
  ASSERT_THAT(spool->Trim(), IsOk());
  ASSERT_THAT(spool->ResumeAfter(Simple("a"), 0), IsOk());
  const auto rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].previous_sequence, 0U);
  EXPECT_EQ(rows[1].previous_sequence, rows[0].sequence);
}

TEST_F(SpoolTest, AResumePointBeyondTheSpoolMeansTheSpoolIsOlder) {
  auto spool = Open();
  const auto sequences = Put(*spool, {RowOf(Simple("a"), "1")});
  const std::string uuid = spool->uuid();
  EXPECT_THAT(spool->ResumeAfter(Simple("a"), sequences[0] + 1),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("older")));
  EXPECT_THAT(spool->ResumeAfter(Simple("b"), 1), StatusIs(absl::StatusCode::kOutOfRange, _));
  ASSERT_THAT(spool->TakeNewUuid(), IsOk());
  EXPECT_NE(spool->uuid(), uuid);
  const auto next = Put(*spool, {RowOf(Simple("a"), "2")});
  EXPECT_GT(next[0], sequences[0]);
  const auto rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].spool_uuid, uuid);
  EXPECT_EQ(rows[1].spool_uuid, spool->uuid());
  EXPECT_EQ(rows[1].previous_sequence, 0U);
}

TEST_F(SpoolTest, AnOlderCopyOfTheFileIsNoticedAndTakesANewUuidAndFreshSequences) {
  std::string uuid;
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  {
    auto spool = Open();
    uuid = spool->uuid();
    first = Put(*spool, {RowOf(Simple("a"), "1")})[0];
  }
  std::filesystem::copy_file(DatabasePath(), folder_.path() + "/copy");
  {
    auto spool = Open();
    last = Put(*spool, {RowOf(Simple("a"), "2"), RowOf(Simple("a"), "3")})[1];
  }
  for (const char* part : {"-wal", "-shm"}) std::filesystem::remove(DatabasePath() + part);
  std::filesystem::rename(folder_.path() + "/copy", DatabasePath());

  auto spool = Open();
  EXPECT_NE(spool->uuid(), uuid);
  const auto incidents = spool->TakeIncidents();
  ASSERT_THAT(incidents, SizeIs(1));
  EXPECT_EQ(incidents[0].kind, SpoolIncident::Kind::kRestored);
  const auto next = Put(*spool, {RowOf(Simple("a"), "4")});
  EXPECT_GT(next[0], last);
  EXPECT_EQ(ReadAll(*spool, Simple("a"))[0].sequence, first);
}

TEST_F(SpoolTest, ASpoolWithoutItsMarkTakesANewUuid) {
  std::string uuid;
  {
    auto spool = Open();
    uuid = spool->uuid();
  }
  std::filesystem::remove(folder_.path() + "/spool.mark");
  EXPECT_NE(Open()->uuid(), uuid);
}

TEST_F(SpoolTest, ADeletedFileDoesNotBringBackUsedSequences) {
  std::uint64_t last = 0;
  {
    auto spool = Open();
    last = Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Simple("a"), "2")})[1];
  }
  std::filesystem::remove(DatabasePath());
  auto spool = Open();
  EXPECT_GT(Put(*spool, {RowOf(Simple("a"), "3")})[0], last);
}

TEST_F(SpoolTest, SetsDamagedRowsAsideAndLinksTheNextToTheirPredecessor) {
  std::vector<std::uint64_t> sequences;
  {
    auto spool = Open();
    sequences = Put(*spool, {RowOf(Simple("a"), "one"), RowOf(Simple("a"), "two"),
                             RowOf(Simple("a"), "three"), RowOf(Simple("a"), "four")});
  }
  Tamper(absl::StrCat("UPDATE rows SET payload = x'747776' WHERE sequence = ", sequences[1]));
  Tamper(absl::StrCat("UPDATE rows SET lease_epoch = 4 WHERE sequence = ", sequences[2]));
  auto spool = Open();
  const auto rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].sequence, sequences[0]);
  EXPECT_EQ(rows[1].sequence, sequences[3]);
  EXPECT_EQ(rows[1].previous_sequence, sequences[0]);
  EXPECT_EQ(spool->stats().damaged_rows, 2U);
  EXPECT_EQ(spool->stats().waiting_rows, 2U);
  const auto incidents = spool->TakeIncidents();
  ASSERT_THAT(incidents, SizeIs(2));
  EXPECT_THAT(incidents[0].detail, HasSubstr("a simple"));
}

TEST_F(SpoolTest, EveryFlippedBitOfAStoredPayloadIsFound) {
  const std::string payload = "payload";
  const std::vector<NewRow> rows(payload.size() * 8, RowOf(Simple("a"), payload));
  const std::vector<std::uint64_t> sequences = Put(*Open(), rows);
  std::string tampering;
  for (std::size_t bit = 0; bit < rows.size(); ++bit) {
    std::string flipped = payload;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    absl::StrAppend(&tampering, "UPDATE rows SET payload = x'", absl::BytesToHexString(flipped),
                    "' WHERE sequence = ", sequences[bit], ";");
  }
  Tamper(tampering);
  auto spool = Open();
  EXPECT_THAT(ReadAll(*spool, Simple("a")), IsEmpty());
  EXPECT_EQ(spool->stats().damaged_rows, rows.size());
}

TEST_F(SpoolTest, AFileDamagedBeyondUseIsMovedAsideAndANewSpoolBegins) {
  std::uint64_t last = 0;
  {
    auto spool = Open();
    last = Put(*spool, {RowOf(Simple("a"), "1")})[0];
  }
  std::ofstream(DatabasePath(), std::ios::trunc) << std::string(8192, 'x');
  auto spool = Open();
  const auto incidents = spool->TakeIncidents();
  ASSERT_THAT(incidents, testing::Not(IsEmpty()));
  EXPECT_EQ(incidents[0].kind, SpoolIncident::Kind::kDamaged);
  EXPECT_GT(Put(*spool, {RowOf(Simple("a"), "2")})[0], last);
  bool found = false;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    found = found || entry.path().filename().string().rfind("spool.db.damaged-", 0) == 0;
  }
  EXPECT_TRUE(found);
}

TEST_F(SpoolTest, AtItsByteLimitAcknowledgedRowsGoFirstAndThenItRefuses) {
  SpoolOptions options = Options();
  options.bytes_max = 100;
  auto spool = Open(options);
  const auto sequences = Put(
      *spool, {RowOf(Simple("a"), std::string(40, 'a')), RowOf(Simple("a"), std::string(40, 'b'))});
  EXPECT_THAT(spool->Append({{RowOf(Simple("a"), std::string(40, 'c'))}}),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("wait for the aggregator")));
  ASSERT_THAT(spool->Acknowledge({{{Simple("a"), sequences[1]}}}), IsOk());
  const auto third = Put(*spool, {RowOf(Simple("a"), std::string(40, 'c'))});
  const auto rows = ReadAll(*spool, Simple("a"));
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_EQ(rows[0].sequence, sequences[1]);
  EXPECT_EQ(rows[1].sequence, third[0]);
}

TEST_F(SpoolTest, TheLastEighthIsSharedBetweenTheMenus) {
  SpoolOptions options = Options();
  options.bytes_max = 1600;  // 200 of it shared: 100 for each of two menus
  auto spool = Open(options);
  Put(*spool, {RowOf(Simple("a"), std::string(1390, 'a')), RowOf(Simple("b"), "b")});
  EXPECT_THAT(spool->Admit(Simple("a"), 50), StatusIs(absl::StatusCode::kResourceExhausted, _));
  Put(*spool, {RowOf(Simple("b"), std::string(90, 'b'))});
  EXPECT_THAT(spool->Admit(Simple("b"), 50), StatusIs(absl::StatusCode::kResourceExhausted, _));
  // A menu that waits for nothing is never turned away while there is room.
  EXPECT_THAT(spool->Admit(Simple("c"), 110), IsOk());
  EXPECT_THAT(spool->Admit(Simple("c"), 130), StatusIs(absl::StatusCode::kResourceExhausted, _));
}

TEST_F(SpoolTest, DropsWhatNobodyTakesOnlyAfterItsTimeAndGivesNoSequenceTwice) {
  auto spool = Open();
  const auto written = Put(*spool, {RowOf(Simple("a"), "1"), RowOf(Tree("a"), "2")});
  Put(*spool, {RowOf(Simple("b"), "3")});
  clock_.Advance(absl::Hours(23));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t early,
                       spool->DropStale(base::RouterId("a"), absl::Hours(24)));
  EXPECT_EQ(early, 0U);
  clock_.Advance(absl::Hours(2));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t dropped,
                       spool->DropStale(base::RouterId("a"), absl::Hours(24)));
  EXPECT_EQ(dropped, 2U);
  EXPECT_EQ(spool->Waiting(base::RouterId("a")), 0U);
  EXPECT_EQ(spool->stats().rows, 1U);
  EXPECT_EQ(spool->stats().waiting_rows, 1U);
  spool.reset();
  spool = Open();
  EXPECT_GT(Put(*spool, {RowOf(Simple("a"), "4")})[0], written[1]);
}

TEST_F(SpoolTest, SumsAreWhatTheFileHolds) {
  SpoolOptions options = Options();
  options.keep_acknowledged = absl::Hours(1);
  auto spool = Open(options);
  std::vector<std::uint64_t> last;
  for (int i = 0; i < 30; ++i) {
    last = Put(*spool, {RowOf(Simple("a"), std::string(static_cast<std::size_t>(i), 'a')),
                        RowOf(Tree("b"), "bb")});
    if (i % 3 == 0) {
      ASSERT_THAT(spool->Acknowledge({{{Simple("a"), last[0] - 2}}}), IsOk());
    }
    if (i == 20) {
      ASSERT_THAT(spool->ResumeAfter(Simple("a"), last[0] - 8), IsOk());
      ASSERT_THAT(spool->ResumeAfter(Tree("b"), last[1]), IsOk());
    }
    if (i % 7 == 0) {
      clock_.Advance(absl::Hours(2));
      ASSERT_THAT(spool->Trim(), IsOk());
    }
  }
  const SpoolStats live = spool->stats();
  const std::uint64_t waiting = spool->Waiting(base::RouterId("a"));
  spool.reset();
  spool = Open(options);
  EXPECT_EQ(spool->stats().rows, live.rows);
  EXPECT_EQ(spool->stats().bytes, live.bytes);
  EXPECT_EQ(spool->stats().waiting_rows, live.waiting_rows);
  EXPECT_EQ(spool->Waiting(base::RouterId("a")), waiting);
}

TEST_F(SpoolTest, AFullDiskRefusesTheRowAndLosesNothingWritten) {
  SpoolOptions options = Options();
  options.file_pages_max = 40;
  auto spool = Open(options);
  std::uint64_t written = 0;
  absl::Status status;
  while (status.ok() && written < 1000) {
    status = spool->Append({{RowOf(Simple("a"), std::string(3000, 'p'))}}).status();
    if (status.ok()) ++written;
  }
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("spool.db")));
  EXPECT_GT(written, 5U);
  EXPECT_THAT(ReadAll(*spool, Simple("a")), SizeIs(written));
  EXPECT_EQ(spool->stats().rows, written);
}

TEST_F(SpoolTest, ReadsInBoundedBatchesButAlwaysAtLeastOneRow) {
  auto spool = Open();
  Put(*spool, {RowOf(Simple("a"), std::string(100, 'a')), RowOf(Simple("a"), std::string(10, 'b')),
               RowOf(Simple("a"), std::string(10, 'c'))});
  ASSERT_OK_AND_ASSIGN(const auto first, spool->ReadAfter(Simple("a"), 0, 10, 50));
  ASSERT_THAT(first, SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const auto second,
                       spool->ReadAfter(Simple("a"), first[0].sequence, 1, 1000));
  EXPECT_THAT(second, SizeIs(1));
}

TEST_F(SpoolTest, KeepsPlansOverARestart) {
  const RouterPlan plan{.router = base::RouterId("a"),
                        .lease_epoch = 9,
                        .boundary_us = {-5, 1767225600000000, 1767312000000000},
                        .poll_interval_ms = 15000};
  ASSERT_THAT(Open()->SavePlans({{plan}}), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto plans, Open()->LoadPlans());
  EXPECT_THAT(plans, ElementsAre(plan));
}

TEST_F(SpoolTest, ASecondCollectorOnTheSameFolderIsRefused) {
  auto spool = Open();
  EXPECT_THAT(Spool::Open(Options(), clock_, random_),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("another collector")));
}

TEST_F(SpoolTest, ADamagedFormatNumberIsPutRightAndNothingIsLost) {
  for (const char* number : {"0", "3", "1073741825", "-2147483647"}) {
    SCOPED_TRACE(number);
    std::uint64_t sequence = 0;
    {
      auto spool = Open();
      sequence = Put(*spool, {RowOf(Simple("a"), "1")})[0];
    }
    Tamper(std::string("PRAGMA user_version=") + number);
    {
      auto spool = Open();
      const auto incidents = spool->TakeIncidents();
      ASSERT_THAT(incidents, testing::SizeIs(1));
      EXPECT_EQ(incidents[0].kind, SpoolIncident::Kind::kMended);
      EXPECT_EQ(ReadAll(*spool, Simple("a")).back().sequence, sequence);
    }
    EXPECT_THAT(Open()->TakeIncidents(), IsEmpty()) << "it was written";
  }
}

TEST_F(SpoolTest, TablesThatAreNotThoseOfASpoolAreMovedAside) {
  for (const char* damage : {"DROP TABLE plans", "ALTER TABLE menus RENAME COLUMN newest TO newesu",
                             "PRAGMA user_version=0; DROP TABLE damaged"}) {
    SCOPED_TRACE(damage);
    Open();
    Tamper(damage);
    const auto incidents = Open()->TakeIncidents();
    ASSERT_THAT(incidents, testing::Not(IsEmpty()));
    EXPECT_EQ(incidents[0].kind, SpoolIncident::Kind::kDamaged);
  }
}

TEST_F(SpoolTest, AFormatOfTheFutureIsRefusedInWords) {
  Open();
  Tamper("CREATE TABLE later(x INTEGER); PRAGMA user_version=2");
  EXPECT_THAT(Spool::Open(Options(), clock_, random_),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("upgrade the collector")));
}

}  // namespace
}  // namespace netsentinel::spool
