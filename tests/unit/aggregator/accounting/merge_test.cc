#include "common/counters/merge.h"

#include <gtest/gtest.h>

#include "tests/support/histories.h"
#include "tests/unit/aggregator/accounting/router_sim.h"

// Merging snapshots away changes no counted byte, no day and no dispute, and where nothing is in
// doubt no bound.
namespace netsentinel::accounting {
namespace {

std::string Bytes(const BookDriver& d, bool lives) {
  std::vector<std::string> lines;
  for (const UsageRow& r : d.Rows()) {
    // Where something is in doubt, how much depends on which steps it is judged over.
    const bool doubtful = !r.doubt.zero() || r.queue.name == "all" || lives;
    const std::string bounds = doubtful ? std::string() : absl::StrCat(" loss ", r.unseen.total());
    lines.push_back(absl::StrCat(absl::FormatCivilTime(r.day), " ", r.queue.name, " ",
                                 r.counted.upload, "/", r.counted.download, bounds));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  for (const MenuView& menu : d.book.Menus()) absl::StrAppend(&text, "holds ", menu.open_holds);
  return text;
}

// Merges random neighbours of one history away and compares with the same history unmerged.
void Thin(std::uint64_t seed, bool lives, int& merges) {
  BookDriver plain;
  BookDriver thinned;
  if (seed % 3 == 0) {
    plain.policy.routers[0].parents = thinned.policy.routers[0].parents = ParentsMode::kRoots;
  }
  plain.Start();
  thinned.Start();
  RouterSim sim(seed, {.drops = true, .parents = seed % 2 == 0, .recreate = true, .lives = lives});
  std::vector<counters::Snapshot> history;
  std::vector<std::int64_t> received;
  for (int i = 0; i < 120; ++i) {
    counters::Snapshot snapshot;
    if (!sim.Step(thinned, snapshot)) continue;
    snapshot.header.attribution_us = sim.now_us();
    history.push_back(snapshot);
  }
  for (const counters::Snapshot& snapshot : history) {
    counters::Snapshot own = snapshot;
    // The plain driver numbers the same queues itself.
    for (counters::QueueReading& r : own.readings) {
      r.descriptor = plain.dictionary.table.Intern(*thinned.dictionary.table.Find(r.descriptor));
    }
    ASSERT_THAT(plain.Take(own, sim.now_us()), test::IsOk());
  }
  std::vector<std::int64_t> boundaries;
  for (int day = 1; day < 400; ++day) {
    boundaries.push_back(BookDriver::kStartUs + day * 86'400'000'000LL);
  }
  std::mt19937_64 random(seed);
  for (int round = 0; round < 100 && history.size() > 4; ++round) {
    const std::size_t i = 2 + random() % (history.size() - 3);
    const auto merged = counters::Merge(
        {&history[i - 2], &history[i - 1], &history[i], &history[i + 1], boundaries},
        thinned.dictionary.table);
    if (!merged.has_value()) continue;
    ++merges;
    history[i + 1] = *merged;
    history.erase(history.begin() + static_cast<std::ptrdiff_t>(i));
  }
  for (const counters::Snapshot& snapshot : history) {
    ASSERT_THAT(thinned.Take(snapshot, sim.now_us()), test::IsOk());
  }
  ASSERT_EQ(Bytes(thinned, lives), Bytes(plain, lives)) << "seed " << seed;
}

TEST(MergeTest, AMergedHistoryCountsTheSame) {
  int merges = 0;
  for (std::uint64_t seed = 1; seed <= test::Histories(150U) && !testing::Test::HasFatalFailure();
       ++seed)
    Thin(seed, /*lives=*/false, merges);
  EXPECT_GT(merges, test::Histories(2000));
}

TEST(MergeTest, SoDoesOneInWhichQueuesAppearVanishAndAreRenamed) {
  int merges = 0;
  for (std::uint64_t seed = 1; seed <= test::Histories(400U) && !testing::Test::HasFatalFailure();
       ++seed)
    Thin(seed, /*lives=*/true, merges);
  EXPECT_GT(merges, test::Histories(5000));
}

counters::Snapshot At(BookDriver& d, std::int64_t second, const std::vector<Row>& rows) {
  return d.Make(rows, second, static_cast<std::uint64_t>(second + 1000));
}

TEST(MergeTest, AQueueBornAtTheSecondLeavesTheFirstAsAStep) {
  BookDriver d;
  const counters::Snapshot earlier = At(d, 0, {{.id = 1, .name = "a"}});
  const counters::Snapshot before = At(d, 30, {{.id = 1, .name = "a"}});
  const counters::Snapshot a = At(d, 60, {{.id = 1, .name = "a"}});
  const counters::Snapshot b = At(d, 90, {{.id = 1, .name = "a"}, {.id = 2, .name = "born"}});
  const auto merged = counters::Merge({&earlier, &before, &a, &b, {}}, d.dictionary.table);
  ASSERT_TRUE(merged.has_value());
  ASSERT_EQ(merged->steps.size(), 1U);
  EXPECT_EQ(merged->steps[0].header, a.header);
  EXPECT_TRUE(merged->steps[0].readings.empty());
}

TEST(MergeTest, OnlyStepsThatTellSomethingCountAsReadAndByTheRulesOfTime) {
  BookDriver d;
  d.Start();
  const std::vector<Row> rows = {{.id = 1, .name = "a"}};
  const counters::Snapshot earlier = At(d, 0, rows);
  const counters::Snapshot before = At(d, 30, rows);
  counters::Snapshot a = At(d, 60, rows);
  const counters::Snapshot b = At(d, 90, {{.id = 1, .name = "a"}, {.id = 2, .name = "born"}});
  const auto merged = counters::Merge({&earlier, &before, &a, &b, {}}, d.dictionary.table);
  ASSERT_TRUE(merged.has_value());
  const auto steps_of = [&d](const counters::Snapshot& snapshot) {
    StagedBatch batch = d.Stage(snapshot, snapshot.header.attribution_us);
    EXPECT_THAT(batch.results[0], test::IsOk());
    return batch.journal.empty() ? std::vector<std::int64_t>() : batch.journal[0].steps_us;
  };
  EXPECT_THAT(steps_of(*merged), ::testing::IsEmpty()) << "nothing was known before";
  ASSERT_THAT(d.Take(before), test::IsOk());
  EXPECT_THAT(steps_of(*merged), ::testing::ElementsAre(a.header.attribution_us));
  // A host that had no time yet when it read.
  counters::Snapshot early = *merged;
  early.steps[0].header.attribution_us = 1'000'000;
  EXPECT_THAT(steps_of(early), ::testing::ElementsAre(::testing::Ge(before.header.attribution_us)));
}

TEST(MergeTest, AStretchInWhichTheHostStoodStillOrMayHaveIsKeptApart) {
  BookDriver d;
  const std::vector<Row> rows = {{.id = 1, .name = "a"}};
  const counters::Snapshot earlier = At(d, 0, rows);
  const counters::Snapshot before = At(d, 30, rows);
  counters::Snapshot a = At(d, 60, rows);
  counters::Snapshot b = At(d, 90, rows);
  const auto merges = [&] {
    return counters::Merge({&earlier, &before, &a, &b, {}}, d.dictionary.table).has_value();
  };
  EXPECT_TRUE(merges());
  b.header.host_paused_us = 45'000'000;
  EXPECT_FALSE(merges());
  a.header.host_paused_us = 45'000'000;
  EXPECT_FALSE(merges()) << "the pause lay before the first of the two";
  b.header.host_paused_us = a.header.host_paused_us = 0;
  b.header.pause_decided = true;
  EXPECT_FALSE(merges());
}

TEST(MergeTest, StepsHaveALimitInNumberAndInBytes) {
  BookDriver d;
  std::vector<Row> rows = {{.id = 1, .name = "a"}, {.id = 2, .name = std::string(60'000, 'n')}};
  const counters::Snapshot earlier = At(d, 0, rows);
  const counters::Snapshot before = At(d, 30, rows);
  counters::Snapshot a = At(d, 60, rows);
  const counters::Snapshot b = At(d, 90, rows);
  const counters::MergeInput input{&earlier, &before, &a, &b, {}};
  a.steps.assign(counters::kMaxMergedSteps, {before.header, {}, {}});
  EXPECT_TRUE(counters::Merge(input, d.dictionary.table).has_value());
  a.steps.push_back({before.header, {}, {}});
  EXPECT_FALSE(counters::Merge(input, d.dictionary.table).has_value());
  a.steps.assign(2, {before.header, {before.readings[1]}, {}});
  EXPECT_TRUE(counters::Merge(input, d.dictionary.table).has_value());
  a.steps.push_back({before.header, {}, {before.readings[1].descriptor}});
  EXPECT_FALSE(counters::Merge(input, d.dictionary.table).has_value());
}

}  // namespace
}  // namespace netsentinel::accounting
