#include "common/io/sd_notify.h"

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/io/environment.h"
#include "common/io/file_descriptor.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::io {
namespace {

using testing::StartsWith;

// The socket that systemd would listen on.
class NotifySocket {
 public:
  NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.path() + "/notify";
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)),
              0);
    SetEnvironment("NOTIFY_SOCKET", path);
  }
  ~NotifySocket() { ::unsetenv("NOTIFY_SOCKET"); }

  std::string Next() {
    std::array<char, 4096> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return size < 0 ? "(nothing)" : std::string(text.data(), static_cast<std::size_t>(size));
  }

 private:
  test::TempFolder folder_;
  FileDescriptor socket_;
};

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
