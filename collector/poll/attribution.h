#pragma once

#include <cstdint>
#include <optional>

namespace netsentinel::poll {

// A poll that was wanted for a boundary counts as read at it when the reply was complete so soon.
// What passed meanwhile counts for the earlier day: more than this would be bytes of the wrong one.
inline constexpr std::int64_t kBoundaryWindowUs = 1'000'000;
// A floor further ahead of a reading than this is a wrong clock's.
inline constexpr std::int64_t kFloorAheadUs = 5'000'000;

// When a reading was asked for and complete, in microseconds on the aggregator's clock.
struct ReadingTimes {
  std::int64_t begin_us = 0;
  std::int64_t end_us = 0;
  // The boundary that the poll was wanted for.
  std::optional<std::int64_t> boundary_us;
};

struct Attribution {
  std::int64_t attribution_us = 0;
  bool at_boundary = false;
  std::uint32_t boundary_skew_ms = 0;

  bool operator==(const Attribution&) const = default;
};

// The instant a reading counts for: the boundary, else the middle of the request, which is nearest
// to when the router read its counters. A boundary's reading that was complete later than
// kBoundaryWindowUs after it is one like any other, so that its step is divided between the days.
// Never before `floor_us`, the router's last attribution; a floor more than kFloorAheadUs in the
// future came from a clock that was wrong and is ignored.
Attribution Attribute(const ReadingTimes& times, std::int64_t floor_us);

}  // namespace netsentinel::poll
