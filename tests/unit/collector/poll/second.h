#pragma once

#include <cstdint>

namespace netsentinel::poll {

// In the microseconds of polls and boundaries.
inline constexpr std::int64_t kSecond = 1'000'000;

}  // namespace netsentinel::poll
