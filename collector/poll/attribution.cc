#include "collector/poll/attribution.h"

#include <algorithm>

namespace netsentinel::poll {

Attribution Attribute(const ReadingTimes& times, std::int64_t floor_us) {
  if (floor_us > times.end_us + kFloorAheadUs) floor_us = 0;
  if (times.boundary_us.has_value() && *times.boundary_us >= floor_us &&
      times.begin_us >= *times.boundary_us &&
      times.end_us <= *times.boundary_us + kBoundaryWindowUs) {
    return {
        .attribution_us = *times.boundary_us,
        .at_boundary = true,
        .boundary_skew_ms = static_cast<std::uint32_t>((times.end_us - *times.boundary_us) / 1000)};
  }
  const std::int64_t middle = times.begin_us + (times.end_us - times.begin_us) / 2;
  return {.attribution_us = std::max(floor_us, middle)};
}

}  // namespace netsentinel::poll
