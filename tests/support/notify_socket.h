#pragma once

#include <array>
#include <cstdlib>
#include <cstring>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/string_view.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "common/base/check.h"
#include "common/io/environment.h"
#include "common/io/file_descriptor.h"
#include "tests/support/temp_folder.h"

namespace netsentinel::test {

// The socket that systemd would listen on; named by NOTIFY_SOCKET, for this process and those it
// starts, as long as this lives. One thread.
class NotifySocket {
 public:
  NotifySocket() : socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    const std::string path = folder_.path() + "/notify";
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    NS_CHECK(
        ::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0,
        path);
    io::SetEnvironment("NOTIFY_SOCKET", path);
  }
  ~NotifySocket() { ::unsetenv("NOTIFY_SOCKET"); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message that has come, or "(nothing)".
  std::string Next() {
    std::array<char, 4096> text{};
    const ssize_t size = ::recv(socket_.get(), text.data(), text.size(), MSG_DONTWAIT);
    return size < 0 ? "(nothing)" : std::string(text.data(), static_cast<std::size_t>(size));
  }
  // Drops messages up to one that begins so; false when none has come after `timeout`.
  bool WaitFor(absl::string_view beginning, absl::Duration timeout = absl::Seconds(30)) {
    const absl::Time deadline = absl::Now() + timeout;
    while (absl::Now() < deadline) {
      pollfd ready{.fd = socket_.get(), .events = POLLIN, .revents = 0};
      ::poll(&ready, 1, static_cast<int>(absl::ToInt64Milliseconds(deadline - absl::Now())));
      if (absl::StartsWith(Next(), beginning)) return true;
    }
    return false;
  }

 private:
  TempFolder folder_;
  io::FileDescriptor socket_;
};

}  // namespace netsentinel::test
