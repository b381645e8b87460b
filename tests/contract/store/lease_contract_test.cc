// The lease, its fence, and what nobody may do without them.
#include <functional>

#include "gmock/gmock.h"

#include "tests/contract/store/store_contract.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::HasSubstr;

TEST_P(StoreContract, ALeaseIsRefusedWhileAnotherHoldsItAndNamesTheHolder) {
  EXPECT_THAT(other_->AcquireLease("second", absl::Minutes(1)),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("first")));
}

TEST_P(StoreContract, TheSameHolderTakesItsLeaseAgainWithALaterFence) {
  ASSERT_OK_AND_ASSIGN(const LeaseInfo again, other_->AcquireLease("first", absl::Minutes(1)));
  EXPECT_GT(again.fence.epoch, fence_.epoch);
  EXPECT_THAT(store_->Commit(fence_, {}), StatusIs(absl::StatusCode::kAborted, testing::_));
}

TEST_P(StoreContract, ALeaseThatRanOutGoesToTheNextWithALaterFence) {
  ASSERT_THAT(store_->RenewLease("first", fence_, absl::Microseconds(-1)), IsOk());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo taken, other_->AcquireLease("second", absl::Minutes(1)));
  EXPECT_GT(taken.fence.epoch, fence_.epoch);
  EXPECT_EQ(taken.holder, "second");
  EXPECT_EQ(taken.until_us - taken.now_us, 60'000'000);
}

TEST_P(StoreContract, RenewingExtendsTheLease) {
  ASSERT_OK_AND_ASSIGN(const LeaseInfo renewed,
                       store_->RenewLease("first", fence_, absl::Minutes(9)));
  EXPECT_EQ(renewed.fence.epoch, fence_.epoch);
  EXPECT_EQ(renewed.until_us - renewed.now_us, 9 * 60'000'000LL);
}

TEST_P(StoreContract, RenewingALostLeaseIsAborted) {
  ASSERT_THAT(store_->RenewLease("first", fence_, absl::Microseconds(-1)), IsOk());
  ASSERT_THAT(other_->AcquireLease("second", absl::Minutes(1)), IsOk());
  EXPECT_THAT(store_->RenewLease("first", fence_, absl::Minutes(1)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("second")));
}

TEST_P(StoreContract, AReleasedLeaseIsFreeAtOnceAndItsFenceHasEnded) {
  ASSERT_THAT(store_->ReleaseLease("first", fence_), IsOk());
  EXPECT_THAT(store_->Commit(fence_, {}), StatusIs(absl::StatusCode::kAborted, testing::_));
  ASSERT_OK_AND_ASSIGN(const LeaseInfo taken, other_->AcquireLease("second", absl::Minutes(1)));
  EXPECT_GT(taken.fence.epoch, fence_.epoch);
}

TEST_P(StoreContract, ReleasingALeaseThatIsNotOursChangesNothing) {
  EXPECT_THAT(other_->ReleaseLease("second", Fence{fence_.epoch}), IsOk());
  EXPECT_THAT(store_->Commit(fence_, {}), IsOk());
}

TEST_P(StoreContract, EveryWritingCallIsAbortedUnderAnEndedFence) {
  ASSERT_THAT(store_->RenewLease("first", fence_, absl::Microseconds(-1)), IsOk());
  ASSERT_THAT(other_->AcquireLease("second", absl::Minutes(1)), IsOk());
  const auto aborted = StatusIs(absl::StatusCode::kAborted, HasSubstr("another aggregator"));
  EXPECT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), aborted);
  EXPECT_THAT(store_->Flush(fence_, TwoQueues()), aborted);
  EXPECT_THAT(store_->NextLeaseEpochs(fence_, 3, 0), aborted);
  EXPECT_THAT(store_->ImportPolicy(fence_, "a: 1", 5), aborted);
  EXPECT_THAT(store_->PutQuotaOverride(fence_, {Subscriber("ali"), "daily", 1, false, 1, "x"},
                                       Audited("a")),
              aborted);
  EXPECT_THAT(store_->RemoveQuotaOverride(fence_, Subscriber("ali"), "daily", Audited("b")),
              aborted);
  EXPECT_THAT(store_->AppendAudit(fence_, {Audited("c")}), aborted);
  EXPECT_THAT(*store_->AuditLog({}), testing::IsEmpty());
  EXPECT_THAT(store_->ClaimOutbox(fence_, "first", absl::Minutes(1), 10), aborted);
  EXPECT_THAT(store_->FinishOutbox(fence_, "first", {{1, 2, ""}}), aborted);
  EXPECT_THAT(store_->AppendEvents(
                  fence_, {{1, base::RouterId("r1"), counters::Menu::kSimple, "", "k", ""}}),
              aborted);
  EXPECT_THAT(store_->PurgeDaily(fence_, absl::CivilDay(2026, 1, 1), 10), aborted);
  EXPECT_THAT(store_->PurgeMonthly(fence_, absl::CivilMonth(2026, 1), 10), aborted);
  EXPECT_THAT(store_->PurgeHistory(fence_, 1, 10), aborted);
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*other_));
  EXPECT_TRUE(state.journal.empty());
  EXPECT_TRUE(state.queues.empty());
}

