#include "common/io/signals.h"

#include <csignal>
#include <thread>

#include "gtest/gtest.h"

#include "tests/support/status_matchers.h"

namespace netsentinel::io {
namespace {

using test::IsOk;

TEST(SignalWaiterTest, SignalsBecomeEvents) {
  const auto waiter = SignalWaiter::Create();
  ASSERT_THAT(waiter, IsOk());
  EXPECT_EQ((*waiter)->Wait(absl::ZeroDuration()), ProcessSignal::kNone);
  std::raise(SIGHUP);
  EXPECT_EQ((*waiter)->Wait(absl::Seconds(10)), ProcessSignal::kReload);
  std::raise(SIGTERM);
  EXPECT_EQ((*waiter)->Wait(absl::Seconds(10)), ProcessSignal::kDrain);
  std::raise(SIGINT);
  EXPECT_EQ((*waiter)->Wait(absl::Seconds(10)), ProcessSignal::kDrain);
  std::raise(SIGPIPE);
  EXPECT_EQ((*waiter)->Wait(absl::ZeroDuration()), ProcessSignal::kNone);
}

TEST(SignalWaiterTest, AnotherThreadCanWakeIt) {
  const auto waiter = SignalWaiter::Create();
  ASSERT_THAT(waiter, IsOk());
  std::thread other([&waiter] { (*waiter)->Wake(); });
  EXPECT_EQ((*waiter)->Wait(absl::Seconds(10)), ProcessSignal::kWake);
  other.join();
  EXPECT_EQ((*waiter)->Wait(absl::ZeroDuration()), ProcessSignal::kNone);
}

}  // namespace
}  // namespace netsentinel::io
