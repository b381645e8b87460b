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