TEST_P(StoreContract, AFenceThatWentBackIsAborted) {
  ASSERT_THAT(store_->Commit(fence_, {}), IsOk());
  ASSERT_THAT(backend_->Sql("UPDATE fence SET epoch = 0"), IsOk());
  EXPECT_THAT(store_->Commit(fence_, {}),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("went back in time")));
}

TEST_P(StoreContract, AMissingFenceRowIsDataLoss) {
  ASSERT_THAT(backend_->Sql("DELETE FROM fence"), IsOk());
  EXPECT_THAT(store_->Commit(fence_, {}),
              StatusIs(absl::StatusCode::kDataLoss, HasSubstr("restore")));
}

TEST_P(StoreContract, LeaseEpochsAscendAcrossStores) {
  ASSERT_OK_AND_ASSIGN(const std::uint64_t first, store_->NextLeaseEpochs(fence_, 3, 0));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t second, other_->NextLeaseEpochs(fence_, 1, 0));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t third, other_->NextLeaseEpochs(fence_, 20'000, 0));
  EXPECT_EQ(first, 1u);
  EXPECT_EQ(second, 4u);
  EXPECT_EQ(third, 5u);
}

// A database that was restored has forgotten epochs which spools still hold.
TEST_P(StoreContract, LeaseEpochsGoAboveWhatASpoolHolds) {
  ASSERT_OK_AND_ASSIGN(const std::uint64_t first, store_->NextLeaseEpochs(fence_, 2, 500));
  ASSERT_OK_AND_ASSIGN(const std::uint64_t second, store_->NextLeaseEpochs(fence_, 1, 500));
  EXPECT_EQ(first, 501u);
  EXPECT_EQ(second, 503u);
  // A collector that lies does not use the numbers up.
  std::uint64_t before = second;
  for (const std::uint64_t lie : {std::uint64_t{1} << 62, ~std::uint64_t{0}}) {
    ASSERT_OK_AND_ASSIGN(const std::uint64_t next, store_->NextLeaseEpochs(fence_, 1, lie));
    EXPECT_EQ(next, before + Store::kMaxEpochStep + 1);
    before = next;
  }
}

TEST_P(StoreContract, ASecondStartFindsTheSchemaAndTheData) {
  ASSERT_THAT(store_->Commit(fence_, JournalOnly({Journal(1, 1)})), IsOk());
  store_.reset();
  other_.reset();
  factory_.reset();
  ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
  ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
  ASSERT_OK_AND_ASSIGN(const Stored state, ReadBack(*store_));
  EXPECT_EQ(state.journal.size(), 1u);
}

TEST_P(StoreContract, ANewerSchemaIsRefusedInWords) {
  store_.reset();
  other_.reset();
  factory_.reset();
  ASSERT_THAT(backend_->Sql("INSERT INTO schema_version VALUES (9999, 0)"), IsOk());
  EXPECT_THAT(backend_->Open().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       testing::AllOf(HasSubstr("version 9999"), HasSubstr("upgrade"))));
}

TEST_P(StoreContract, ADatabaseOfSomethingElseIsRefused) {
  const std::unique_ptr<Backend> fresh = GetParam()(true);
  ASSERT_THAT(fresh->Sql("CREATE TABLE devices (id INT)"), IsOk());
  EXPECT_THAT(fresh->Open().status(),
              StatusIs(absl::StatusCode::kFailedPrecondition, HasSubstr("of its own")));
}

TEST_P(StoreContract, WhenAnOlderDatabaseWasReadIsTakenFromItsUsage) {
  const absl::CivilDay day(2026, 1, 2);
  FlushBatch flush = TwoQueues();
  flush.usage = {Usage(1, day, 100), Usage(2, day + 1, 50)};
  flush.usage[0].row.first_reading_us = 700;
  flush.usage[1].row.first_reading_us = 0;  // divided from readings beside it
  ASSERT_THAT(store_->Flush(fence_, flush), IsOk());
  MakeOlder();
  ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
  ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
  ASSERT_OK_AND_ASSIGN(const SiteReadings readings,
                       store_->Readings(base::SiteId("lahore"), day - 1, day + 1));
  ASSERT_EQ(readings.firsts.size(), 1u);
  EXPECT_EQ(readings.firsts[0].router.value(), "r1");
  EXPECT_EQ(readings.firsts[0].at_us, 700);
  EXPECT_EQ(readings.read_in_span.size(), 1u);
  EXPECT_EQ(store_->Readings(base::SiteId("lahore"), day + 1, day + 1)->read_in_span.size(), 0u);
}

