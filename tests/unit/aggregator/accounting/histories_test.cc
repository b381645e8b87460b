#include "tests/support/histories.h"

#include <functional>
#include <tuple>

#include "absl/strings/str_join.h"
#include <gtest/gtest.h>

#include "aggregator/accounting/menu_state.h"
#include "tests/unit/aggregator/accounting/router_sim.h"

// Random histories of a router against a tally that knows none of the rules.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

constexpr int kPolls = 400;

std::map<std::string, TrafficBytes> Counted(const BookDriver& d) {
  std::map<std::string, TrafficBytes> counted;
  for (const UsageRow& row : d.Rows()) counted[row.queue.name] += row.counted;
  std::erase_if(counted, [](const auto& entry) { return entry.second.zero(); });
  return counted;
}

std::map<std::string, TrafficBytes> Shown(const RouterSim& sim) {
  std::map<std::string, TrafficBytes> shown = sim.shown();
  // A parent's own bytes are its counter less its children's.
  if (shown.contains("all")) {
    TrafficBytes children;
    for (const auto& [name, bytes] : shown) {
      if (name != "all") children += bytes;
    }
    shown["all"].upload -= children.upload;
    shown["all"].download -= children.download;
  }
  std::erase_if(shown, [](const auto& entry) { return entry.second.zero(); });
  return shown;
}

std::string Text(const std::map<std::string, TrafficBytes>& bytes) {
  std::string text;
  for (const auto& [name, b] : bytes) {
    absl::StrAppend(&text, name, "=", b.upload, "/", b.download, " ");
  }
  return text;
}

// A driver that keeps every day in memory: the longest period is what holds them.
void KeepDays(BookDriver& d) {
  quota::Rule rule;
  rule.id = "month";
  rule.period = quota::Period::kMonth;
  rule.unlimited = true;
  d.policy.quotas = {rule};
}

// Runs a history to its end, with `change` free to falsify each snapshot before it is taken.
void RunHistory(BookDriver& d, RouterSim& sim,
                const std::function<void(counters::Snapshot&)>& change) {
  d.Start();
  for (int i = 0; i < kPolls || sim.unexplained(); ++i) {
    counters::Snapshot snapshot;
    if (!sim.Step(d, snapshot)) continue;
    change(snapshot);
    const absl::Status taken = d.Take(snapshot, sim.now_us());
    ASSERT_TRUE(taken.ok()) << taken.message();
  }
}

void UseTree(BookDriver& d) {
  d.menu = counters::Menu::kTree;
  d.policy.routers[0].account = counters::Menu::kTree;
}

// What was shown lies outside of what is called sure or possible, in all days together.
bool Outside(const BookDriver& d, const RouterSim& sim) {
  TrafficBytes sure;
  TrafficBytes most;
  for (const UsageRow& row : d.Rows()) {
    sure += Less(row.counted, row.doubt);
    most += row.counted + row.unseen;
  }
  TrafficBytes shown;
  for (const auto& [key, bytes] : Shown(sim)) shown += bytes;
  return !Fits(sure, shown) || !Fits(shown, most);
}

int Wrong(int histories, RouterSim::Options options,
          const std::function<void(counters::Snapshot&)>& change, std::string* first) {
  int wrong = 0;
  for (int seed = 1; seed <= test::Histories(histories); ++seed) {
    BookDriver d;
    KeepDays(d);
    if (options.tree) UseTree(d);
    RouterSim sim(static_cast<std::uint64_t>(seed), options);
    RunHistory(d, sim, change);
    EXPECT_FALSE(Outside(d, sim)) << "seed " << seed;
    if (Counted(d) == Shown(sim)) continue;
    if (wrong++ == 0) {
      *first = absl::StrCat("seed ", seed, ": counted ", Text(Counted(d)), "\nshown ",
                            Text(Shown(sim)), "\nevents ", d.Events().substr(0, 2000));
    }
  }
  return wrong;
}

void Nothing(counters::Snapshot&) {}

TEST(HistoriesTest, EveryByteThatACounterShowedIsCountedOnce) {
  std::string first;
  EXPECT_EQ(Wrong(700, {}, Nothing, &first), 0) << first;
}

TEST(HistoriesTest, QueuesMadeAnewCountFromZero) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.drops = false, .parents = false, .recreate = true}, Nothing, &first), 0)
      << first;
}

TEST(HistoriesTest, ParentsCountTheirOwnBytesOnly) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.drops = false, .parents = true, .recreate = false}, Nothing, &first), 0)
      << first;
}

TEST(HistoriesTest, AReplyOfZerosIsTakenBack) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.drops = true, .recreate = true}, Nothing, &first), 0) << first;
}

TEST(HistoriesTest, QueuesThatRepliesLackGoOnWhenTheyAreBack) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.drops = true, .recreate = true, .halves = true}, Nothing, &first), 0)
      << first;
}

TEST(HistoriesTest, RenamedQueuesGoOn) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.drops = true, .recreate = true, .halves = true, .renames = true}, Nothing,
                  &first),
            0)
      << first;
}

