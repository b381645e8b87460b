#include "collector/poll/schedule.h"

#include <algorithm>
#include <optional>

namespace netsentinel::poll {
namespace {

std::optional<std::int64_t> NextBoundary(const ScheduleInput& input) {
  std::int64_t after = input.now_us - kBoundaryGraceUs - 1;
  if (input.served_boundary_us <= input.now_us + kBoundaryGraceUs) {
    after = std::max(after, input.served_boundary_us);
  }
  const auto next = std::upper_bound(input.boundaries_us.begin(), input.boundaries_us.end(), after);
  if (next == input.boundaries_us.end()) return std::nullopt;
  return *next;
}

// The first instant of the grid after `after`.
std::int64_t NextOnGrid(std::int64_t after, std::int64_t phase, std::int64_t interval) {
  std::int64_t past = (after - phase) % interval;
  if (past < 0) past += interval;
  return after - past + interval;
}

}  // namespace

NextPoll DecideNextPoll(const ScheduleInput& input) {
  const bool at_once =
      input.last_poll_us == 0 || input.last_poll_us > input.now_us + kClockJitterUs;
  const std::int64_t ordinary =
      at_once ? input.now_us : NextOnGrid(input.last_poll_us, input.phase_us, input.interval_us);
  const std::optional<std::int64_t> boundary = NextBoundary(input);
  if (boundary.has_value() && (*boundary <= input.now_us ||
                               std::max(ordinary, input.now_us) > *boundary - input.guard_us)) {
    return {.at_us = *boundary, .boundary = true};
  }
  return {.at_us = ordinary, .boundary = false};
}

}  // namespace netsentinel::poll
