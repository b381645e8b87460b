#pragma once

#include <cstdint>

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace netsentinel::simulator {

// An instant on the host, for the truth log. Microseconds.
struct Stamp {
  std::int64_t wall_us = 0;  // CLOCK_REALTIME
  std::int64_t boot_us = 0;  // CLOCK_BOOTTIME
};

// CLOCK_REALTIME, CLOCK_MONOTONIC and CLOCK_BOOTTIME of the host. Thread-safe.
class HostClock final : public base::Clock {
 public:
  absl::Time WallNow() const override;
  absl::Duration MonotonicNow() const override;
  absl::Duration BootNow() const override;
};

// Simulated time: runs `speed` times as fast as the host's from the moment of construction.
class SimulatedTime {
 public:
  SimulatedTime(const base::Clock& clock, double speed)
      : clock_(clock), speed_(speed), start_(clock.BootNow()), start_wall_(clock.WallNow()) {}

  // Microseconds since the start, plus ten years so that no router's boot lies before zero.
  std::int64_t NowUs() const { return kBase_us + absl::ToInt64Microseconds(Elapsed()); }
  absl::Time Wall() const { return start_wall_ + Elapsed(); }
  // How long simulated `us` take on the host.
  absl::Duration HostDuration(std::int64_t us) const { return absl::Microseconds(us) / speed_; }
  Stamp Now() const {
    return {.wall_us = absl::ToUnixMicros(clock_.WallNow()),
            .boot_us = absl::ToInt64Microseconds(clock_.BootNow())};
  }
  double speed() const { return speed_; }

 private:
  static constexpr std::int64_t kBase_us = 3652LL * 86'400 * 1'000'000;
  absl::Duration Elapsed() const { return (clock_.BootNow() - start_) * speed_; }

  const base::Clock& clock_;
  double speed_;
  absl::Duration start_;
  absl::Time start_wall_;
};

}  // namespace netsentinel::simulator
