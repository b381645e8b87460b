#include "common/io/signals.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <limits>
#include <system_error>

#include "absl/strings/str_cat.h"
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>

namespace netsentinel::io {
namespace {

absl::Status LastError(const char* what) {
  return absl::UnavailableError(absl::StrCat("cannot watch for signals: ", what, ": ",
                                             std::generic_category().message(errno)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SignalWaiter>> SignalWaiter::Create() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, signal);
  if (pthread_sigmask(SIG_BLOCK, &set, nullptr) != 0) return LastError("pthread_sigmask");
  FileDescriptor signals(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!signals.valid()) return LastError("signalfd");
  FileDescriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return LastError("eventfd");
  return std::unique_ptr<SignalWaiter>(new SignalWaiter(std::move(signals), std::move(wake)));
}

ProcessSignal SignalWaiter::Wait(absl::Duration timeout) {
  std::array<pollfd, 2> fds = {{{signals_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}}};
  const std::int64_t milliseconds =
      std::clamp<std::int64_t>(absl::ToInt64Milliseconds(timeout + absl::Microseconds(999)), 0,
                               std::numeric_limits<int>::max());
  if (::poll(fds.data(), fds.size(), static_cast<int>(milliseconds)) <= 0) {
    return ProcessSignal::kNone;
  }
  signalfd_siginfo info{};
  if (fds[0].revents != 0 && ::read(signals_.get(), &info, sizeof(info)) == sizeof(info)) {
    return info.ssi_signo == SIGHUP ? ProcessSignal::kReload : ProcessSignal::kDrain;
  }
  std::uint64_t count = 0;
  if (fds[1].revents != 0 && ::read(wake_.get(), &count, sizeof(count)) == sizeof(count)) {
    return ProcessSignal::kWake;
  }
  return ProcessSignal::kNone;
}

void SignalWaiter::Wake() {
  const std::uint64_t one = 1;
  // Fails only when the counter is full, and then a wake-up is waiting anyway.
  [[maybe_unused]] const ssize_t put = ::write(wake_.get(), &one, sizeof(one));
}

}  // namespace netsentinel::io
