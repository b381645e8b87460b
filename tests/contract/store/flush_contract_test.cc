// Usage, checkpoints, months and purging.
#include <string>
#include <thread>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"

#include "common/base/bytes.h"
#include "tests/contract/store/store_contract.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;
using testing::SizeIs;

const absl::CivilDay kDay(2026, 1, 31);

void ExpectSameFigures(const StoredUsage& a, const StoredUsage& b) {
  EXPECT_EQ(a.queue_id, b.queue_id);
  EXPECT_EQ(a.subscriber_id, b.subscriber_id);
  EXPECT_EQ(a.row.day, b.row.day);
  EXPECT_EQ(a.row.segment, b.row.segment);
  EXPECT_EQ(a.row.counted, b.row.counted);
  EXPECT_EQ(a.row.begin_inside, b.row.begin_inside);
  EXPECT_EQ(a.row.begin_outside, b.row.begin_outside);
  EXPECT_EQ(a.row.end_inside, b.row.end_inside);
  EXPECT_EQ(a.row.end_outside, b.row.end_outside);
  EXPECT_EQ(a.row.doubt, b.row.doubt);
  EXPECT_EQ(a.row.unseen, b.row.unseen);
  EXPECT_EQ(a.row.blind_us, b.row.blind_us);
  EXPECT_EQ(a.row.observed_us, b.row.observed_us);
  EXPECT_EQ(a.row.first_reading_us, b.row.first_reading_us);
  EXPECT_EQ(a.row.last_reading_us, b.row.last_reading_us);
  EXPECT_EQ(a.row.epochs, b.row.epochs);
  EXPECT_EQ(a.row.grade, b.row.grade);
}

// The evidence of a queue and day: `steps` disputed ones.
StoredEvidence EvidenceOf(std::uint64_t queue, absl::CivilDay day, int steps) {
  StoredEvidence row;
  row.queue_id = queue;
  row.subscriber_id = 1;
  row.day = day;
  row.evidence.totals = {{accounting::Explanation::kWentOn, 3, {4, 5}},
                         {accounting::Explanation::kReset, 2, {6, 7}}};
  for (int i = 0; i < steps; ++i) {
    accounting::DisputedStep step;
    step.from_us = 100 + i;
    step.to_us = 200 + i;
    step.before = {~std::uint64_t{0}, 9};
    step.now = {10, 11};
    step.counted_as = accounting::Explanation::kReset;
    step.counted = {12, 13};
    step.doubt = {14, 15};
    step.unseen = {16, 17};
    step.possible = {{accounting::Explanation::kWentOn, {18, 19}},
                     {accounting::Explanation::kReset, {20, 21}}};
    row.evidence.steps.push_back(step);
  }
  return row;
}

TEST_P(StoreContract, EvidenceComesBackInOrderEachStepWithItsRowAndNoMoreRowsThanAskedFor) {
  const absl::CivilDay day(2026, 1, 2);
  FlushBatch flush = TwoQueues();
  // Written in any order; a row may have totals alone.
  flush.evidence = {EvidenceOf(2, day + 1, 1), EvidenceOf(1, day + 1, 0), EvidenceOf(2, day, 8),
                    EvidenceOf(1, day, 2)};
  for (const StoredEvidence& row : flush.evidence) {
    flush.usage.push_back(Usage(row.queue_id, row.day, 100));
    flush.usage.back().subscriber_id = 1;
  }
  ASSERT_THAT(store_->Flush(fence_, flush), IsOk());
  const auto read = [&](std::size_t limit) {
    std::string text;
    const auto rows = store_->Evidence(Subscriber("ali"), day, day + 1, limit);
    if (!rows.ok()) return rows.status().ToString();
    for (const StoredEvidence& row : *rows) {
      absl::StrAppend(&text, row.queue_id, " of ", absl::FormatCivilTime(row.day), ": ",
                      row.evidence.steps.size(), row.queue.name == "ali" ? " ali" : "", "; ");
      EXPECT_EQ(
          row.evidence,
          EvidenceOf(row.queue_id, row.day, static_cast<int>(row.evidence.steps.size())).evidence);
    }
    return text;
  };
  const std::string all =
      "1 of 2026-01-02: 2 ali; 2 of 2026-01-02: 8; 1 of 2026-01-03: 0 ali; 2 of 2026-01-03: 1; ";
  EXPECT_EQ(read(100), all);
  EXPECT_EQ(read(4), all);
  EXPECT_EQ(read(2), "1 of 2026-01-02: 2 ali; 2 of 2026-01-02: 8; ");
}

