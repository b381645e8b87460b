// Policy revisions, overrides, breaches and the outbox.
#include "gmock/gmock.h"

#include "common/base/bytes.h"
#include "tests/contract/store/store_contract.h"

namespace netsentinel::store {
namespace {

using test::IsOk;
using test::StatusIs;
using testing::SizeIs;

TEST_P(StoreContract, PolicyRevisionsCountUp) {
  ASSERT_OK_AND_ASSIGN(PolicyRevision policy, store_->LatestPolicy());
  EXPECT_EQ(policy.revision, 0u);
  ASSERT_OK_AND_ASSIGN(policy, store_->ImportPolicy(fence_, "sites: [lahore ü]\n", 5));
  EXPECT_EQ(policy.revision, 1u);
  ASSERT_THAT(store_->ImportPolicy(fence_, std::string(100'000, 'x'), 6), IsOk());
  ASSERT_OK_AND_ASSIGN(policy, other_->LatestPolicy());
  EXPECT_EQ(policy.revision, 2u);
  EXPECT_EQ(policy.content.size(), 100'000u);
  EXPECT_EQ(policy.imported_at_us, 6);
}

TEST_P(StoreContract, OverridesAreReplacedAndRemovedByTheirKey) {
  QuotaOverrideRow row{Subscriber(HardName()), "daily", base::kMaxStoredBytes, false, 5, "noc"};
  ASSERT_THAT(store_->PutQuotaOverride(fence_, row, Audited("1")), IsOk());
  ASSERT_THAT(
      store_->PutQuotaOverride(fence_, {Subscriber("b"), "daily", 1, true, 6, "x"}, Audited("2")),
      IsOk());
  row.changed_at_us = 9;
  ASSERT_THAT(store_->PutQuotaOverride(fence_, row, Audited("3")), IsOk());
  ASSERT_OK_AND_ASSIGN(auto rows, other_->QuotaOverrides());
  ASSERT_THAT(rows, SizeIs(2));
  EXPECT_TRUE(rows[0].unlimited);
  EXPECT_EQ(rows[1].subscriber, row.subscriber);
  EXPECT_EQ(rows[1].limit_bytes, base::kMaxStoredBytes);
  EXPECT_EQ(rows[1].changed_at_us, 9);
  EXPECT_EQ(rows[1].changed_by, "noc");
  ASSERT_THAT(store_->RemoveQuotaOverride(fence_, row.subscriber, "daily", Audited("4")), IsOk());
  ASSERT_THAT(store_->RemoveQuotaOverride(fence_, row.subscriber, "daily", Audited("5")), IsOk());
  EXPECT_THAT(*other_->QuotaOverrides(), SizeIs(1));
  row.limit_bytes = base::kMaxStoredBytes + 1;
  EXPECT_THAT(store_->PutQuotaOverride(fence_, row, Audited("6")),
              StatusIs(absl::StatusCode::kOutOfRange, testing::_));
}

TEST_P(OutboxContract, RowsAreHandedOutOldestFirstAndOnce) {
  EXPECT_THAT(Claim("one", 3), testing::ElementsAre("b1", "b2", "b3"));
  EXPECT_THAT(Claim("two", 3), testing::ElementsAre("b4"));
  EXPECT_THAT(Claim("two", 3), testing::ElementsAre("b4"));
  EXPECT_THAT(Claim("three", 3), SizeIs(0));
}

TEST_P(OutboxContract, WhatTheOwnerCouldNotHandOverComesAgainBeforeWhatFollowsIt) {
  EXPECT_THAT(Claim("one", 2), testing::ElementsAre("b1", "b2"));
  EXPECT_THAT(Claim("one", 10), testing::ElementsAre("b1", "b2", "b3", "b4"));
}

TEST_P(OutboxContract, ARowWaitsBehindAnEarlierOneOfItsPairUnderAnotherOwner) {
  EXPECT_THAT(Claim("one", 1), testing::ElementsAre("b1"));
  EXPECT_THAT(Claim("two", 10), testing::ElementsAre("b2", "b4"));
  EXPECT_THAT(Claim("one", 10), testing::ElementsAre("b1", "b3"));
}

TEST_P(OutboxContract, AClaimThatRanOutIsHandedOutAgain) {
  EXPECT_THAT(Claim("one", 1, absl::Microseconds(-1)), testing::ElementsAre("b1"));
  EXPECT_THAT(Claim("two", 10), testing::ElementsAre("b1", "b2", "b3", "b4"));
}

TEST_P(OutboxContract, AClaimOfAClockThatWasDaysAheadHoldsNobodyBack) {
  EXPECT_THAT(Claim("one", 1, absl::Hours(960)), testing::ElementsAre("b1"));
  EXPECT_THAT(Claim("two", 10), testing::ElementsAre("b1", "b2", "b3", "b4"));
}

TEST_P(OutboxContract, FinishedRowsAreGoneAndTheirBreachesSayHow) {
  ASSERT_OK_AND_ASSIGN(const auto claims, store_->ClaimOutbox(fence_, "one", absl::Minutes(5), 2));
  ASSERT_THAT(store_->FinishOutbox(
                  fence_, "one",
                  {{claims[0].outbox_id, 2, "ok"}, {claims[1].outbox_id, 3, "refused \xff"}}),
              IsOk());
  ASSERT_OK_AND_ASSIGN(const auto breaches, store_->BreachesSince(absl::CivilDay(2026, 1, 2)));
  ASSERT_THAT(breaches, SizeIs(4));
  EXPECT_EQ(breaches[0].delivery, 2);
  EXPECT_EQ(breaches[1].delivery, 3);
  EXPECT_EQ(breaches[2].delivery, 1);
  EXPECT_THAT(Claim("two", 10), testing::ElementsAre("b3", "b4"));
}

TEST_P(OutboxContract, RowsOfAnotherOwnerAreLeftAlone) {
  ASSERT_OK_AND_ASSIGN(const auto claims, store_->ClaimOutbox(fence_, "one", absl::Minutes(5), 1));
  ASSERT_THAT(store_->FinishOutbox(fence_, "two", {{claims[0].outbox_id, 2, ""}}), IsOk());
  EXPECT_EQ((*store_->BreachesSince(absl::CivilDay(2026, 1, 2)))[0].delivery, 1);
  EXPECT_THAT(store_->FinishOutbox(fence_, "one", {{claims[0].outbox_id, 1, ""}}),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::_));
}

TEST_P(OutboxContract, BreachesOfEarlierPeriodsAreNotListed) {
  CommitBatch batch;
  batch.breaches = {Breach("old")};
  batch.breaches[0].period_start = absl::CivilDay(2026, 1, 1);
  batch.breaches[0].crossed_at_us = 99;
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_THAT(*store_->BreachesSince(absl::CivilDay(2026, 1, 2)), SizeIs(4));
  ASSERT_OK_AND_ASSIGN(const BreachList newest_list, store_->Breaches({}, 1));
  const auto& newest = newest_list.breaches;
  ASSERT_THAT(newest, SizeIs(1));
  EXPECT_EQ(newest[0].breach_id, "old");
}

TEST_P(OutboxContract, ALongOutboxIsSearchedToItsEnd) {
  CommitBatch batch;
  for (int i = 0; i < 1200; ++i) batch.breaches.push_back(Breach("n" + std::to_string(i)));
  batch.breaches.push_back(Breach("last", "zoe"));
  ASSERT_THAT(store_->Commit(fence_, batch), IsOk());
  EXPECT_THAT(Claim("one", 1), testing::ElementsAre("b1"));
  EXPECT_THAT(Claim("two", 10), testing::ElementsAre("b2", "b4", "last"));
}

}  // namespace
}  // namespace netsentinel::store
