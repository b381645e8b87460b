#include "common/counters/matching.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace netsentinel::counters {
namespace {

struct QueueNow {
  std::uint64_t id = 1;
  std::string name = {};
  std::uint64_t bytes = 0;
  bool dynamic = false;
  std::string target = {};
  bool held = false;
};

// Two lists of queues, matched; "before>now:kind" for each pair.
class Pairing {
 public:
  Pairing(std::vector<QueueNow> before, std::vector<QueueNow> now)
      : before_(Descriptors(before)), now_(Descriptors(now)) {
    before_rows_ = Rows(before, before_);
    now_rows_ = Rows(now, now_);
  }
  std::string WithinBoot() const { return Text(MatchWithinBoot(before_rows_, now_rows_)); }
  std::string AcrossBoots() const { return Text(MatchAcrossBoots(before_rows_, now_rows_)); }

 private:
  static std::vector<QueueDescriptor> Descriptors(const std::vector<QueueNow>& queues) {
    std::vector<QueueDescriptor> descriptors;
    for (const QueueNow& q : queues) {
      QueueDescriptor& d = descriptors.emplace_back();
      d.row_id = q.id;
      d.name = q.name;
      d.dynamic = q.dynamic;
      d.target = q.target;
    }
    return descriptors;
  }
  static std::vector<MatchRow> Rows(const std::vector<QueueNow>& queues,
                                    const std::vector<QueueDescriptor>& descriptors) {
    std::vector<MatchRow> rows;
    for (std::size_t i = 0; i < queues.size(); ++i) {
      const bool hole = queues[i].name.empty();
      rows.push_back({hole ? nullptr : &descriptors[i],
                      {0, queues[i].bytes, queues[i].bytes, queues[i].bytes},
                      queues[i].held});
    }
    return rows;
  }
  static std::string Text(const Matches& matches) {
    static constexpr const char* kKinds[] = {"", "continues", "renamed", "recreated"};
    std::string text;
    for (std::size_t i = 0; i < matches.now.size(); ++i) {
      const Match& match = matches.now[i];
      if (match.kind == MatchKind::kNone) continue;
      EXPECT_EQ(matches.before[match.before], i) << "both sides say the same";
      text += (text.empty() ? "" : " ") + std::to_string(match.before) + ">" + std::to_string(i) +
              ":" + kKinds[static_cast<int>(match.kind)];
    }
    return text;
  }
  std::vector<QueueDescriptor> before_;
  std::vector<QueueDescriptor> now_;
  std::vector<MatchRow> before_rows_;
  std::vector<MatchRow> now_rows_;
};

TEST(MatchingTest, SameIdAndNameContinuesWhateverTheOrder) {
  EXPECT_EQ(Pairing({{1, "a"}, {2, "b"}}, {{2, "b"}, {1, "a"}}).WithinBoot(),
            "1>0:continues 0>1:continues");
}

TEST(MatchingTest, AnIdWithANewNameIsRenamedOnlyWhereNothingSpeaksAgainst) {
  EXPECT_EQ(Pairing({{1, "a", 5}}, {{1, "b", 5}}).WithinBoot(), "0>0:renamed");
  EXPECT_EQ(Pairing({{1, "a", 5}}, {{1, "b", 4}}).WithinBoot(), "") << "a witness fell";
  EXPECT_EQ(Pairing({{1, "a", 5, true}}, {{1, "b", 5, true}}).WithinBoot(), "") << "dynamic";
  EXPECT_EQ(Pairing({{1, "a", 5, false, "x"}}, {{1, "b", 5, false, "y"}}).WithinBoot(),
            "0>0:renamed")
      << "people give a queue another name and target at once";
  EXPECT_EQ(Pairing({{1, "a", 5, false, "", true}}, {{1, "b", 5}}).WithinBoot(), "") << "a hold";
}

TEST(MatchingTest, ANameWithANewIdIsRecreatedAndRanksBehindARename) {
  EXPECT_EQ(Pairing({{1, "a"}}, {{9, "a"}}).WithinBoot(), "0>0:recreated");
  // *1 is called b now, and another queue took its name.
  EXPECT_EQ(Pairing({{1, "a"}}, {{9, "a"}, {1, "b"}}).WithinBoot(), "0>1:renamed");
  // *1 goes on, so the second "a" is nobody's.
  EXPECT_EQ(Pairing({{1, "a"}}, {{9, "a"}, {1, "a"}}).WithinBoot(), "0>1:continues");
}

TEST(MatchingTest, EachRowMatchesOnceAndOfTwoNamesTheFirst) {
  EXPECT_EQ(Pairing({{1, "a"}, {2, "a"}}, {{8, "a"}, {9, "a"}}).WithinBoot(), "0>0:recreated");
  EXPECT_EQ(Pairing({{1, "a"}}, {{1, "a"}, {1, "a"}}).WithinBoot(), "0>0:continues");
}

TEST(MatchingTest, HolesMatchNothing) {
  EXPECT_EQ(Pairing({{1, ""}, {2, "b"}}, {{2, "b"}, {1, ""}}).WithinBoot(), "1>0:continues");
  EXPECT_EQ(Pairing({}, {{1, "a"}}).WithinBoot(), "");
}

TEST(MatchingTest, AcrossBootsOnlyNamesMatch) {
  EXPECT_EQ(Pairing({{1, "a"}, {2, "b"}}, {{1, "b"}, {2, "c"}}).AcrossBoots(), "1>0:continues");
}

// --- reboots

SnapshotHeader Header(std::int64_t second, std::uint64_t uptime_s, std::uint64_t session = 1) {
  SnapshotHeader header;
  header.host_boot_id = "host";
  header.begin_us = header.end_us = second * 1'000'000;
  header.attribution_us = header.end_us;
  header.router_uptime_s = uptime_s;
  header.session_id = session;
  return header;
}

TEST(LineageTest, AnUptimeThatFollowsIsOneRun) {
  EXPECT_EQ(LineageOf(Header(100, 1000), Header(130, 1030, 2)), (Lineage{.same = true}));
  EXPECT_EQ(LineageOf(Header(100, 1000), Header(130, 1027, 2)), (Lineage{.same = true}))
      << "within the slack";
  EXPECT_EQ(LineageOf(Header(100, 100'000), Header(7300, 107'200, 2)), (Lineage{.same = true}));
}

TEST(LineageTest, AnUptimeThatLagsIsARestartIfTheBootLiesInBetween) {
  EXPECT_EQ(LineageOf(Header(100, 1000), Header(130, 20, 2)), (Lineage{.restart = true}));
  EXPECT_EQ(LineageOf(Header(100, 600), Header(7300, 3600, 2)), (Lineage{.restart = true}))
      << "though it is higher than before";
  EXPECT_TRUE(LineageOf(Header(100, 600), Header(7300, 3600, 2)).restart_proven());
}

TEST(LineageTest, OneThatLagsThoughTheBootLiesBeforeIsAnotherTimeline) {
  EXPECT_EQ(LineageOf(Header(100, 7 * 86'400), Header(130, 6 * 86'400, 2)),
            (Lineage{.timeline = true}));
  counters::SnapshotHeader elsewhere = Header(130, 6 * 86'400, 2);
  elsewhere.host_boot_id = "other";
  EXPECT_EQ(LineageOf(Header(100, 7 * 86'400), elsewhere),
            (Lineage{.restart = true, .timeline = true}))
      << "stamps alone tell the time";
  elsewhere = Header(400'000, 7 * 86'400 + 60, 2);
  elsewhere.host_boot_id = "other";
  EXPECT_EQ(LineageOf(Header(100, 7 * 86'400), elsewhere),
            (Lineage{.same = true, .restart = true, .timeline = true}))
      << "the stamps may say too much, and the uptime did not fall";
}

TEST(LineageTest, OneThatRanAheadIsAnotherTimelineUnlessTheHostMayHaveStoodStill) {
  counters::SnapshotHeader ahead = Header(130, 1630, 2);
  EXPECT_EQ(LineageOf(Header(100, 1000), ahead), (Lineage{.same = true, .timeline = true}));
  ahead.pause_decided = true;
  EXPECT_EQ(LineageOf(Header(100, 1000), ahead), (Lineage{.timeline = true}));
  ahead.host_paused_us = 600'000'000;
  EXPECT_EQ(LineageOf(Header(100, 1000), ahead), (Lineage{.same = true}))
      << "the pause is in the header";
}

TEST(LineageTest, ShortlyAfterABootBothAreToldByTheSameUptime) {
  EXPECT_EQ(LineageOf(Header(100, 1), Header(102, 3, 2)), (Lineage{.same = true, .restart = true}));
}

TEST(LineageTest, OneSessionIsOneRun) {
  EXPECT_EQ(LineageOf(Header(100, 1000), Header(130, 20)), (Lineage{.same = true}));
  counters::SnapshotHeader elsewhere = Header(130, 20);
  elsewhere.host_boot_id = "other";
  EXPECT_TRUE(LineageOf(Header(100, 1000), elsewhere).restart)
      << "numbers of sessions are a host's";
}

TEST(RebootTest, ElapsedIsTheHostsClockWithinItsBootElseTheStamps) {
  SnapshotHeader before = Header(100, 1);
  SnapshotHeader now = Header(130, 1);
  now.attribution_us = 0;
  EXPECT_EQ(ElapsedUs(before, now), 30'000'000);
  now.host_boot_id = "other";
  EXPECT_EQ(ElapsedUs(before, now), 0) << "never negative";
  now.attribution_us = before.attribution_us + 7;
  EXPECT_EQ(ElapsedUs(before, now), 7);
  before.host_boot_id = now.host_boot_id = "";
  EXPECT_EQ(ElapsedUs(before, now), 7) << "no host is not the same host";
}

TEST(RebootTest, TheHostsPausesAreTimeThatPassed) {
  SnapshotHeader before = Header(100, 1);
  SnapshotHeader now = Header(130, 1);
  before.host_paused_us = 1'000'000;
  now.host_paused_us = 61'000'000;
  EXPECT_EQ(ElapsedUs(before, now), 90'000'000);
  before.host_paused_us = 99'000'000;
  EXPECT_EQ(ElapsedUs(before, now), 30'000'000) << "a sum that fell takes nothing away";
  now.host_boot_id = "other";
  EXPECT_EQ(ElapsedUs(before, now), 30'000'000) << "pauses are a boot's";
}

TEST(RebootTest, SlackGrowsWithRequestsAndTime) {
  SnapshotHeader before = Header(100, 1);
  before.begin_us -= 500'000;
  SnapshotHeader now = Header(10'100, 1);
  now.begin_us -= 250'000;
  EXPECT_EQ(SlackUs(before, now), 3'000'000 + 750'000 + 2'000'000);
}

TEST(RebootTest, TooManyAreMoreThanThreeAndMoreThanATenth) {
  EXPECT_FALSE(LacksTooMany(4, 3));
  EXPECT_TRUE(LacksTooMany(4, 4));
  EXPECT_FALSE(LacksTooMany(40, 4));
  EXPECT_TRUE(LacksTooMany(39, 4));
  EXPECT_FALSE(LacksTooMany(0, 0));
}

}  // namespace
}  // namespace netsentinel::counters