TEST_P(StoreContract, UsageComesBackWithItsNamesInKeyOrder) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(2, kDay, 20), Usage(1, kDay, 10), Usage(1, kDay - 1, 30)};
  batch.usage.push_back(Usage(1, kDay, 40));
  batch.usage.back().row.segment = 1;
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rows, other_->UsageBetween(base::SiteId(), kDay - 1, kDay));
  ASSERT_THAT(rows, SizeIs(4));
  ExpectSameFigures(rows[0], batch.usage[2]);
  ExpectSameFigures(rows[1], batch.usage[1]);
  ExpectSameFigures(rows[2], batch.usage[3]);
  ExpectSameFigures(rows[3], batch.usage[0]);
  EXPECT_EQ(rows[3].row.queue, batch.queues[1].key);
  EXPECT_EQ(rows[3].row.subscriber, batch.subscribers[1].key);
  EXPECT_THAT(*other_->UsageBetween(base::SiteId("lahore"), kDay, kDay), SizeIs(3));
  EXPECT_THAT(*other_->UsageBetween(base::SiteId("karachi"), kDay, kDay), SizeIs(0));
  EXPECT_THAT(*other_->UsageBetween(base::SiteId(), kDay + 1, kDay + 9), SizeIs(0));
}

TEST_P(StoreContract, WritingTheSameRowsTwiceChangesNothing) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 10), Usage(2, kDay, 20)};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rows, store_->UsageBetween(base::SiteId(), kDay, kDay));
  ASSERT_THAT(rows, SizeIs(2));
  ExpectSameFigures(rows[0], batch.usage[0]);
  ASSERT_OK_AND_ASSIGN(const auto month,
                       store_->MonthUsage(base::SiteId(), absl::CivilMonth(kDay)));
  ASSERT_THAT(month, SizeIs(2));
  EXPECT_EQ(month[0].row.counted, (base::TrafficBytes{10, 11}));
}

TEST_P(StoreContract, ASubscribersUsageIsThatOfAllItsQueuesAndNobodyElses) {
  FlushBatch batch = TwoQueues();
  batch.queues.push_back(Queue(3, "ali-2"));
  batch.subscribers.push_back({3, {base::SiteId("lahore"), base::RouterId(), HardName()}});
  batch.usage = {Usage(2, kDay, 1), Usage(2, kDay + 1, 2), Usage(1, kDay, 4), Usage(3, kDay, 8)};
  batch.usage[2].subscriber_id = 2;
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rows,
                       store_->SubscriberUsage(Subscriber(HardName()), kDay, kDay + 1));
  ASSERT_THAT(rows, SizeIs(3));
  EXPECT_EQ(rows[0].row.counted.upload + rows[1].row.counted.upload + rows[2].row.counted.upload,
            7u);
  EXPECT_EQ(rows[0].row.queue.name, "ali");
  EXPECT_THAT(*store_->SubscriberUsage(Subscriber("nobody"), kDay, kDay), SizeIs(0));
}

TEST_P(StoreContract, RowsAtTheGreatestNumberAreExactAndBeyondAreRefusedBeforeAnySql) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, base::kMaxStoredBytes - 1)};
  batch.usage[0].row.unseen = {base::kMaxStoredBytes, base::kMaxStoredBytes};
  batch.usage[0].row.observed_us = base::kMaxStoredBytes;
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rows, store_->UsageBetween(base::SiteId(), kDay, kDay));
  ASSERT_THAT(rows, SizeIs(1));
  ExpectSameFigures(rows[0], batch.usage[0]);
  EXPECT_EQ(rows[0].row.counted.download, base::kMaxStoredBytes);
  batch.usage[0].row.counted.upload = base::kMaxStoredBytes + 1;
  EXPECT_THAT(store_->Flush(fence_, batch),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("2^63")));
}

TEST_P(StoreContract, ManyRowsArePagedAndComplete) {
  constexpr std::uint64_t kQueues = 21'000;
  FlushBatch batch;
  for (std::uint64_t i = 1; i <= kQueues; ++i) {
    batch.queues.push_back(Queue(i, "q" + std::to_string(i)));
    batch.subscribers.push_back({i, Subscriber("q" + std::to_string(i))});
    batch.usage.push_back(Usage(kQueues + 1 - i, kDay, i));
  }
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto rows, store_->UsageBetween(base::SiteId(), kDay, kDay));
  ASSERT_THAT(rows, SizeIs(kQueues));
  for (std::uint64_t i = 0; i < kQueues; ++i) {
    ASSERT_EQ(rows[i].queue_id, i + 1);
    ASSERT_EQ(rows[i].row.counted.upload, kQueues - i);
  }
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  EXPECT_THAT(state.queues, SizeIs(kQueues));
  EXPECT_THAT(state.subscribers, SizeIs(kQueues));
}

