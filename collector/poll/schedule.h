#pragma once

#include <cstdint>

#include "absl/types/span.h"

namespace netsentinel::poll {

// What decides when a router is read next. All instants in microseconds on the aggregator's clock.
struct ScheduleInput {
  std::int64_t now_us = 0;
  // When the last poll began; 0 when there was none since the session began. Ahead of now by more
  // than kClockJitterUs it was read off a clock that has been set back since.
  std::int64_t last_poll_us = 0;
  std::int64_t interval_us = 0;  // > 0
  // Ordinary polls happen at phase + n · interval, so that routers do not ask all at once.
  std::int64_t phase_us = 0;
  // No ordinary poll begins so shortly before a boundary: it would hold the boundary poll up.
  std::int64_t guard_us = 0;
  // The last boundary that was polled; later ones are due. One that is more than kBoundaryGraceUs
  // ahead was polled by a clock that has been set back since: it comes again.
  std::int64_t served_boundary_us = 0;
  absl::Span<const std::int64_t> boundaries_us;  // ascending
};

struct NextPoll {
  // At or before now: at once.
  std::int64_t at_us = 0;
  // It is wanted for a boundary, which is at_us.
  bool boundary = false;

  bool operator==(const NextPoll&) const = default;
};

inline constexpr std::int64_t kClockJitterUs = 1'000'000;

// A boundary that is up to kBoundaryGraceUs past is still polled for, older ones are not. A first
// poll is due at once, one that was missed once and not several times; so is one that follows a
// step of the clock backwards.
inline constexpr std::int64_t kBoundaryGraceUs = 3'000'000;
NextPoll DecideNextPoll(const ScheduleInput& input);

}  // namespace netsentinel::poll