TEST_P(StoreContract, AChangeOfTheSchemaTellsWhereItIsStopsBetweenTwoDaysAndIsGoneOnWith) {
  const absl::CivilDay day(2026, 1, 2);
  FlushBatch flush = TwoQueues();
  for (int i = 0; i < 5; ++i) {
    flush.usage.push_back(Usage(1, day + i, 100));
    flush.usage.back().row.first_reading_us = 700 - i;  // days need not be in order of instants
  }
  ASSERT_THAT(store_->Flush(fence_, flush), IsOk());
  MakeOlder();
  std::vector<std::string> told;
  bool stopped = false;
  backend_->migration.tell = [&](const SchemaChange& change) {
    told.push_back(change.text);
    stopped = told.size() == 3;
  };
  backend_->migration.wait = [&](absl::Duration) { return !stopped; };
  EXPECT_THAT(backend_->Open().status(),
              StatusIs(absl::StatusCode::kCancelled, HasSubstr("the next start goes on")));
  EXPECT_THAT(told, testing::ElementsAre(
                        "the schema is being changed, step 5 of 6",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-02",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-03"));
  told.clear();
  backend_->migration.tell = [&](const SchemaChange& change) { told.push_back(change.text); };
  stopped = false;
  ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
  EXPECT_THAT(told, testing::ElementsAre(
                        "the schema is being changed, step 5 of 6",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-03",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-04",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-05",
                        "the schema is being changed, step 5 of 6: usage_daily of 2026-01-06",
                        "the schema is being changed, step 5 of 6 is done",
                        "the schema is being changed, step 6 of 6",
                        "the schema is being changed, step 6 of 6 is done"));
  ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
  ASSERT_OK_AND_ASSIGN(const SiteReadings readings,
                       store_->Readings(base::SiteId("lahore"), day, day + 9));
  EXPECT_EQ(store_->ReadDays(day, day + 9)->size(), 5u);
  ASSERT_EQ(readings.firsts.size(), 1u);
  EXPECT_EQ(readings.firsts[0].at_us, 696);
}

TEST_P(StoreContract, AStandbyUnderWhoseFeetTheSchemaWasChangedTakesNoLease) {
  ASSERT_THAT(store_->ReleaseLease("first", fence_), IsOk());
  ASSERT_THAT(backend_->Sql("INSERT INTO schema_version VALUES (9999, 0)"), IsOk());
  EXPECT_THAT(other_->AcquireLease("second", absl::Minutes(1)),
              StatusIs(absl::StatusCode::kAborted, HasSubstr("upgrade this program first")));
}

TEST_P(StoreContract, ALeaseOfAClockThatWasDaysAheadHoldsNobodyBack) {
  ASSERT_OK_AND_ASSIGN(const LeaseInfo far, store_->RenewLease("first", fence_, absl::Hours(960)));
  ASSERT_OK_AND_ASSIGN(const LeaseInfo next, other_->AcquireLease("second", absl::Minutes(1)));
  EXPECT_GT(next.fence.epoch, far.fence.epoch);
  EXPECT_THAT(store_->RenewLease("first", fence_, absl::Minutes(1)),
              StatusIs(absl::StatusCode::kAborted, testing::_));
}

TEST_P(StoreContract, AMigrationThatStoppedHalfwayIsFinishedByTheNextStart) {
  Close();
  ASSERT_THAT(backend_->Sql("DELETE FROM schema_version WHERE version > 1"), IsOk());
  ASSERT_THAT(backend_->Sql("DROP TABLE outbox"), IsOk());
  backend_->migration.holder = "first";
  ASSERT_OK_AND_ASSIGN(factory_, backend_->Open());
  ASSERT_OK_AND_ASSIGN(store_, factory_->Connect());
  ASSERT_OK_AND_ASSIGN(const LeaseInfo lease, store_->AcquireLease("first", absl::Minutes(5)));
  CommitBatch batch;
  batch.breaches = {Breach("b1")};
  EXPECT_THAT(store_->Commit(lease.fence, batch), IsOk());
}

}  // namespace
}  // namespace netsentinel::store
