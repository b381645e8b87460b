#include "common/counters/merge.h"

#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/router_sim.h"

// Merging snapshots away changes no byte, no day and no hold.
namespace netsentinel::accounting {
namespace {

std::string Bytes(const BookDriver& d) {
  std::vector<std::string> lines;
  for (const UsageRow& r : d.Rows()) {
    lines.push_back(absl::StrCat(absl::FormatCivilTime(r.day), " ", r.queue.name, " ",
                                 r.best.upload, "/", r.best.download, " loss ",
                                 r.loss_bound.total(), " blind ", r.blind_us));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  for (const MenuView& menu : d.book.Menus()) absl::StrAppend(&text, "holds ", menu.open_holds);
  return text;
}

TEST(MergeTest, AMergedHistoryCountsTheSame) {
  int merges = 0;
  for (std::uint64_t seed = 1; seed <= 150; ++seed) {
    BookDriver plain;
    BookDriver thinned;
    plain.Start();
    thinned.Start();
    RouterSim sim(seed, {.drops = true, .parents = seed % 2 == 0, .recreate = true});
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
    ASSERT_EQ(Bytes(thinned), Bytes(plain)) << "seed " << seed;
  }
  EXPECT_GT(merges, 2000);
}

}  // namespace
}  // namespace netsentinel::accounting
