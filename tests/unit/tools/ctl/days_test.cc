#include "tools/ctl/days.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace netsentinel::ctl {
namespace {

// "first last", or why not.
std::string Of(const DayFlags& flags) {
  const absl::StatusOr<Days> days = DaysOf(flags);
  if (!days.ok()) return std::string(days.status().message());
  return absl::StrCat(days->first, " ", days->last);
}

TEST(DaysTest, OneDayIsFirstAndLastAndAFirstDayAloneHasNoEnd) {
  EXPECT_EQ(Of({}), " ");
  EXPECT_EQ(Of({.day = "2026-11-30", .from = "", .to = ""}), "2026-11-30 2026-11-30");
  EXPECT_EQ(Of({.day = "", .from = "2026-11-01", .to = ""}), "2026-11-01 ");
  EXPECT_EQ(Of({.day = "", .from = "2026-11-01", .to = "2026-11-30"}), "2026-11-01 2026-11-30");
  EXPECT_EQ(Of({.day = "", .from = "2026-11-01", .to = "2026-11-01"}), "2026-11-01 2026-11-01");
}

TEST(DaysTest, FlagsThatSayNoSpanAreRefusedInTheirOwnWords) {
  EXPECT_EQ(Of({.day = "", .from = "", .to = "2026-11-29"}),
            "--to 2026-11-29 needs --from: the day to begin with");
  EXPECT_EQ(Of({.day = "2026-11-29", .from = "2026-11-01", .to = ""}),
            "give --day for one day, or --from and --to, not both");
  EXPECT_EQ(Of({.day = "2026-11-29", .from = "", .to = "2026-11-30"}),
            "give --day for one day, or --from and --to, not both");
  EXPECT_EQ(Of({.day = "", .from = "2026-11-30", .to = "2026-11-29"}),
            "--to 2026-11-29 lies before --from 2026-11-30");
  EXPECT_EQ(Of({.day = "yesterday", .from = "", .to = ""}),
            "--day: not a date: \"yesterday\"; use YYYY-MM-DD, e.g. 2026-03-29");
  EXPECT_EQ(Of({.day = "", .from = "2026-02-30", .to = ""}),
            "--from: not a date: \"2026-02-30\"; use YYYY-MM-DD, e.g. 2026-03-29");
  EXPECT_EQ(Of({.day = "", .from = "2026-02-01", .to = "x"}),
            "--to: not a date: \"x\"; use YYYY-MM-DD, e.g. 2026-03-29");
}

}  // namespace
}  // namespace netsentinel::ctl
