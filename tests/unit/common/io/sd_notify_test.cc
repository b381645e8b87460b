#include "common/io/sd_notify.h"

#include <cstdlib>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "common/io/environment.h"
#include "tests/support/notify_socket.h"

namespace netsentinel::io {
namespace {

using test::NotifySocket;
using testing::StartsWith;

TEST(SystemdNotifierTest, SaysWhatTheServiceManagerWaitsFor) {
  NotifySocket socket;
  SystemdNotifier systemd;
  systemd.Ready();
  EXPECT_EQ(socket.Next(), "READY=1");
  systemd.Reloading();
  EXPECT_THAT(socket.Next(), StartsWith("RELOADING=1\nMONOTONIC_USEC="));
  systemd.WatchdogPing();
  EXPECT_EQ(socket.Next(), "WATCHDOG=1");
  systemd.Stopping();
  EXPECT_EQ(socket.Next(), "STOPPING=1");
}

TEST(SystemdNotifierTest, AStatusCannotSmuggleAnAssignment) {
  NotifySocket socket;
  SystemdNotifier systemd;
  systemd.Status("queue a\nMAINPID=1");
  EXPECT_EQ(socket.Next(), "STATUS=queue a\\x0AMAINPID=1");
}

TEST(SystemdNotifierTest, PingsTwiceInTheWatchdogsTime) {
  SystemdNotifier systemd;
  EXPECT_EQ(systemd.WatchdogInterval(), std::nullopt);
  SetEnvironment("WATCHDOG_USEC", "30000000");
  EXPECT_EQ(systemd.WatchdogInterval(), absl::Seconds(15));
  ::unsetenv("WATCHDOG_USEC");
}

TEST(SystemdNotifierTest, WithoutSystemdNothingHappens) {
  SystemdNotifier systemd;
  systemd.Ready();
  systemd.Status("fine");
  EXPECT_EQ(systemd.WatchdogInterval(), std::nullopt);
}

}  // namespace
}  // namespace netsentinel::io
