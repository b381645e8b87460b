#include "aggregator/accounting/checkpoint.h"

#include <random>

#include <gtest/gtest.h>

#include "common/base/crc32c.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

// What is stored is believed only when it fits together.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;
using ::testing::AllOf;
using ::testing::HasSubstr;

auto IsDamage() { return test::StatusIs(absl::StatusCode::kDataLoss, ::testing::_); }

class CheckpointTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  void Poll(std::uint64_t bytes, std::int64_t second) {
    d.Poll({{1, "alice", bytes, bytes, bytes}}, second, static_cast<std::uint64_t>(second));
  }
  // What a new Book says to the store as it is.
  absl::Status Recovered() {
    Book book;
    EXPECT_THAT(book.SetPolicy(d.policy, BookDriver::kStartUs), test::IsOk());
    RecoveryInput input = d.stored;
    input.now_us = BookDriver::kStartUs + 1000;
    for (const auto& [key, payload] : d.blobs) {
      input.checkpoints.push_back({key.first, key.second, payload});
    }
    const absl::Status status = book.Recover(input);
    return status.ok() ? book.Replay(d.stored.journal) : status;
  }
  static void Reseal(std::string& blob) {
    blob.resize(blob.size() - 4);
    const std::uint32_t crc = base::Crc32c(blob);
    for (int i = 0; i < 4; ++i) blob.push_back(static_cast<char>((crc >> (8 * i)) & 0xFF));
  }
  BookDriver d;
};

TEST_F(CheckpointTest, ADamagedBlobIsNamed) {
  Poll(1, 100);
  d.Flush(110);
  ASSERT_THAT(Recovered(), test::IsOk());
  for (auto& [key, payload] : d.blobs) {
    const std::string whole = payload;
    payload[payload.size() / 2] = static_cast<char>(payload[payload.size() / 2] ^ 1);
    EXPECT_THAT(Recovered(),
                test::StatusIs(absl::StatusCode::kDataLoss,
                               AllOf(HasSubstr("checkpoint " + key.first), HasSubstr("checksum"))));
    payload = whole;
  }
}

TEST_F(CheckpointTest, ABlobOfANewerVersionIsNoDamage) {
  Poll(1, 100);
  d.Flush(110);
  std::string& blob = d.blobs.at({"r/r1", 0});
  blob[0] = 3;
  Reseal(blob);
  EXPECT_THAT(Recovered(), test::StatusIs(absl::StatusCode::kFailedPrecondition,
                                          AllOf(HasSubstr("r/r1"), HasSubstr("newer version"))));
}

TEST_F(CheckpointTest, JournalRowsThatAreMissingDoubledOrDamagedAreFound) {
  Poll(1, 100);
  d.Flush(110);
  for (int i = 1; i <= 3; ++i) Poll(1 + static_cast<std::uint64_t>(i), 100 + 30 * i);
  ASSERT_THAT(Recovered(), test::IsOk());
  const auto rows = d.stored.journal;
  ASSERT_EQ(rows.size(), 3U);
  d.stored.journal.erase(d.stored.journal.begin() + 1);
  EXPECT_THAT(Recovered(), test::StatusIs(absl::StatusCode::kDataLoss,
                                          AllOf(HasSubstr("router \"r1\""), HasSubstr("missing"))));
  d.stored.journal = rows;
  d.stored.journal.erase(d.stored.journal.begin());
  EXPECT_THAT(Recovered(), IsDamage());
  d.stored.journal = rows;
  d.stored.journal[1].payload = rows[0].payload;
  EXPECT_THAT(Recovered(), IsDamage());
  d.stored.journal = rows;
  d.stored.journal[1].payload[5] = static_cast<char>(d.stored.journal[1].payload[5] ^ 4);
  EXPECT_THAT(Recovered(),
              test::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("checksum is wrong")));
  d.stored.journal = rows;
  d.stored.journal[0].payload.resize(3);
  EXPECT_THAT(Recovered(), test::StatusIs(absl::StatusCode::kDataLoss, HasSubstr("too short")));
}

