#pragma once

#include "absl/time/time.h"

#include "common/base/clock.h"

namespace netsentinel::test {

// A clock that moves only when told. One thread.
class FakeClock final : public base::Clock {
 public:
  explicit FakeClock(absl::Time wall = absl::FromUnixSeconds(1767225600),
                     absl::Duration boot = absl::Hours(1))
      : wall_(wall), boot_(boot) {}
  absl::Time WallNow() const override { return wall_; }
  absl::Duration MonotonicNow() const override { return boot_; }
  absl::Duration BootNow() const override { return boot_; }

  void Advance(absl::Duration by) {
    wall_ += by;
    boot_ += by;
  }
  // Steps the wall clock only, as NTP or a person does.
  void StepWall(absl::Duration by) { wall_ += by; }

 private:
  absl::Time wall_;
  absl::Duration boot_;
};

}  // namespace netsentinel::test
