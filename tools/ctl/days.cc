#include "tools/ctl/days.h"

#include "absl/strings/str_cat.h"
#include "absl/time/civil_time.h"
#include <CLI/CLI.hpp>

#include "common/base/status_macros.h"

namespace netsentinel::ctl {
namespace {

absl::StatusOr<absl::CivilDay> Parse(const char* flag, const std::string& text) {
  absl::CivilDay day;
  if (absl::ParseCivilTime(text, &day)) return day;
  return absl::InvalidArgumentError(
      absl::StrCat(flag, ": not a date: \"", text, "\"; use YYYY-MM-DD, e.g. 2026-03-29"));
}

}  // namespace

void AddDayFlags(CLI::App& command, DayFlags& flags, const std::string& otherwise) {
  command.add_option("--day", flags.day,
                     absl::StrCat("one local day, such as 2026-03-29; default: ", otherwise));
  command.add_option("--from", flags.from, "first local day; without --to until today");
  command.add_option("--to", flags.to, "last local day, with --from");
}

absl::StatusOr<Days> DaysOf(const DayFlags& flags) {
  if (!flags.day.empty()) {
    if (!flags.from.empty() || !flags.to.empty()) {
      return absl::InvalidArgumentError("give --day for one day, or --from and --to, not both");
    }
    NS_RETURN_IF_ERROR(Parse("--day", flags.day).status());
    return Days{flags.day, flags.day};
  }
  if (flags.from.empty()) {
    if (flags.to.empty()) return Days{};
    return absl::InvalidArgumentError(
        absl::StrCat("--to ", flags.to, " needs --from: the day to begin with"));
  }
  NS_ASSIGN_OR_RETURN(const absl::CivilDay from, Parse("--from", flags.from));
  if (flags.to.empty()) return Days{flags.from, ""};
  NS_ASSIGN_OR_RETURN(const absl::CivilDay to, Parse("--to", flags.to));
  if (to < from) {
    return absl::InvalidArgumentError(
        absl::StrCat("--to ", flags.to, " lies before --from ", flags.from));
  }
  return Days{flags.from, flags.to};
}

}  // namespace netsentinel::ctl
