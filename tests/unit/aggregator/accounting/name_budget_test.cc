#include "aggregator/accounting/name_budget.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "aggregator/accounting/menu_state.h"
#include "common/counters/limits.h"
#include "tests/support/status_matchers.h"
#include "tests/unit/aggregator/accounting/book_driver.h"

namespace netsentinel::accounting {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr absl::CivilDay kMonday(2026, 3, 9);

NameCount Names(std::uint64_t names, std::uint64_t bytes_each) {
  return {.names = names, .bytes = names * bytes_each};
}

// What a snapshot that was taken leaves behind.
absl::Status Take(NameBudget& budget, absl::CivilDay day, std::size_t queues, std::uint64_t names,
                  std::size_t bytes_each) {
  const absl::Status status = budget.Check(day, queues, Names(names, bytes_each));
  const std::string name(bytes_each, 'n');
  for (std::uint64_t i = 0; status.ok() && i < names; ++i) budget.Add(name);
  return status;
}

TEST(NameBudgetTest, TheFirstSightOfAHugeRouterIsTakenAndSoIsADayOfNewCustomers) {
  NameBudget budget;
  EXPECT_THAT(Take(budget, kMonday, 190'000, 190'000, 40), IsOk());
  EXPECT_THAT(Take(budget, kMonday, 190'000, 20'000, 40), IsOk());
  // Half of them hang up; the day's most queues count.
  EXPECT_THAT(Take(budget, kMonday, 5, 5'000, 40), IsOk());
  EXPECT_THAT(Take(budget, kMonday + 1, 95'000, 20'000, 40), IsOk());
}

TEST(NameBudgetTest, WhoeverDialsAgainAllDayIsNeverRefused) {
  NameBudget budget;
  EXPECT_THAT(Take(budget, kMonday, 20'000, 20'000, 40), IsOk());
  for (int redial = 0; redial < 10'000; ++redial) {
    ASSERT_THAT(budget.Check(kMonday, 20'000, {}), IsOk());
  }
}

TEST(NameBudgetTest, NamesWithoutEndAreRefusedUntilTheNextDay) {
  NameBudget budget;
  int taken = 0;
  absl::Status status;
  while ((status = Take(budget, kMonday, 3'000, 3'000, 1'900)).ok()) ++taken;
  EXPECT_EQ(taken, 1) << "8 MiB and 256 bytes for each of 3,000 queues; a snapshot has 5.7 MB";
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               AllOf(HasSubstr("has shown 6000 names of 11400000 bytes today"),
                                     HasSubstr("a router of 3000 queues may show 56000 of "
                                               "9156608 bytes a day"))));
  EXPECT_THAT(budget.Check(kMonday, 3'000, Names(100, 40)), IsOk()) << "what fits is taken";
  EXPECT_THAT(Take(budget, kMonday + 1, 3'000, 3'000, 1'900), IsOk());
}

TEST(NameBudgetTest, ManyShortNamesAreNamesToo) {
  NameBudget budget;
  std::uint64_t taken = 0;
  while (Take(budget, kMonday, 1'000, 1'000, 4).ok()) taken += 1'000;
  EXPECT_EQ(taken, 52'000U);
}

TEST(NameBudgetTest, WhatIsKeptForGoodHasALimitOfItsOwn) {
  NameBudget budget;
  absl::CivilDay day = kMonday;
  absl::Status status;
  while ((status = Take(budget, day, 1'000, 1'000, 2'000)).ok() || day < kMonday + 30) ++day;
  EXPECT_THAT(status, StatusIs(absl::StatusCode::kResourceExhausted,
                               HasSubstr("give the router another id")));
  EXPECT_LE(budget.known().bytes, kRouterNameBytes + 1'000 * kRouterNameBytesPerQueue);
}

TEST(NameBudgetTest, ASitesNamesHaveALimitThatNamesTheSite) {
  EXPECT_THAT(CheckSiteNames("lab", kSiteNameBytes - 40, Names(1, 40)), IsOk());
  EXPECT_THAT(CheckSiteNames("lab", kSiteNameBytes - 39, Names(1, 40)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("site \"lab\"")));
}

// Through the Book: one router's snapshots, each with names of its own.
class NewNamesTest : public ::testing::Test {
 protected:
  void SetUp() override { d.Start(); }
  std::vector<Row> Rows(int from, int count, std::size_t name_bytes) {
    std::vector<Row> rows;
    for (int i = from; i < from + count; ++i) {
      std::string name = std::to_string(i);
      name.resize(name_bytes, 'x');
      rows.push_back({static_cast<std::uint64_t>(i), name, 100, 1000, 10});
    }
    return rows;
  }
  BookDriver d;
};

TEST_F(NewNamesTest, ARefusedSnapshotChangesNothingAndThatRouterIsTakenAgainWhenItBehaves) {
  ASSERT_THAT(d.Take(d.Make(Rows(1, 3'000, 1'900), 100, 50'000)), IsOk());
  const std::string before = d.Ledger();
  EXPECT_THAT(d.Take(d.Make(Rows(10'001, 3'000, 1'900), 130, 50'030)),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("never seen before")));
  EXPECT_EQ(d.Ledger(), before);
  EXPECT_THAT(d.Take(d.Make(Rows(1, 3'000, 1'900), 160, 50'060)), IsOk());
}

}  // namespace
}  // namespace netsentinel::accounting