TEST_P(StoreContract, CheckpointsReplaceTheJournalTheyCover) {
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1), Journal(2, 1, "r2"), Journal(3, 2),
                                                  Journal(4, 2, "r2")})),
              IsOk());
  FlushBatch batch = TwoQueues();
  batch.checkpoints = {{"state" + HardName(), 1, HardName()},
                       {"state" + HardName(), 0, ""},
                       {"other", 0, std::string(200'000, '\0')}};
  batch.closed_days = {{base::RouterId("r1"), absl::CivilDay(2999, 1, 1), true, 9}};
  batch.trims = {{base::RouterId("r1"), counters::Menu::kSimple, 3},
                 {base::RouterId("r2"), counters::Menu::kSimple, 2},
                 {base::RouterId("r2"), counters::Menu::kTree, 4}};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(Stored state, ReadBack(*other_));
  ASSERT_THAT(state.journal, SizeIs(1));
  EXPECT_EQ(state.journal[0].journal_id, 4u);
  EXPECT_EQ(state.next_journal_id, 5u);
  ASSERT_THAT(state.checkpoints, SizeIs(3));
  EXPECT_EQ(state.checkpoints[0].state_key, "other");
  EXPECT_EQ(state.checkpoints[0].payload, batch.checkpoints[2].payload);
  EXPECT_EQ(state.checkpoints[1].part, 0u);
  EXPECT_EQ(state.checkpoints[2].payload, HardName());
  ASSERT_THAT(state.queues, SizeIs(2));
  EXPECT_EQ(state.queues[1].key, batch.queues[1].key);
  EXPECT_EQ(state.subscribers[1].key, batch.subscribers[1].key);
  EXPECT_EQ(state.next_queue_id, 3u);
  EXPECT_EQ(state.next_subscriber_id, 3u);
  ASSERT_THAT(state.closed_days, SizeIs(1));
  EXPECT_TRUE(state.closed_days[0].partial);
  EXPECT_EQ(state.closed_days[0].day, absl::CivilDay(2999, 1, 1));

  FlushBatch second = TwoQueues();
  second.checkpoints = {{"other", 0, "new"}};
  second.dropped_checkpoints = {{"state" + HardName(), 1}, {"unknown", 7}};
  ASSERT_THAT(store_->Flush(fence_, second), IsOk());
  ASSERT_OK_AND_ASSIGN(state, ReadBack(*other_));
  ASSERT_THAT(state.checkpoints, SizeIs(2));
  EXPECT_EQ(state.checkpoints[0].payload, "new");
}

TEST_P(StoreContract, MoreCheckpointsThanOnePageComeBackInOrder) {
  FlushBatch batch = TwoQueues();
  for (std::uint32_t i = 0; i < 250; ++i) {
    batch.checkpoints.push_back({"key" + std::to_string(i % 3), i, std::to_string(i)});
  }
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  ASSERT_THAT(state.checkpoints, SizeIs(250));
  for (std::size_t i = 1; i < 250; ++i) {
    ASSERT_LT(std::make_pair(state.checkpoints[i - 1].state_key, state.checkpoints[i - 1].part),
              std::make_pair(state.checkpoints[i].state_key, state.checkpoints[i].part));
  }
}

TEST_P(StoreContract, AFlushThatFailsInItsLastPartLeavesNothing) {
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  ASSERT_THAT(backend_->Sql("ALTER TABLE counters RENAME TO counters_away"), IsOk());
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 10)};
  batch.checkpoints = {{"key", 0, "x"}};
  batch.trims = {{base::RouterId("r1"), counters::Menu::kSimple, 1}};
  EXPECT_FALSE(store_->Flush(fence_, batch).ok());
  ASSERT_THAT(backend_->Sql("ALTER TABLE counters_away RENAME TO counters"), IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*other_));
  EXPECT_THAT(state.journal, SizeIs(1));
  EXPECT_THAT(state.checkpoints, SizeIs(0));
  EXPECT_THAT(state.queues, SizeIs(0));
  EXPECT_THAT(*other_->UsageBetween(base::SiteId(), kDay, kDay), SizeIs(0));
  EXPECT_THAT(store_->Flush(fence_, batch), IsOk());
}

