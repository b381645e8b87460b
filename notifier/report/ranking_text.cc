#include "notifier/report/ranking_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "common/base/quantity_text.h"
#include "notifier/report/safe_text.h"
#include "notifier/report/words.h"

namespace netsentinel::report {
namespace {

void AppendRow(const RankedSubscriber& row, std::string& out) {
  absl::StrAppend(&out, row.rank, ". ", Isolate(InlineLabel(row.name)));
  if (!row.router_id.empty()) absl::StrAppend(&out, " on ", Isolate(InlineLabel(row.router_id)));
  absl::StrAppend(&out, "\n   ", base::FormatByteSize(row.counted.total()), " (",
                  PermilleText(row.share_permille),
                  "): ", base::FormatByteSize(row.counted.download), " down, ",
                  base::FormatByteSize(row.counted.upload), " up; quota ");
  absl::StrAppend(&out, StandingText(row.standing));
  if (row.standing.has_value()) absl::StrAppend(&out, " ", LimitText(*row.standing));
  absl::StrAppend(&out, "; ", GradeWord(row.grade));
  const std::string doubt = DoubtText(row);
  if (!doubt.empty()) absl::StrAppend(&out, ", ", doubt);
  out += '\n';
}

void AppendDay(const DayRanking& day, const absl::TimeZone& zone, const ShownRows& rows,
               std::string& out) {
  const std::string title = DayTitle(day);
  absl::StrAppend(&out, title, "\n", std::string(title.size(), '-'), "\n");
  for (const std::string& note : DayNotes(day, zone)) absl::StrAppend(&out, note, "\n");
  out += '\n';
  for (std::size_t i = 0; i < rows.inline_rows; ++i) AppendRow(day.rows[i], out);
  const std::string more = MoreText(day, rows);
  if (!more.empty()) absl::StrAppend(&out, more, "\n");
  out += '\n';
}

// Where the list separator is a semicolon, spreadsheets cut a line of commas at semicolons, quotes
// or not, and take what follows for a cell of its own.
std::string CsvName(absl::string_view raw) {
  return CsvCell(absl::StrReplaceAll(Label(raw), {{";", "\\x3B"}}));
}

std::string CsvRow(const RankedReport& report, const DayRanking& day, const RankedSubscriber& row) {
  std::string out =
      absl::StrCat(CsvCell(report.site_id), ",", CsvCell(day.day), ",", DayState(day), ",",
                   row.rank, ",", CsvName(row.name), ",", CsvName(row.router_id), ",");
  absl::StrAppend(&out, row.counted.download, ",", row.counted.upload, ",", row.counted.total(),
                  ",");
  absl::StrAppend(&out, row.share_permille, ",");
  if (row.standing.has_value()) {
    const Standing& standing = *row.standing;
    absl::StrAppend(&out, StandingWord(standing.state), ",", standing.percent, ",",
                    standing.used_bytes, ",", standing.limit_bytes, ",", BasisWord(standing.basis),
                    ",", PeriodWord(standing.period), ",");
  } else {
    out += "none,,,,,,";
  }
  absl::StrAppend(&out, GradeWord(row.grade), ",", row.sure.download, ",", row.sure.upload, ",");
  absl::StrAppend(&out, row.unseen.download, ",", row.unseen.upload, ",", row.estimated.download,
                  ",", row.estimated.upload, "\r\n");
  return out;
}

}  // namespace

RowShares ShareRows(std::size_t day, std::size_t day_before, std::size_t most) {
  const std::size_t half = most / 2;
  const std::size_t shown_before = std::min(day_before, std::max(half, most - std::min(most, day)));
  return {.day = std::min(day, most - shown_before), .day_before = shown_before};
}

std::string RankingText(const RankedReport& report, RowShares in_file) {
  const RowShares rows =
      ShareRows(report.day.rows.size(),
                report.day_before.has_value() ? report.day_before->rows.size() : 0, kMaxInlineRows);
  std::string out =
      absl::StrCat("Usage by subscriber, site ", report.site_id, " (", report.zone.name(), ").\n",
                   "1 KiB is 1024 bytes, 1 GiB is 1024 MiB.\n\n");
  AppendDay(report.day, report.zone, {.inline_rows = rows.day, .file_rows = in_file.day}, out);
  if (report.day_before.has_value()) {
    AppendDay(*report.day_before, report.zone,
              {.inline_rows = rows.day_before, .file_rows = in_file.day_before}, out);
  }
  return out;
}

RankingFile RankingCsv(const RankedReport& report, std::size_t max_bytes) {
  RankingFile file{
      .csv =
          "site,day,state,rank,subscriber,router,download_bytes,upload_bytes,total_bytes,"
          "share_permille,quota_state,quota_percent,quota_used_bytes,quota_limit_bytes,quota_basis,"
          "quota_period,grade,"
          "sure_download_bytes,sure_upload_bytes,unseen_download_bytes,"
          "unseen_upload_bytes,estimated_download_bytes,estimated_upload_bytes\r\n"};
  const DayRanking none;
  const DayRanking& before = report.day_before.has_value() ? *report.day_before : none;
  std::string before_csv;
  bool room = true;
  const auto add = [&](const DayRanking& day, std::size_t& shown, std::string& out) {
    if (!room || shown == day.rows.size()) return;
    const std::string row = CsvRow(report, day, day.rows[shown]);
    room = file.csv.size() + before_csv.size() + row.size() <= max_bytes;
    if (!room) return;
    out += row;
    ++shown;
  };
  // Both days in turn, so that a lack of room shortens both.
  while (room &&
         (file.rows.day < report.day.rows.size() || file.rows.day_before < before.rows.size())) {
    add(report.day, file.rows.day, file.csv);
    add(before, file.rows.day_before, before_csv);
  }
  file.csv += before_csv;
  return file;
}

}  // namespace netsentinel::report