TEST_F(CheckpointTest, ADictionaryThatClaimsMoreThanItHoldsIsRefused) {
  StateHead head;
  MenuState state;
  ASSERT_TRUE(state.dictionary.SkipTo(5'000'000));
  const std::string blob = EncodeStateHead(head, state);
  StateHead read_head;
  MenuState read;
  ASSERT_THAT(DecodeStatePart(0, blob, read_head, read), test::IsOk());
  EXPECT_THAT(FinishState(read_head, read), IsDamage());
  EXPECT_EQ(read.dictionary.next_index(), 0U) << "nothing was made for it";
}

TEST_F(CheckpointTest, TimesAndSumsOutOfRangeAreRefused) {
  StateHead head;
  head.rows = 1;
  MenuState state;
  state.last.emplace();
  state.last->attribution_us = kLatestUs + 1;
  StateHead read_head;
  MenuState read;
  EXPECT_THAT(DecodeStatePart(0, EncodeStateHead(head, state), read_head, read), IsDamage());
  DaySpan span;
  span.day = absl::CivilDay(2026, 1, 1);
  StoredRow row;
  row.row.counted.download = base::kMaxStoredBytes;
  EXPECT_THAT(DecodeRows(EncodeRows(span, {row})), test::IsOk());
  ++row.row.counted.download;
  EXPECT_THAT(DecodeRows(EncodeRows(span, {row})), IsDamage());
  StoredRouter router;
  router.open_from_us = kLatestUs + 1;
  EXPECT_THAT(DecodeRouter(EncodeRouter(router)), IsDamage());
}

// Memory forgets a queue that a reboot took just as a state that is read back does: else the
// journal would tell of a number that the state no longer knows.
TEST_F(CheckpointTest, AQueueThatARebootTookReturnsAfterACheckpoint) {
  const Row alice{1, "alice", 5, 5, 5};
  d.Poll({alice, {2, "bob", 5, 5, 5}}, 100, 50'000);
  d.session = 2;
  d.Poll({{2, "bob", 1, 1, 1}}, 160, 20);
  d.Flush(170);
  d.Poll({alice, {2, "bob", 2, 2, 2}}, 190, 50);
  ASSERT_THAT(Recovered(), test::IsOk());
  const std::string before = d.Ledger();
  d.Restart(200);
  EXPECT_EQ(d.Ledger(), before);
}

// A menu whose sessions come and go takes new numbers with each; they are given anew in time, and
// what is stored and journalled around that still fits.
TEST_F(CheckpointTest, NumbersOfQueuesThatWentAreGivenAnew) {
  BookDriver calm;
  calm.Start();
  std::uint64_t id = 1;
  std::mt19937 random(3);
  for (int round = 0; round < 60; ++round) {
    std::vector<Row> rows;
    for (int i = 0; i < 200; ++i) {
      const std::uint64_t bytes = 10 + random() % 1000;
      rows.push_back({id++, absl::StrCat("<pppoe-u", i, ">"), bytes, bytes, bytes, "", true});
    }
    const std::int64_t second = 100 + 30 * round;
    for (BookDriver* driver : {&d, &calm}) {
      driver->Poll(rows, second, 50'000 + static_cast<std::uint64_t>(30 * round));
    }
    if (round % 7 == 3) d.Flush(second + 1, round % 2 == 0);
    if (round % 5 == 4) d.Restart(second + 2);
    ASSERT_EQ(d.Ledger(), calm.Ledger()) << round;
  }
  d.Flush(5000);
  std::size_t dictionary_parts = 0;
  for (const auto& [key, payload] : d.blobs) {
    dictionary_parts += KindOfPart(key.second) == BlobKind::kDictionary ? 1U : 0U;
  }
  EXPECT_LE(dictionary_parts, 2U) << "12,000 numbers were given";
  d.Restart(5001);
  EXPECT_EQ(d.Ledger(), calm.Ledger());
}

}  // namespace
}  // namespace netsentinel::accounting