// Days 1, 15 and 31 of January, closed; then most of them purged.
TEST_P(StoreContract, AMonthKeepsTheDaysThatWerePurged) {
  const absl::CivilMonth month(2026, 1);
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, absl::CivilDay(2026, 1, 1), 100),
                 Usage(1, absl::CivilDay(2026, 1, 15), 200), Usage(1, kDay, 400),
                 Usage(2, absl::CivilDay(2026, 1, 15), 800),
                 Usage(1, absl::CivilDay(2026, 2, 1), 1600)};
  for (const StoredUsage& usage : batch.usage) {
    batch.closed_days.push_back({base::RouterId("r1"), usage.row.day, false, 1});
  }
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto before, store_->MonthUsage(base::SiteId("lahore"), month));
  ASSERT_OK_AND_ASSIGN(const std::size_t first, store_->PurgeDaily(fence_, kDay, 2));
  EXPECT_EQ(first, 2u);
  ASSERT_OK_AND_ASSIGN(const std::size_t second, store_->PurgeDaily(fence_, kDay, 2));
  EXPECT_EQ(second, 1u);
  ASSERT_OK_AND_ASSIGN(const std::size_t third, store_->PurgeDaily(fence_, kDay, 2));
  EXPECT_EQ(third, 0u);
  EXPECT_THAT(*store_->UsageBetween(base::SiteId(), absl::CivilDay(month), kDay), SizeIs(1));
  ASSERT_OK_AND_ASSIGN(const auto after, other_->MonthUsage(base::SiteId("lahore"), month));
  ASSERT_THAT(after, SizeIs(2));
  ExpectSameFigures(before[0], after[0]);
  ExpectSameFigures(before[1], after[1]);
  EXPECT_EQ(after[0].row.counted, (base::TrafficBytes{700, 703}));
  // Only the shares at the month's own edges: the first and the last day's.
  EXPECT_EQ(after[0].row.begin_inside, (base::TrafficBytes{2, 3}));
  EXPECT_EQ(after[0].row.end_inside, (base::TrafficBytes{4, 5}));
  EXPECT_EQ(after[1].row.begin_inside, base::TrafficBytes{});
  EXPECT_EQ(after[0].row.unseen, (base::TrafficBytes{24, 27}));
  EXPECT_EQ(after[0].row.queue.name, "ali");
  ASSERT_OK_AND_ASSIGN(const auto own, other_->SubscriberMonth(Subscriber("ali"), month));
  ASSERT_THAT(own, SizeIs(1));
  EXPECT_EQ(own[0].row.counted, after[0].row.counted);
}

// Two queues in November, one in December, all in their months; and a day of January.
TEST_P(StoreContract, OldMonthsGoInSlicesAndLeaveAMark) {
  const absl::CivilDay november(2025, 11, 3);
  const absl::CivilDay december(2025, 12, 9);
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, november, 100), Usage(2, november, 200), Usage(1, december, 400),
                 Usage(1, kDay, 800)};
  for (const absl::CivilDay day : {november, december, kDay}) {
    batch.closed_days.push_back({base::RouterId("r1"), day, false, 1});
  }
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  // What is still in its days is no month yet.
  EXPECT_EQ(*store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 1), 1), 0U);
  ASSERT_OK_AND_ASSIGN(Store::History history,
                       store_->UsageHistory(base::SiteId(), november, december, {}));
  EXPECT_EQ(history.kept_from, absl::CivilMonth(1970, 1));
  ASSERT_OK_AND_ASSIGN(const std::size_t folded, store_->PurgeDaily(fence_, kDay, 10));
  ASSERT_EQ(folded, 3U);
  EXPECT_EQ(*store_->PurgeMonthly(fence_, absl::CivilMonth(2025, 12), 1), 1U);
  EXPECT_EQ(*store_->PurgeMonthly(fence_, absl::CivilMonth(2025, 12), 1), 1U);
  EXPECT_EQ(*store_->PurgeMonthly(fence_, absl::CivilMonth(2025, 12), 1), 0U);
  EXPECT_THAT(*other_->MonthUsage(base::SiteId(), absl::CivilMonth(november)), SizeIs(0));
  ASSERT_OK_AND_ASSIGN(const auto kept,
                       other_->MonthUsage(base::SiteId(), absl::CivilMonth(december)));
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(kept[0].row.counted.upload, 400U);
  ASSERT_OK_AND_ASSIGN(history, other_->UsageHistory(base::SiteId(), november, december, {}));
  EXPECT_EQ(history.kept_from, absl::CivilMonth(2025, 12));
  EXPECT_THAT(history.months, SizeIs(1));
  EXPECT_THAT(*other_->UsageBetween(base::SiteId(), kDay, kDay), SizeIs(1));
}

