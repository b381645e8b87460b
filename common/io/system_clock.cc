#include "common/io/system_clock.h"

#include <ctime>

#include "common/base/check.h"

namespace netsentinel::io {
namespace {

timespec Read(clockid_t clock) {
  timespec now{};
  NS_CHECK(clock_gettime(clock, &now) == 0, "clock_gettime");
  return now;
}

}  // namespace

absl::Time SystemClock::WallNow() const { return absl::TimeFromTimespec(Read(CLOCK_REALTIME)); }

absl::Duration SystemClock::MonotonicNow() const {
  return absl::DurationFromTimespec(Read(CLOCK_MONOTONIC));
}

absl::Duration SystemClock::BootNow() const {
  return absl::DurationFromTimespec(Read(CLOCK_BOOTTIME));
}

}  // namespace netsentinel::io
