#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "notifier/report/model.h"

// The wording that text, HTML and CSV share.
namespace netsentinel::report {

// Longest name that is shown inline, in bytes of its label; the CSV has it whole.
inline constexpr std::size_t kMaxLabelBytes = 200;
// Rows shown inline in one report, both days together.
inline constexpr std::size_t kMaxInlineRows = 200;

// "complete", "estimated", "bounded", "partial".
absl::string_view GradeWord(Grade grade);
// "within", "near", "over".
absl::string_view StandingWord(StandingState state);
absl::string_view BasisWord(QuotaBasis basis);
absl::string_view PeriodWord(QuotaPeriod period);

// 123 → "12.3 %".
std::string PermilleText(std::uint32_t permille);
// "near, 83 %"; "none" without a quota.
std::string StandingText(const std::optional<Standing>& standing);
// "of 47.68 MiB (download, per day)", and "; counted 101 %" where the best figure says something
// worse than what is certain.
std::string LimitText(const Standing& standing);
// Why the figures of a row are not the whole truth: "at most 1.20 GiB unseen; 300.00 MiB divided
// between days". Empty for a complete row.
std::string DoubtText(const RankedSubscriber& row);

// "not observed", "so far", "not closed yet", "not all read", "complete": the first that is true.
absl::string_view DayState(const DayRanking& day);
// "Monday 23 November 2026, so far". A `day` that is no ISO date is shown as it is.
std::string DayTitle(const DayRanking& day);
// What a reader must know before the table, one sentence each: up to when, sums, what was not read,
// open routers.
std::vector<std::string> DayNotes(const DayRanking& day, const absl::TimeZone& zone);
// How many rows of a day are where.
struct ShownRows {
  std::size_t inline_rows = 0;
  // Of the mail's CSV file; the first inline_rows are among them.
  std::size_t file_rows = 0;
};
// "12 more subscribers are in the CSV file attached to the mail." Empty when all are shown.
std::string MoreText(const DayRanking& day, const ShownRows& shown);

// The subject of the report.
std::string ReportSubject(const RankedReport& report);
// "netsentinel-lahore-2026-11-23.csv".
std::string CsvFileName(absl::string_view site_id, absl::string_view day);

// The label of a name at the length that is shown inline.
std::string InlineLabel(absl::string_view raw_name);

}  // namespace netsentinel::report
