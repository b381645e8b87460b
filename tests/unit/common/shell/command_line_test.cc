#include "common/shell/command_line.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::shell {
namespace {

using testing::HasSubstr;

CommandLine Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "prog");
  return ParseCommandLine("prog", "Does a thing.", static_cast<int>(arguments.size()),
                          arguments.data());
}

TEST(CommandLineTest, RunsWithAConfiguration) {
  const CommandLine flags = Parse({"--config", "x.yaml", "--ports-file", "p.json"});
  EXPECT_EQ(flags.action, Action::kRun);
  EXPECT_EQ(flags.config, "x.yaml");
  EXPECT_EQ(flags.ports_file, "p.json");
}

TEST(CommandLineTest, ChecksAConfiguration) {
  EXPECT_EQ(Parse({"--check-config", "--config", "x.yaml"}).action, Action::kCheckConfig);
}

TEST(CommandLineTest, ProbesReadinessUnlessToldToProbeLife) {
  const CommandLine ready = Parse({"--config", "x.yaml", "--healthcheck"});
  EXPECT_EQ(ready.action, Action::kHealthCheck);
  EXPECT_FALSE(ready.live_only);
  const CommandLine live = Parse({"--config", "x.yaml", "--healthcheck", "live"});
  EXPECT_EQ(live.action, Action::kHealthCheck);
  EXPECT_TRUE(live.live_only);
}

TEST(CommandLineTest, PrintsItsVersionAndHelp) {
  testing::internal::CaptureStdout();
  const CommandLine version = Parse({"--version"});
  EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("prog 0.1.0"));
  EXPECT_EQ(version.action, Action::kExit);
  EXPECT_EQ(version.exit_code, 0);
  testing::internal::CaptureStdout();
  EXPECT_EQ(Parse({"--help"}).exit_code, 0);
  const std::string help = testing::internal::GetCapturedStdout();
  for (const char* flag :
       {"Does a thing.", "--config", "--check-config", "--healthcheck", "--version"}) {
    EXPECT_THAT(help, HasSubstr(flag));
  }
}

TEST(CommandLineTest, WrongUsageIsExitCodeTwo) {
  for (const std::vector<const char*>& arguments :
       {std::vector<const char*>{},
        {"--config"},
        {"--config", "x", "--what"},
        {"--config", "x", "--healthcheck", "maybe"},
        {"--config", "x", "--healthcheck", "--check-config"}}) {
    testing::internal::CaptureStderr();
    const CommandLine flags = Parse(arguments);
    EXPECT_NE(testing::internal::GetCapturedStderr(), "");
    EXPECT_EQ(flags.action, Action::kExit);
    EXPECT_EQ(flags.exit_code, 2);
  }
}

}  // namespace
}  // namespace netsentinel::shell
