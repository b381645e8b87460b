#include "collector/app/session_limit.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace netsentinel::app {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

TEST(SessionLimitTest, KeepsDescriptorsBackForEverythingElse) {
  EXPECT_EQ(RouterSessionsMax(1024), 800U);
  EXPECT_EQ(RouterSessionsMax(kDescriptorsKeptBack + 1), 1U);
  EXPECT_EQ(RouterSessionsMax(10), 1U);
}

TEST(SessionLimitTest, SaysWhatToRaiseToWhichValue) {
  EXPECT_THAT(WaitingWords(1100, 1024),
              AllOf(HasSubstr("800 of 1100 routers"), HasSubstr("at most 1024 open files"),
                    HasSubstr("LimitNOFILE="), HasSubstr("to 1324 and restart")));
}

}  // namespace
}  // namespace netsentinel::app