TEST(HistoriesTest, DevicesThatAreSwappedKeepTheirOwnCounters) {
  std::string first;
  EXPECT_EQ(
      Wrong(150, {.drops = true, .recreate = true, .halves = true, .swaps = true}, Nothing, &first),
      0)
      << first;
}

TEST(HistoriesTest, CountersOfSwappedDevicesThatShowNoZerosStayTheirOwn) {
  std::string first;
  EXPECT_EQ(Wrong(150, {.recreate = true, .halves = true, .swaps = true}, Nothing, &first), 0)
      << first;
}

TEST(HistoriesTest, TreeQueuesHaveOneCounter) {
  std::string first;
  EXPECT_EQ(
      Wrong(80, {.drops = true, .recreate = true, .halves = true, .tree = true}, Nothing, &first),
      0)
      << first;
}

// Where midnights are polled each byte is on the day on which it was shown, and none is estimated.
TEST(HistoriesTest, EachDayHasItsOwnBytesToTheByte) {
  int midnights = 0;
  for (std::uint64_t seed = 1; seed <= test::Histories(100U); ++seed) {
    BookDriver d;
    KeepDays(d);
    RouterSim sim(
        seed,
        {.drops = true, .recreate = true, .halves = true, .renames = true, .boundaries = true});
    RunHistory(d, sim, Nothing);
    std::map<std::pair<int, std::string>, TrafficBytes> counted;
    for (const UsageRow& row : d.Rows()) {
      EXPECT_TRUE((row.begin_inside + row.end_inside).zero()) << "seed " << seed;
      if (row.counted.zero()) continue;
      counted[{static_cast<int>(row.day - absl::CivilDay(2026, 1, 1)), row.queue.name}] +=
          row.counted;
    }
    auto shown = sim.shown_by_day();
    std::erase_if(shown, [](const auto& entry) { return entry.second.zero(); });
    midnights += shown.rbegin()->first.first;
    ASSERT_EQ(counted, shown) << "seed " << seed;
  }
  EXPECT_GT(midnights, test::Histories(150));
}

// What was gone before anybody read it is never more than what is said.
TEST(HistoriesTest, UnseenBytesLieWithinTheStatedLossBound) {
  int lossy = 0;
  for (std::uint64_t seed = 1; seed <= test::Histories(200U); ++seed) {
    BookDriver d;
    KeepDays(d);
    RouterSim sim(seed, {.drops = true,
                         .recreate = true,
                         .limits = true,
                         .swaps = seed % 2 == 0,
                         .steady_clock = true});
    RunHistory(d, sim, Nothing);
    std::map<std::string, TrafficBytes> bound;
    for (const UsageRow& row : d.Rows()) {
      bound[row.queue.name] += row.unseen;
      EXPECT_TRUE(row.unseen.zero() || row.grade >= Grade::kBounded);
    }
    for (const auto& [name, bytes] : sim.unseen()) {
      ASSERT_LE(bytes.upload, bound[name].upload) << "seed " << seed << " " << name;
      ASSERT_LE(bytes.download, bound[name].download) << "seed " << seed << " " << name;
      lossy += bytes.zero() ? 0 : 1;
    }
  }
  EXPECT_GT(lossy, test::Histories(200));
}

// Deltas, debts and rows, whichever path took the snapshot in.
std::string Outcome(const MenuState& state, const Effects& effects) {
  std::vector<std::string> lines;
  for (const Delta& d : effects.deltas) {
    lines.push_back(absl::StrCat("delta ", d.descriptor, " ", d.from_us, " ", d.to_us, " ",
                                 d.observed_since_us, " ", d.bytes.upload, "/", d.bytes.download));
  }
  for (const Doubt& d : effects.doubts) {
    lines.push_back(absl::StrCat("doubt ", d.descriptor, " ", d.from_us, " ", d.to_us, " ",
                                 d.counted.upload, "/", d.counted.download, " ", d.doubt.total(),
                                 " ", d.unseen.total()));
  }
  for (const auto& [row, debt] : state.debts) {
    lines.push_back(absl::StrCat("debt ", row, " ", debt.least.total(), " ", debt.counted.upload,
                                 "/", debt.counted.download, " ", debt.most.total()));
  }
  for (const Slot& slot : state.slots) {
    lines.push_back(absl::StrCat("rate ", slot.rate.bytes, " in ", slot.rate.us));
  }
  for (const counters::QueueReading& r : state.rows) {
    lines.push_back(
        absl::StrCat("row ", r.descriptor, " ", r.upload, "/", r.download, "/", r.packets));
  }
  std::sort(lines.begin(), lines.end());
  lines.push_back(
      absl::StrCat(effects.epochs.size(), " epochs, ", effects.events.size(), " events"));
  return absl::StrJoin(lines, "\n");
}

