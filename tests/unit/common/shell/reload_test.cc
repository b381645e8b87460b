#include "common/shell/reload.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::shell {
namespace {

using testing::HasSubstr;

TEST(OnlyWithRestartTest, NamesTheKeysThatDiffer) {
  EXPECT_THAT(OnlyWithRestart({{"store.url", false}, {"tls", false}}), test::IsOk());
  EXPECT_THAT(OnlyWithRestart({{"store.url", false}, {"tls", true}}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             HasSubstr("tls changes only with a restart")));
  EXPECT_THAT(OnlyWithRestart({{"store.url", true}, {"listen.grpc", true}, {"tls", false}}),
              test::StatusIs(absl::StatusCode::kFailedPrecondition,
                             HasSubstr("store.url, listen.grpc change only with a restart")));
}

}  // namespace
}  // namespace netsentinel::shell