// Three rows in days; then two of them in their month.
TEST_P(StoreContract, AHistoryOfMoreRowsThanAskedForIsRefusedWithTheDay) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 1), Usage(2, kDay, 2), Usage(1, kDay + 1, 4)};
  batch.closed_days = {{base::RouterId("r1"), kDay, false, 1}};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  const auto read = [&](std::size_t rows_max, absl::CivilDay last) {
    Store::HistoryReader reader;
    reader.rows_max = rows_max;
    return store_->UsageHistory(base::SiteId(), kDay, last, reader).status();
  };
  EXPECT_THAT(read(3, kDay + 1), IsOk());
  EXPECT_THAT(read(2, kDay), IsOk());
  EXPECT_THAT(
      read(2, kDay + 1),
      StatusIs(absl::StatusCode::kOutOfRange,
               HasSubstr(absl::StrCat("more than 2 rows, one for each queue, day and segment, are "
                                      "stored up to ",
                                      absl::FormatCivilTime(kDay + 1), ": ask for fewer days"))));
  ASSERT_OK_AND_ASSIGN(const std::size_t rows, store_->PurgeDaily(fence_, kDay + 1, 10));
  ASSERT_EQ(rows, 2U);
  EXPECT_THAT(read(3, kDay + 1), IsOk());
  EXPECT_THAT(
      read(2, kDay + 1),
      StatusIs(absl::StatusCode::kOutOfRange,
               HasSubstr(absl::StrCat(
                   "more than 2 rows, with one for each queue and month, are stored up to ",
                   absl::FormatCivilTime(absl::CivilMonth(kDay)), ": ask for fewer months"))));
  EXPECT_THAT(store_->Flush(fence_, batch), IsOk());
}

TEST_P(StoreContract, AHistoryThatItsReaderCannotUseIsNotRead) {
  Store::HistoryReader reader;
  reader.begins = [](absl::CivilDay purged_before, absl::CivilMonth kept_from) {
    EXPECT_EQ(purged_before, absl::CivilDay(1970, 1, 1));
    EXPECT_EQ(kept_from, absl::CivilMonth(1970, 1));
    return absl::OutOfRangeError("gone");
  };
  reader.go_on = [] {
    ADD_FAILURE() << "read on";
    return absl::OkStatus();
  };
  EXPECT_THAT(store_->UsageHistory(base::SiteId(), kDay, kDay + 9, reader),
              StatusIs(absl::StatusCode::kOutOfRange, HasSubstr("gone")));
}

TEST_P(StoreContract, AHistoryThatNobodyWaitsForIsNotReadOn) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 1), Usage(1, kDay + 1, 2)};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  int asked = 0;
  Store::HistoryReader reader;
  reader.go_on = [&asked]() -> absl::Status {
    return ++asked == 2 ? absl::CancelledError("gone") : absl::OkStatus();
  };
  EXPECT_THAT(store_->UsageHistory(base::SiteId(), kDay, kDay + 9, reader),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("gone")));
  EXPECT_EQ(asked, 2);
  EXPECT_THAT(store_->Flush(fence_, batch), IsOk());
}

TEST_P(StoreContract, ALateRowOfAPurgedDayAddsToItsMonth) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 100)};
  batch.closed_days = {{base::RouterId("r1"), kDay, false, 1}};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t purged, store_->PurgeDaily(fence_, kDay + 1, 100));
  EXPECT_EQ(purged, 1u);
  batch.usage = {Usage(1, kDay, 7)};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t late, store_->PurgeDaily(fence_, kDay + 1, 100));
  EXPECT_EQ(late, 1u);
  ASSERT_OK_AND_ASSIGN(const auto month,
                       store_->MonthUsage(base::SiteId(), absl::CivilMonth(kDay)));
  ASSERT_THAT(month, SizeIs(1));
  EXPECT_EQ(month[0].row.counted.upload, 107u);
}

