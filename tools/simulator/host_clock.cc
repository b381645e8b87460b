#include <ctime>

#include "tools/simulator/simulated_time.h"

namespace netsentinel::simulator {
namespace {

absl::Duration Read(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return absl::DurationFromTimespec(now);
}

}  // namespace

absl::Time HostClock::WallNow() const { return absl::UnixEpoch() + Read(CLOCK_REALTIME); }
absl::Duration HostClock::MonotonicNow() const { return Read(CLOCK_MONOTONIC); }
absl::Duration HostClock::BootNow() const { return Read(CLOCK_BOOTTIME); }

}  // namespace netsentinel::simulator
