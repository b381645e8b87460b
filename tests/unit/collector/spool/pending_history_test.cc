#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

#include "collector/spool/pending_readings.h"
#include "common/counters/snapshot_codec.h"
#include "tests/support/histories.h"
#include "tests/unit/aggregator/accounting/router_sim.h"

// Stretches in which nothing can be written, in random histories of a router: what memory keeps of
// them counts the same bytes, on the same days, as everything would have.
namespace netsentinel::spool {
namespace {

using accounting::BookDriver;
using accounting::RouterSim;

constexpr int kPolls = 240;

std::string Figures(const BookDriver& d) {
  std::vector<std::string> lines;
  for (const accounting::UsageRow& r : d.Rows()) {
    lines.push_back(absl::StrCat(absl::FormatCivilTime(r.day), " ", r.queue.name, " ",
                                 r.counted.upload, "/", r.counted.download, " loss ",
                                 r.unseen.total(), " blind ", r.blind_us, " epochs ", r.epochs,
                                 "\n"));
  }
  std::sort(lines.begin(), lines.end());
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line);
  for (const accounting::MenuView& menu : d.book.Menus()) {
    absl::StrAppend(&text, "holds ", menu.open_holds);
  }
  return text;
}

void TakeRow(BookDriver& d, const NewRow& row, std::int64_t received_us) {
  auto decoded = counters::DecodeSelfContained(row.payload);
  ASSERT_THAT(decoded, test::IsOk());
  counters::Snapshot snapshot = std::move(decoded->snapshot);
  const auto renumber = [&](counters::DescriptorIndex& index) {
    index = d.dictionary.table.Intern(*decoded->table.Find(index));
  };
  for (auto& reading : snapshot.readings) renumber(reading.descriptor);
  for (auto& step : snapshot.steps) {
    for (auto& reading : step.readings) renumber(reading.descriptor);
    for (auto& gone : step.gone) renumber(gone);
  }
  ASSERT_THAT(d.Take(snapshot, received_us), test::IsOk());
}

struct Outcome {
  std::uint64_t merged = 0;
  std::size_t rows_most = 0;
};

void RunHistory(std::uint64_t seed, Outcome& outcome) {
  BookDriver scratch;  // numbers the simulated router's queues
  BookDriver plain;
  BookDriver kept;
  plain.Start();
  kept.Start();
  RouterSim sim(
      seed, {.drops = true, .parents = seed % 2 == 0, .recreate = true, .lives = seed % 3 != 0});
  PendingReadings pending;
  std::vector<std::int64_t> boundaries;
  for (int day = 1; day < 400; ++day) {
    boundaries.push_back(BookDriver::kStartUs + day * 86'400'000'000LL);
  }
  pending.SetBoundaries(base::RouterId("r1"), boundaries);
  std::mt19937_64 disk(seed * 31);
  std::vector<NewRow> everything;
  std::vector<NewRow> written;
  bool failing = false;
  for (int i = 0; i < kPolls; ++i) {
    counters::Snapshot snapshot;
    if (disk() % 25 == 0) failing = !failing;
    if (!sim.Step(scratch, snapshot)) continue;
    snapshot.header.attribution_us = sim.now_us();
    const NewRow row{.key = {snapshot.router, snapshot.menu},
                     .attribution_us = snapshot.header.attribution_us,
                     .payload = counters::EncodeSelfContained(snapshot, scratch.dictionary.table)};
    everything.push_back(row);
    if (failing) {
      pending.Add(row);
      continue;
    }
    const std::vector<NewRow> waited = pending.All();
    outcome.rows_most = std::max(outcome.rows_most, waited.size());
    written.insert(written.end(), waited.begin(), waited.end());
    pending.Clear();
    written.push_back(row);
  }
  const std::vector<NewRow> waited = pending.All();
  written.insert(written.end(), waited.begin(), waited.end());
  for (const NewRow& row : everything) TakeRow(plain, row, sim.now_us());
  for (const NewRow& row : written) TakeRow(kept, row, sim.now_us());
  ASSERT_EQ(Figures(kept), Figures(plain)) << "seed " << seed;
  EXPECT_EQ(pending.lost(), 0U);
  EXPECT_EQ(everything.size(), written.size() + pending.merged());
  outcome.merged += pending.merged();
}

TEST(PendingHistoryTest, WhatIsKeptInMemoryCountsTheSame) {
  Outcome outcome;
  for (std::uint64_t seed = 1; seed <= test::Histories(250U) && !HasFatalFailure(); ++seed) {
    RunHistory(seed, outcome);
  }
  EXPECT_GT(outcome.merged, test::Histories(5000U));
}

TEST(PendingHistoryTest, AWeekWithoutADiskKeepsAFewRowsADay) {
  PendingReadings pending;
  std::vector<std::int64_t> boundaries;
  BookDriver d;
  std::uint64_t moved = 0;
  for (int day = 0; day <= 7; ++day) {
    boundaries.push_back(BookDriver::kStartUs + day * 86'400'000'000LL);
  }
  pending.SetBoundaries(base::RouterId("r1"), boundaries);
  for (std::int64_t second = 15; second < 7 * 86'400; second += 60) {
    const std::vector<accounting::Row> rows = {{.id = 1, .name = "a", .download = moved += 1000}};
    const counters::Snapshot snapshot =
        d.Make(rows, second, static_cast<std::uint64_t>(second + 1000));
    pending.Add({.key = {snapshot.router, snapshot.menu},
                 .attribution_us = snapshot.header.attribution_us,
                 .payload = counters::EncodeSelfContained(snapshot, d.dictionary.table)});
  }
  EXPECT_LE(pending.All().size(), 4U * 7U);
}

}  // namespace
}  // namespace netsentinel::spool
