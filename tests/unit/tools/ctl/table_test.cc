#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/child_process.h"
#include "tests/support/temp_folder.h"
#include "tools/ctl/grpc_table.h"

namespace netsentinel::ctl {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(TerminalTextTest, LeavesNothingThatTheTerminalActsOn) {
  EXPECT_EQ(TerminalText("plain علی \\xFF \\\\ é"), "plain علی \\xFF \\\\ é");
  EXPECT_EQ(TerminalText("\x1B[31m\n\x7F"), "\\x1B[31m\\x0A\\x7F");
  EXPECT_EQ(TerminalText("a\u202Eb\u2066c\u200Fd"),
            "a\\xE2\\x80\\xAE"
            "b\\xE2\\x81\\xA6"
            "c\\xE2\\x80\\x8F"
            "d");
  EXPECT_EQ(TerminalText("\xC2\x9B"
                         "31m"),
            "\\xC2\\x9B31m");
  EXPECT_EQ(TerminalText("cut \xE2\x80"), "cut \\xE2\\x80");
  EXPECT_EQ(TerminalText("\xFF\xC3("), "\\xFF\\xC3(");
}

TEST(TableTest, PadsByCharactersAndEscapesCells) {
  Table table("lr");
  table.Add({"NAME", "N"});
  table.Add({"علی", "1"});
  table.Add({"x\u202E", "22"});
  EXPECT_EQ(table.Text(),
            "NAME            N\n"
            "علی             1\n"
            "x\\xE2\\x80\\xAE  22\n");
}

TEST(TableTest, LeavesColumnsOutAndCutsNamesWhereTheTerminalIsNarrow) {
  Table table("lrrl", {{2, 1}, {0}});
  table.Add({"SUBSCRIBER", "DOWN", "UP", "QUOTA"});
  table.Add({"a-very-long-name-of-a-customer", "1.00 GiB", "2.00 MiB", "near, 83 %"});
  table.Add({"علي-طويل-جدا-جدا-جدا", "1 B", "0 B", "-"});
  const std::string whole = table.Text();
  EXPECT_EQ(table.Text(64), whole);
  EXPECT_EQ(table.Text(52),
            "SUBSCRIBER                          DOWN  QUOTA\n"
            "a-very-long-name-of-a-customer  1.00 GiB  near, 83 %\n"
            "علي-طويل-جدا-جدا-جدا                 1 B  -\n");
  EXPECT_EQ(table.Text(30),
            "SUBSCRIBER          QUOTA\n"
            "a-very-long-name-…  near, 83 %\n"
            "علي-طويل-جدا-جدا-…  -\n");
  // No narrower than a name that can be told from another.
  EXPECT_EQ(table.Text(5), "SUBSCRI…  QUOTA\na-very-…  near, 83 %\nعلي-طوي…  -\n");
}

TEST(TableTest, SaysWhatIsNotShownAndHowToSeeIt) {
  Table table("lrr", {{2, 1}, {0}});
  table.Add({"SUBSCRIBER", "DOWN", "UP"});
  table.Add({"alice-of-the-long-name", "1.00 GiB", "2.00 MiB"});
  EXPECT_EQ(table.NarrowedText(0), "");
  EXPECT_EQ(table.NarrowedText(80), "");
  EXPECT_EQ(table.NarrowedText(35), "not shown here: UP; --wide shows all");
  EXPECT_EQ(table.NarrowedText(25), "not shown here: DOWN, UP; --wide shows all");
  Table names("l", {.cut = {0}});
  names.Add({"SUBSCRIBER"});
  EXPECT_EQ(names.NarrowedText(9), "some cells are cut; --wide shows all of them");
}

TEST(TableTest, PutsSentencesBelowTheirRowWhereTheTerminalIsNarrow) {
  Table table("lll", {.cut = {1}, .below = {2}});
  table.Add({"WHEN", "ROUTER", "DETAIL"});
  table.Add({"18:15", "hq-core", "the router started anew, up 6 s, its counters began at zero"});
  table.Add({"18:16", "branch", ""});
  EXPECT_EQ(table.Text(100), table.Text());
  EXPECT_EQ(table.Text(40),
            "WHEN   ROUTER\n"
            "18:15  hq-core\n"
            "    detail: the router started anew, up\n"
            "        6 s, its counters began at zero\n"
            "18:16  branch\n");
  EXPECT_EQ(table.NarrowedText(40), "") << "nothing is missing";
}

TEST(TableTest, CutsOneColumnAfterTheOther) {
  Table table("ll", {.cut = {1, 0}});
  table.Add({"SUBSCRIBER OF IT", "ROUTER OF THE SUBSCRIBER"});
  EXPECT_EQ(table.Text(30), "SUBSCRIBER OF IT  ROUTER OF T…\n");
  EXPECT_EQ(table.Text(20), "SUBSCRIBE…  ROUTER …\n");
  EXPECT_EQ(table.Text(1), "SUBSCRI…  ROUTER …\n");
}

TEST(ShownTextTest, SaysHowManyAreNotShown) {
  EXPECT_EQ(ShownText(2, 8, 2), "2 of 8 shown (--limit 2)");
  EXPECT_EQ(ShownText(8, 8, 100), "");
  EXPECT_EQ(ShownText(0, 0, 100), "");
  EXPECT_EQ(ShownText(100, kMostCounted, 100), "100 of at least 100000 shown (--limit 100)");
}

TEST(StandingTextTest, SaysHowFullAQuotaIs) {
  v1::RankingRow row;
  EXPECT_EQ(StandingText(row), "-");
  EXPECT_EQ(LimitText(row), "");
  v1::Standing& standing = *row.mutable_standing();
  standing.set_state(v1::STANDING_STATE_NEAR);
  standing.set_counted_state(v1::STANDING_STATE_NEAR);
  standing.set_percent(83);
  standing.set_limit_bytes(50'000'000);
  standing.set_basis(v1::QUOTA_BASIS_DOWNLOAD);
  standing.set_period(v1::QUOTA_PERIOD_DAY);
  EXPECT_EQ(StandingText(row), "near, 83 %");
  EXPECT_EQ(LimitText(row), "47.68 MiB download/day");
  standing.set_counted_state(v1::STANDING_STATE_OVER);
  standing.set_counted_percent(101);
  EXPECT_EQ(StandingText(row), "near, 83 % (counted 101 %)");
  standing.set_state(v1::STANDING_STATE_OVER);
  standing.set_percent(100);
  EXPECT_EQ(StandingText(row), "OVER, 100 %");
}

TEST(ObservationTextsTest, SayWhatTheFiguresLack) {
  v1::Observation observation;
  observation.set_site_id("lahore");
  observation.set_time_zone("Asia/Karachi");
  EXPECT_THAT(ObservationTexts(observation),
              testing::ElementsAre("lahore: whether its routers were read is not known, the store "
                                   "does not answer"));
  observation.set_state(v1::OBSERVATION_STATE_WHOLE);
  EXPECT_THAT(ObservationTexts(observation), testing::IsEmpty());
  observation.set_state(v1::OBSERVATION_STATE_NOTHING);
  EXPECT_THAT(ObservationTexts(observation),
              testing::ElementsAre("lahore: not observed, no router has been read yet"));
  observation.set_reading_began_us(1'796'028'480'000'000);
  observation.set_end_us(1'796'000'000'000'000);
  EXPECT_THAT(
      ObservationTexts(observation),
      testing::ElementsAre("lahore: not observed, reading began on 2026-11-30 13:48:00 +0500"));
  observation.set_end_us(1'796'100'000'000'000);
  EXPECT_THAT(ObservationTexts(observation),
              testing::ElementsAre("lahore: not observed, no router was read in this time"));
  observation.set_state(v1::OBSERVATION_STATE_PARTLY);
  const auto add = [&](const char* id, std::int64_t began_us, bool read) {
    v1::ObservedRouter& router = *observation.add_routers();
    router.set_router_id(id);
    router.set_reading_began_us(began_us);
    router.set_read(read);
  };
  add("hq", 1'796'028'480'000'000, true);
  add("branch", 0, false);
  add("lab", 1'795'000'000'000'000, false);
  EXPECT_THAT(
      ObservationTexts(observation),
      testing::ElementsAre("lahore: not read in this time: branch (never read yet), lab",
                           "lahore: reading began in this time: hq at 2026-11-30 13:48:00 +0500"));
}

TEST(EnumTextTest, HasAWordForValuesThatAreNewerThanThisProgram) {
  EXPECT_EQ(EnumText("ROUTER_STATE_LOGIN_REFUSED", "ROUTER_STATE_"), "login refused");
  EXPECT_EQ(EnumText(v1::Grade_Name(static_cast<v1::Grade>(99)), "GRADE_"), "unknown");
}

TEST(CtlTest, FailsWhenItsAnswerCannotBeWritten) {
  const test::TempFolder folder;
  EXPECT_EQ(test::RunProgram({NS_CTL, "certs", "init", "--dir", folder.path() + "/a"},
                             folder.path() + "/log"),
            0);
  EXPECT_EQ(test::RunProgram({NS_CTL, "certs", "init", "--dir", folder.path() + "/b"}, "/dev/full"),
            1);
}

TEST(CtlTest, WritesThePageOnlyWhereItRenders) {
  const test::TempFolder folder;
  const std::string log = folder.path() + "/log";
  EXPECT_EQ(test::RunProgram({NS_CTL, "report", "now", "--html", "x.html"}, log), 2);
  EXPECT_THAT(test::ReadWhole(log), HasSubstr("--render"));
}

TEST(CtlTest, SaysThatAServersCertificateNamesNoHost) {
  const test::TempFolder folder;
  const std::string log = folder.path() + "/log";
  const std::string dir = folder.path() + "/ca";
  ASSERT_EQ(test::RunProgram({NS_CTL, "certs", "init", "--dir", dir}, log), 0);
  const auto issue = [&](const std::string& role, const std::string& names) {
    const std::string its_log = folder.path() + "/" + role + names + ".log";
    EXPECT_EQ(test::RunProgram({NS_CTL, "certs", "issue", "--dir", dir, "--role", role, "--name",
                                "x", "--out", absl::StrCat(dir, "-", role, names), names},
                               its_log),
              0);
    return test::ReadWhole(its_log);
  };
  for (const char* role : {"aggregator", "notifier"}) {
    EXPECT_THAT(issue(role, "--days=9"), HasSubstr("issue it with --dns and --ip")) << role;
    EXPECT_THAT(issue(role, "--dns=host.example"), Not(HasSubstr("warning"))) << role;
  }
  EXPECT_THAT(issue("viewer", "--days=9"), Not(HasSubstr("warning")));
}

TEST(SubscriberTextTest, NamesSiteAndRouterWhereThereAre) {
  v1::SubscriberRef subscriber;
  subscriber.mutable_name()->set_name("caf\xE9");
  EXPECT_EQ(SubscriberText(subscriber), "caf\\xE9");
  subscriber.set_site_id("lahore");
  EXPECT_EQ(SubscriberText(subscriber), "caf\\xE9 at site lahore");
  subscriber.set_router_id("hq-core");
  subscriber.mutable_name()->Clear();
  subscriber.mutable_name()->set_display_name("bob\n");
  EXPECT_EQ(SubscriberText(subscriber), "bob\\x0A at site lahore on router hq-core");
}

}  // namespace
}  // namespace netsentinel::ctl
