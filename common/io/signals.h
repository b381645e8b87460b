#pragma once

#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"

#include "common/io/file_descriptor.h"

namespace netsentinel::io {

enum class ProcessSignal {
  kNone,    // nothing happened within the given time
  kDrain,   // SIGTERM or SIGINT: finish what was begun and stop
  kReload,  // SIGHUP
  kWake,    // Wake() was called
};

// SIGTERM, SIGINT and SIGHUP as events that one thread waits for; SIGPIPE is ignored. Nothing runs
// inside a signal handler.
class SignalWaiter {
 public:
  // Blocks the three signals in the calling thread. Call it before any other thread starts: threads
  // inherit the mask. kUnavailable when the kernel has no descriptor to give.
  static absl::StatusOr<std::unique_ptr<SignalWaiter>> Create();
  SignalWaiter(const SignalWaiter&) = delete;
  SignalWaiter& operator=(const SignalWaiter&) = delete;

  // The next event, or kNone after `timeout`. One thread at a time.
  ProcessSignal Wait(absl::Duration timeout);
  // Ends a Wait that is going on, or the next one, with kWake. Any thread.
  void Wake();

 private:
  SignalWaiter(FileDescriptor signals, FileDescriptor wake)
      : signals_(std::move(signals)), wake_(std::move(wake)) {}
  FileDescriptor signals_;
  FileDescriptor wake_;
};

}  // namespace netsentinel::io
