#include "common/base/login_answer.h"

#include "gtest/gtest.h"

namespace netsentinel::base {
namespace {

TEST(LoginAnswerTest, OnlyWordsThatSayWhyAreKept) {
  EXPECT_EQ(LoginAnswer("535 5.7.8 bad AGFsZXJ0cwBzd29yZGZpc2g="), "535 5.7.8 bad [...]");
  EXPECT_EQ(LoginAnswer("535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is "
                        "disabled for the Tenant. Visit https://a.example/x for more "
                        "information."),
            "535 5.7.139 Authentication unsuccessful, SmtpClientAuthentication is disabled for the "
            "Tenant. [...] for more information.");
  EXPECT_EQ(LoginAnswer("334 eyJzdGF0dXMiOiI0MDEifQ=="), "334 [...]");
  EXPECT_EQ(LoginAnswer("535 sw ord fi sh"), "535 [...]");
  EXPECT_EQ(LoginAnswer("535 bad [password]"), "535 bad [...]");
  EXPECT_EQ(LoginAnswer(""), "");
}

}  // namespace
}  // namespace netsentinel::base
