#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/unit/aggregator/accounting/book_driver.h"

// One device under several entries of the configuration, and devices that only look like one.
namespace netsentinel::accounting {
namespace {

using ::testing::IsEmpty;

class TwinsTest : public ::testing::Test {
 protected:
  TwinsTest() {
    for (const char* name : {"r2", "r3"}) {
      RouterSettings router = d_.policy.routers[0];
      router.id = base::RouterId(name);
      d_.policy.routers.push_back(router);
    }
    d_.Start();
  }
  // The device's counter: 1,000 bytes a second down, 100 up.
  std::vector<Row> Alice(std::int64_t second) const {
    const auto bytes = static_cast<std::uint64_t>(second - boot_) * 1000;
    return {{.name = "alice", .upload = bytes / 10, .download = bytes, .packets = bytes / 100}};
  }
  counters::Snapshot Reading(const std::string& router, std::int64_t second,
                             const std::vector<Row>& rows) {
    counters::Snapshot snapshot = d_.Make(rows, second, static_cast<std::uint64_t>(second - boot_));
    snapshot.router = base::RouterId(router);
    snapshot.header.session_id = static_cast<std::uint64_t>(router.back()) + sessions_;
    return snapshot;
  }
  void Read(const std::string& router, std::int64_t second) {
    ASSERT_THAT(d_.Take(Reading(router, second, Alice(second))), test::IsOk()) << router << second;
  }
  void ReadRows(const std::string& router, std::int64_t second, const std::vector<Row>& rows) {
    ASSERT_THAT(d_.Take(Reading(router, second, rows)), test::IsOk());
  }
  // r1 every 30 s, r2 10 s after it, in [from, to).
  void ReadBoth(std::int64_t from, std::int64_t to) {
    for (std::int64_t second = from; second < to; second += 30) {
      Read("r1", second);
      Read("r2", second + 10);
    }
  }
  std::uint64_t Counted(const std::string& router) const {
    std::uint64_t sum = 0;
    for (const UsageRow& row : d_.Rows()) {
      if (row.queue.router.value() == router) sum += row.counted.download;
    }
    return sum;
  }
  std::vector<std::string> Events(const std::string& kind) const {
    std::vector<std::string> routers;
    for (const EventRecord& event : d_.events) {
      if (event.kind == kind) routers.push_back(event.router.value());
    }
    return routers;
  }
  std::map<std::string, std::string> Standing() const {
    std::map<std::string, std::string> standing;
    for (const MenuView& view : d_.book.Menus()) {
      standing[view.router.value()] = view.counts_as.value();
    }
    return standing;
  }