TEST_P(StoreContract, DaysThatAreOpenAgainAreNotPurged) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay - 1, 100), Usage(1, kDay, 200), Usage(1, kDay + 1, 400)};
  for (const StoredUsage& usage : batch.usage) {
    batch.closed_days.push_back({base::RouterId("r1"), usage.row.day, false, 1});
    batch.closed_days.push_back({base::RouterId("r2"), usage.row.day, false, 1});
  }
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  FlushBatch reopening;
  reopening.reopened_days = {{base::RouterId("r1"), kDay}};
  reopening.closed_days = {{base::RouterId("r1"), kDay + 1, true, 2}};
  ASSERT_THAT(store_->Flush(fence_, reopening), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t purged, store_->PurgeDaily(fence_, kDay + 9, 100));
  EXPECT_EQ(purged, 2U);
  ASSERT_OK_AND_ASSIGN(const auto left, other_->UsageBetween(base::SiteId(), kDay - 1, kDay + 1));
  ASSERT_THAT(left, SizeIs(1));
  EXPECT_EQ(left[0].row.day, kDay);
  reopening.reopened_days = {{base::RouterId(std::string(1000, 'r')), kDay}};
  EXPECT_THAT(store_->Flush(fence_, reopening),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("router")));
}

TEST_P(StoreContract, DaysThatAreStillOpenAreNotPurged) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 100), Usage(2, kDay, 100)};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  ASSERT_OK_AND_ASSIGN(const std::size_t purged, store_->PurgeDaily(fence_, kDay + 9, 100));
  EXPECT_EQ(purged, 0u);
}

TEST_P(StoreContract, AMonthsSumStopsAtTheGreatestNumber) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, base::kMaxStoredBytes - 1), Usage(1, kDay - 1, 500)};
  batch.closed_days = {{base::RouterId("r1"), kDay, false, 1},
                       {base::RouterId("r1"), kDay - 1, false, 1}};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  for (int round = 0; round < 2; ++round) {
    ASSERT_OK_AND_ASSIGN(const auto month,
                         store_->MonthUsage(base::SiteId(), absl::CivilMonth(kDay)));
    ASSERT_THAT(month, SizeIs(1));
    EXPECT_EQ(month[0].row.counted.upload, base::kMaxStoredBytes);
    ASSERT_THAT(store_->PurgeDaily(fence_, kDay + 1, 100), IsOk());
  }
}

TEST_P(StoreContract, FlushAndCommitRunBesideEachOther) {
  FlushBatch flush = TwoQueues();
  for (std::uint64_t i = 1; i <= 3000; ++i) flush.usage.push_back(Usage(i, kDay, i));
  absl::Status flushed;
  std::thread flusher([&] {
    for (int i = 0; i < 5 && flushed.ok(); ++i) flushed = other_->Flush(fence_, flush);
  });
  absl::Status committed;
  for (std::uint64_t i = 1; i <= 100 && committed.ok(); ++i) {
    committed = store_->Commit(fence_, JournalOnly({Journal(i, i)}));
  }
  flusher.join();
  EXPECT_THAT(flushed, IsOk());
  EXPECT_THAT(committed, IsOk());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  EXPECT_THAT(state.journal, SizeIs(100));
}

TEST_P(StoreContract, TheViewOfEarlierScriptsShowsGibibytes) {
  FlushBatch batch = TwoQueues();
  batch.usage = {Usage(1, kDay, 3ULL << 30)};
  ASSERT_THAT(store_->Flush(fence_, batch), IsOk());
  CommitBatch commit;
  commit.breaches = {Breach("b1")};
  commit.breaches[0].period_start = kDay;
  ASSERT_THAT(store_->Commit(fence_, commit), IsOk());
  ASSERT_OK_AND_ASSIGN(const auto claims, store_->ClaimOutbox(fence_, "o", absl::Minutes(1), 1));
  ASSERT_THAT(store_->FinishOutbox(fence_, "o", {{claims[0].outbox_id, 2, ""}}), IsOk());
  // The insertion succeeds only with exactly this one row in the view.
  ASSERT_THAT(
      backend_->Sql("INSERT INTO counters SELECT 'seen', COUNT(*) FROM custom_bandwidth_quotas"
                    " WHERE queue_name = 'ali' AND bytes_download = 3 AND bytes_upload = 3"
                    " AND check_date = '2026-01-31' AND alert_sent = 1"),
      IsOk());
  EXPECT_FALSE(backend_->Sql("INSERT INTO counters SELECT 'seen', 0").ok());
  ASSERT_THAT(backend_->Sql("UPDATE fence SET epoch = epoch + 1000 * (SELECT value FROM counters"
                            " WHERE name = 'seen')"),
              IsOk());
  EXPECT_THAT(store_->Commit(fence_, {}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("is 1001")));
}

}  // namespace
}  // namespace netsentinel::store
