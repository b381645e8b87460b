#pragma once

#include "absl/time/time.h"

namespace netsentinel::base {

// Where time comes from. Thread-safe. Nothing outside common/io reads a clock of the system.
class Clock {
 public:
  virtual ~Clock() = default;
  // The wall clock: may step. For stamps and local days.
  virtual absl::Time WallNow() const = 0;
  // Never steps, stops while the host sleeps. For deadlines and backoff.
  virtual absl::Duration MonotonicNow() const = 0;
  // CLOCK_BOOTTIME: never steps, goes on while the host sleeps and across restarts of the process.
  virtual absl::Duration BootNow() const = 0;
};

}  // namespace netsentinel::base
