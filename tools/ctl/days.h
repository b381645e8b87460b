#pragma once

#include <string>

#include "absl/status/statusor.h"

namespace CLI {
class App;
}  // namespace CLI

namespace netsentinel::ctl {

// Local days as the flags give them; empty where a flag is not given.
struct DayFlags {
  std::string day, from, to;
};
// --day, --from and --to; `otherwise` says what holds without them, such as "today".
void AddDayFlags(CLI::App& command, DayFlags& flags, const std::string& otherwise);

// The days as every request has them: ISO dates, inclusive. No days are what the question means
// without them, a first day alone is until today, one day is first and last. kInvalidArgument, in
// the words of the flags, for what is not a date, --day beside the others, --to alone, and an end
// before the begin. Whether a day has begun is the server's to say. Pure.
struct Days {
  std::string first, last;
};
absl::StatusOr<Days> DaysOf(const DayFlags& flags);

}  // namespace netsentinel::ctl