// Takes in the snapshot of `table` under the state's own numbers.
std::string TakeIn(MenuState& state, const counters::DescriptorTable& table,
                   counters::Snapshot snapshot, StageInput input, int* quick) {
  counters::AddedDescriptors added;
  for (counters::QueueReading& r : snapshot.readings) {
    const counters::QueueDescriptor& descriptor = *table.Find(r.descriptor);
    const auto known = state.dictionary.IndexOf(descriptor);
    r.descriptor =
        known.value_or(static_cast<DescriptorIndex>(state.dictionary.next_index() + added.size()));
    if (!known.has_value()) added.emplace_back(r.descriptor, descriptor);
  }
  input.snapshot = &snapshot;
  input.added = &added;
  auto staged = Stage(state, input);
  if (!staged.ok()) return std::string(staged.status().message());
  *quick += staged->replacement == nullptr ? 1 : 0;
  const Effects effects = staged->effects;
  Install(state, *std::move(staged));
  return Outcome(state, effects);
}

TEST(HistoriesTest, TheQuickPathDoesWhatTheGeneralOneDoes) {
  int quick = 0;
  int general = 0;
  for (std::uint64_t seed = 1; seed <= test::Histories(60U); ++seed) {
    BookDriver d;
    RouterSim sim(seed,
                  {.drops = true, .parents = seed % 3 != 0, .recreate = true, .chatter = true});
    MenuState fast;
    MenuState slow;
    for (int i = 0; i < 200; ++i) {
      counters::Snapshot snapshot;
      if (!sim.Step(d, snapshot)) continue;
      StageInput input;
      input.received_us = sim.now_us();
      if (seed % 5 == 0) input.settings.parents = ParentsMode::kRoots;
      const std::string one = TakeIn(fast, d.dictionary.table, snapshot, input, &quick);
      input.force_general = true;
      ASSERT_EQ(one, TakeIn(slow, d.dictionary.table, snapshot, input, &general))
          << "seed " << seed << " poll " << i;
    }
  }
  EXPECT_GT(quick, test::Histories(5000));
  EXPECT_EQ(general, 0);
}

// The property can fail: a core that never saw the uptime, or the collector's clock, is found out.
TEST(HistoriesTest, ACoreThatSeesNoRebootIsFoundOut) {
  std::string first;
  const auto blind = [](counters::Snapshot& snapshot) {
    snapshot.header.session_id = 1;
    snapshot.header.host_boot_id = "host";
  };
  EXPECT_GT(Wrong(40, {}, blind, &first), test::Histories(10));
}

TEST(HistoriesTest, ACoreWithTheWallClockOnlyIsFoundOut) {
  std::string first;
  const auto wall = [](counters::Snapshot& snapshot) { snapshot.header.host_boot_id = ""; };
  EXPECT_GT(Wrong(40, {}, wall, &first), 0);
}

TEST(HistoriesTest, RestartsFlushesAndLostBatchesChangeNothing) {
  for (std::uint64_t seed = 1; seed <= test::Histories(40U); ++seed) {
    const RouterSim::Options options{.drops = true, .parents = seed % 2 == 0, .recreate = true};
    BookDriver calm;
    BookDriver rough;
    KeepDays(calm);
    KeepDays(rough);
    calm.Start();
    rough.Start();
    RouterSim sim_a(seed, options);
    RouterSim sim_b(seed, options);
    std::mt19937_64 nemesis(seed * 77);
    for (int i = 0; i < 200; ++i) {
      counters::Snapshot a;
      counters::Snapshot b;
      const bool polled = sim_a.Step(calm, a);
      ASSERT_EQ(sim_b.Step(rough, b), polled);
      if (!polled) continue;
      ASSERT_THAT(calm.Take(a, sim_a.now_us()), test::IsOk());
      if (nemesis() % 10 == 0) (void)rough.Stage(b, sim_b.now_us());  // its commit failed
      ASSERT_THAT(rough.Take(b, sim_b.now_us()), test::IsOk());
      const std::uint64_t fate = nemesis() % 20;
      if (fate < 3) rough.Flush(sim_b.now_s());
      if (fate == 3) rough.Flush(sim_b.now_s(), true);
      if (fate == 4 || fate == 5) rough.Restart(sim_b.now_s());
      if (i % 20 == 19) {
        ASSERT_EQ(calm.Ledger(), rough.Ledger()) << "seed " << seed << " poll " << i;
      }
    }
    // What the store was told is what memory holds: no row is missing there, none is too many.
    rough.Flush(sim_b.now_s());
    std::map<std::tuple<absl::CivilDay, int, QueueKey, SubscriberKey>, TrafficBytes> live;
    std::map<std::tuple<absl::CivilDay, int, QueueKey, SubscriberKey>, TrafficBytes> stored;
    for (const UsageRow& row : rough.Rows()) {
      live[{row.day, row.segment, row.queue, row.subscriber}] = row.counted;
    }
    for (const auto& [key, row] : rough.usage) {
      stored[{row.day, row.segment, row.queue, row.subscriber}] = row.counted;
    }
    ASSERT_FALSE(live.empty());
    ASSERT_EQ(live, stored) << "seed " << seed;
  }
}

}  // namespace
}  // namespace netsentinel::accounting