  BookDriver d_;
  std::int64_t boot_ = -5000;
  std::uint64_t sessions_ = 0;
};

TEST_F(TwinsTest, TheEntryThatCountedFirstKeepsTheDeviceAndTheOtherIsNamed) {
  Read("r1", 0);
  ReadBoth(30, 600);
  EXPECT_EQ(Counted("r1"), 570'000U);
  EXPECT_EQ(Counted("r2"), 0U);
  EXPECT_THAT(Events("device_twice"), testing::ElementsAre("r2"));
  EXPECT_EQ(Standing(), (std::map<std::string, std::string>{{"r1", ""}, {"r2", "r1"}}));
}

TEST_F(TwinsTest, TheOtherTakesOverToTheByteWhenTheFirstFallsSilent) {
  Read("r1", 0);
  ReadBoth(30, 300);  // r1 last at 270, r2 at 280
  for (std::int64_t second = 310; second <= 610; second += 30) Read("r2", second);
  EXPECT_EQ(Counted("r1"), 270'000U);
  EXPECT_EQ(Counted("r2"), 340'000U) << "from the other's last reading on";
  EXPECT_THAT(Events("device_taken_over"), testing::ElementsAre("r2"));
  // What the first had read meanwhile and could not deliver counts nothing any more.
  for (std::int64_t second = 300; second <= 600; second += 30) Read("r1", second);
  EXPECT_EQ(Counted("r1"), 270'000U);
  EXPECT_EQ(Standing()["r1"], "r2");
  // And back.
  for (std::int64_t second = 630; second <= 900; second += 30) Read("r1", second);
  EXPECT_EQ(Counted("r1") + Counted("r2"), 900'000U);
}

TEST_F(TwinsTest, OneThatIsTakenOutLeavesTheDeviceToTheOther) {
  Read("r1", 0);
  ReadBoth(30, 300);
  d_.policy.routers.erase(d_.policy.routers.begin());
  d_.SetPolicy(290);
  for (std::int64_t second = 310; second <= 610; second += 30) Read("r2", second);
  EXPECT_EQ(Counted("r1") + Counted("r2"), 610'000U);
}

TEST_F(TwinsTest, AFirstSnapshotCountsFromTheReadingOfAnEntryThatHasLongNotBeenRead) {
  Read("r1", 0);
  Read("r1", 30);
  for (std::int64_t second = 200; second <= 320; second += 30) Read("r2", second);
  EXPECT_EQ(Counted("r1"), 30'000U);
  EXPECT_EQ(Counted("r2"), 290'000U);
  EXPECT_THAT(Events("device_taken_over"), ::testing::ElementsAre("r2"));
  Read("r1", 345);
  Read("r2", 350);
  Read("r1", 375);
  Read("r2", 380);
  EXPECT_EQ(Counted("r1"), 30'000U) << "the other has counted past its last reading";
  EXPECT_EQ(Counted("r2"), 350'000U);
}

TEST_F(TwinsTest, ARestartBeforeTheFirstSnapshotOfAnEntryCountsOnce) {
  Read("r1", 0);
  Read("r1", 30);
  boot_ = 40;
  ++sessions_;
  Read("r2", 45);
  Read("r1", 60);
  for (std::int64_t second = 75; second < 300; second += 30) {
    Read("r2", second);
    Read("r1", second + 15);
  }
  EXPECT_EQ(Counted("r2"), 0U);
  EXPECT_EQ(Counted("r1"), 30'000U + 260'000U);
  EXPECT_THAT(Events("device_cloned"), IsEmpty());
}

// After the restart bob soon has more than before it, and had less when the other entry read him.
TEST_F(TwinsTest, ARestartThatACounterOvertakesMakesNoClone) {
  const auto rows = [](std::uint64_t bob, std::uint64_t alice) {
    return std::vector<Row>{{.name = "alice", .download = alice, .packets = alice / 100},
                            {.id = 2, .name = "bob", .download = bob, .packets = bob / 100}};
  };
  ReadRows("r1", 0, rows(0, 900'000));
  ReadRows("r2", 10, rows(100, 910'000));
  ReadRows("r1", 30, rows(300, 930'000));
  boot_ = 35;
  ++sessions_;
  ReadRows("r2", 40, rows(200, 1'000));
  ReadRows("r1", 60, rows(5'000, 6'000));
  ReadRows("r2", 70, rows(6'000, 7'000));
  EXPECT_THAT(Events("device_cloned"), IsEmpty());
  std::map<std::string, std::uint64_t> use;
  for (const UsageRow& row : d_.Rows()) use[row.queue.name] += row.counted.download;
  EXPECT_EQ(use["bob"], 300U + 5'000U);
}

TEST_F(TwinsTest, AQueueThatIsMadeAnewAndOvertakesMakesNoClone) {
  const auto rows = [](std::uint64_t id, std::uint64_t bob, std::uint64_t alice) {
    return std::vector<Row>{{.name = "alice", .download = alice, .packets = alice / 100},
                            {.id = id, .name = "bob", .download = bob, .packets = bob / 100}};
  };
  ReadRows("r1", 0, rows(2, 1'000, 900'000));
  ReadRows("r2", 10, rows(2, 2'000, 910'000));
  ReadRows("r1", 30, rows(3, 500, 930'000));
  ReadRows("r2", 40, rows(3, 9'000, 940'000));
  EXPECT_THAT(Events("device_cloned"), IsEmpty());
}

TEST_F(TwinsTest, RestartsAndReplaysDecideTheSame) {
  for (int restarts = 0; restarts < 8; ++restarts) {
    d_ = BookDriver();
    for (const char* name : {"r2", "r3"}) {
      RouterSettings router = d_.policy.routers[0];
      router.id = base::RouterId(name);
      d_.policy.routers.push_back(router);
    }
    d_.Start();
    const auto crash = [&](int at, std::int64_t second) {
      if ((restarts & at) == 0) return;
      d_.Flush(second);
      Read("r1", second + 5);
      d_.Restart(second + 6);
    };
    Read("r1", 0);
    ReadBoth(30, 300);
    crash(1, 281);
    for (std::int64_t second = 310; second <= 610; second += 30) Read("r2", second);
    crash(2, 611);
    for (std::int64_t second = 640; second <= 900; second += 30) Read("r1", second);
    for (std::int64_t second = 645; second <= 905; second += 30) Read("r2", second);
    if ((restarts & 4) != 0) d_.Restart(906);
    EXPECT_EQ(Counted("r1") + Counted("r2"), 880'000U) << restarts;
    EXPECT_EQ(Events("device_cloned"), std::vector<std::string>()) << restarts;
  }
}

TEST_F(TwinsTest, BothInOneBatchCountOnce) {
  for (std::int64_t second = 0; second <= 300; second += 30) {
    const counters::Snapshot one = Reading("r1", second, Alice(second));
    const counters::Snapshot two = Reading("r2", second, Alice(second));
    StreamDictionary other = d_.dictionary;
    const std::int64_t received = one.header.attribution_us;
    const std::vector<Incoming> incoming = {{&one, &d_.dictionary, received},
                                            {&two, &other, received}};
    StagedBatch batch = d_.book.Stage(incoming);
    for (const absl::Status& status : batch.results) ASSERT_THAT(status, test::IsOk());
    for (StagedJournal& row : batch.journal) row.journal_id = d_.next_journal_id++;
    d_.book.Install(std::move(batch));
  }
  EXPECT_EQ(Counted("r1") + Counted("r2"), 300'000U);
}

TEST_F(TwinsTest, ARestartOfTheDeviceCountsOnceToo) {
  Read("r1", 0);
  ReadBoth(30, 300);
  boot_ = 295;
  sessions_ = 100;
  ReadBoth(300, 600);
  EXPECT_EQ(Counted("r1"), 270'000U + 275'000U) << "from its begin to the last reading";
  EXPECT_EQ(Counted("r2"), 0U);
  EXPECT_THAT(Events("device_cloned"), IsEmpty());
}

TEST_F(TwinsTest, ARestartThatTheSilentEntrySeesFirstCountsThere) {
  Read("r1", 0);
  ReadBoth(30, 300);
  boot_ = 295;
  sessions_ = 100;
  Read("r2", 310);
  Read("r1", 320);
  ReadBoth(350, 600);
  // 10 s until the silent one's own reading before the restart, then from the restart on: there at
  // first, and here again once the other was late in its turn.
  EXPECT_EQ(Counted("r2"), 10'000U + 15'000U);
  EXPECT_EQ(Counted("r1"), 270'000U + 280'000U);
  EXPECT_THAT(Events("device_cloned"), IsEmpty());
}

TEST_F(TwinsTest, MachinesThatStartedAtDifferentTimesAreClonesAndBothCount) {
  Read("r1", 0);
  for (std::int64_t second = 30; second < 300; second += 30) {
    Read("r1", second);
    boot_ -= 700;
    Read("r2", second + 10);
    boot_ += 700;
  }
  EXPECT_EQ(Counted("r1"), 270'000U);
  EXPECT_EQ(Counted("r2"), 240'000U);
  EXPECT_EQ(Events("device_cloned").size(), 2U) << "each names the other once";
  EXPECT_THAT(Events("device_twice"), IsEmpty());
}

TEST_F(TwinsTest, MachinesThatCountDifferentlyAreTwoThoughTheyStartedAtOnce) {
  Read("r1", 0);
  for (std::int64_t second = 30; second < 300; second += 30) {
    Read("r1", second);
    std::vector<Row> rows = Alice(second + 10);
    rows[0].download /= 7;
    ReadRows("r2", second + 10, rows);
  }
  EXPECT_EQ(Counted("r1"), 270'000U);
  EXPECT_GT(Counted("r2"), 0U);
  EXPECT_THAT(Events("device_twice"), IsEmpty());
}

TEST_F(TwinsTest, ThreeEntriesCountOnce) {
  Read("r1", 0);
  for (std::int64_t second = 30; second < 300; second += 30) {
    Read("r1", second);
    Read("r2", second + 10);
    Read("r3", second + 20);
  }
  for (std::int64_t second = 300; second <= 600; second += 30) {
    Read("r2", second + 10);
    Read("r3", second + 20);
  }
  EXPECT_EQ(Counted("r1") + Counted("r2") + Counted("r3"),
            Counted("r3") == 0 ? 610'000U : 620'000U);
  EXPECT_EQ(Counted("r1"), 270'000U);
}

TEST_F(TwinsTest, AParentsOwnUseIsTakenOverWithoutItsChildrens) {
  const auto rows = [](std::int64_t second) {
    const auto bytes = static_cast<std::uint64_t>(second) * 1000;
    return std::vector<Row>{
        {.id = 1, .name = "all", .download = 5 * bytes, .packets = bytes},
        {.id = 2, .name = "kid", .download = 2 * bytes, .packets = bytes, .parent = "all"}};
  };
  for (std::int64_t second = 0; second < 300; second += 30) {
    ReadRows("r1", second, rows(second));
    ReadRows("r2", second + 10, rows(second + 10));
  }
  for (std::int64_t second = 310; second <= 610; second += 30) {
    ReadRows("r2", second, rows(second));
  }
  std::map<std::string, std::uint64_t> use;
  for (const UsageRow& row : d_.Rows()) use[row.queue.name] += row.counted.download;
  EXPECT_EQ(use["all"], 3 * 610'000U);
  EXPECT_EQ(use["kid"], 2 * 610'000U);
}

}  // namespace
}  // namespace netsentinel::accounting
