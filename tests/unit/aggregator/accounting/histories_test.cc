#include <functional>

#include <gtest/gtest.h>

#include "tests/unit/aggregator/accounting/router_sim.h"

// Random histories of a router against a tally that knows none of the rules.
namespace netsentinel::accounting {
namespace {

using base::TrafficBytes;

constexpr int kPolls = 400;

std::map<std::string, TrafficBytes> Counted(const BookDriver& d) {
  std::map<std::string, TrafficBytes> counted;
  for (const UsageRow& row : d.Rows()) counted[row.queue.name] += row.best;
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
void Run(std::uint64_t seed, RouterSim::Options options, BookDriver& d, RouterSim& sim,
         const std::function<void(counters::Snapshot&)>& change) {
  (void)seed;
  (void)options;
  d.Start();
  for (int i = 0; i < kPolls || sim.unexplained(); ++i) {
    counters::Snapshot snapshot;
    if (!sim.Step(d, snapshot)) continue;
    change(snapshot);
    const absl::Status taken = d.Take(snapshot, sim.now_us());
    ASSERT_TRUE(taken.ok()) << taken.message();
  }
}

int Wrong(int histories, RouterSim::Options options,
          const std::function<void(counters::Snapshot&)>& change, std::string* first) {
  int wrong = 0;
  for (int seed = 1; seed <= histories; ++seed) {
    BookDriver d;
    KeepDays(d);
    RouterSim sim(static_cast<std::uint64_t>(seed), options);
    Run(static_cast<std::uint64_t>(seed), options, d, sim, change);
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

// The property can fail: a core that never saw the uptime, or the collector's clock, is found out.
TEST(HistoriesTest, ACoreThatSeesNoRebootIsFoundOut) {
  std::string first;
  const auto blind = [](counters::Snapshot& snapshot) {
    snapshot.header.session_id = 1;
    snapshot.header.host_boot_id = "host";
  };
  EXPECT_GT(Wrong(40, {}, blind, &first), 10);
}

TEST(HistoriesTest, ACoreWithTheWallClockOnlyIsFoundOut) {
  std::string first;
  const auto wall = [](counters::Snapshot& snapshot) { snapshot.header.host_boot_id = ""; };
  EXPECT_GT(Wrong(40, {}, wall, &first), 0);
}

TEST(HistoriesTest, RestartsFlushesAndLostBatchesChangeNothing) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
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
    // What the store was told is what memory holds.
    rough.Flush(sim_b.now_s());
    for (const auto& [key, row] : rough.usage) {
      for (const UsageRow& live : rough.Rows()) {
        if (live.queue == row.queue && live.day == row.day && live.segment == row.segment) {
          ASSERT_EQ(live.best, row.best) << key;
        }
      }
    }
  }
}

}  // namespace
}  // namespace netsentinel::accounting
