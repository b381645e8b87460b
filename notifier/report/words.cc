#include "notifier/report/words.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/civil_time.h"
#include "absl/time/time.h"

#include "common/base/quantity_text.h"
#include "notifier/report/safe_text.h"

namespace netsentinel::report {
namespace {

// Routers named one by one in a note; the rest are counted.
constexpr std::size_t kMaxNamedRouters = 10;

}  // namespace

absl::string_view GradeWord(Grade grade) {
  switch (grade) {
    case Grade::kComplete:
      return "complete";
    case Grade::kEstimated:
      return "estimated";
    case Grade::kBounded:
      return "bounded";
    case Grade::kPartial:
      break;
  }
  return "partial";
}

absl::string_view QuotaStateWord(QuotaState state) {
  switch (state) {
    case QuotaState::kNone:
      break;
    case QuotaState::kWithin:
      return "within";
    case QuotaState::kWarning:
      return "warning";
    case QuotaState::kExceeded:
      return "exceeded";
  }
  return "none";
}

absl::string_view BasisWord(QuotaBasis basis) {
  switch (basis) {
    case QuotaBasis::kDownload:
      return "download";
    case QuotaBasis::kUpload:
      return "upload";
    case QuotaBasis::kTotal:
      break;
  }
  return "total";
}

absl::string_view PeriodWord(QuotaPeriod period) {
  switch (period) {
    case QuotaPeriod::kDay:
      return "day";
    case QuotaPeriod::kWeek:
      return "week";
    case QuotaPeriod::kMonth:
      break;
  }
  return "month";
}

std::string PermilleText(std::uint32_t permille) {
  return absl::StrFormat("%d.%d %%", permille / 10, permille % 10);
}

std::string QuotaText(const RankedSubscriber& row) {
  if (row.quota_state == QuotaState::kNone || row.quota_limit_bytes == 0)
    return std::string(QuotaStateWord(row.quota_state));
  return absl::StrCat(QuotaStateWord(row.quota_state), " (",
                      base::FormatByteSize(row.quota_limit_bytes), " ", BasisWord(row.quota_basis),
                      ")");
}

std::string DoubtText(const RankedSubscriber& row) {
  std::string out;
  if (!row.loss_bound.zero()) {
    absl::StrAppend(&out, "at most ", base::FormatByteSize(row.loss_bound.total()), " unseen");
  }
  if (!row.estimated.zero()) {
    absl::StrAppend(&out, out.empty() ? "" : "; ", base::FormatByteSize(row.estimated.total()),
                    " divided between days");
  }
  return out;
}

std::string DayTitle(const DayRanking& day) {
  absl::CivilDay civil;
  std::string out = day.day;
  if (absl::ParseCivilTime(day.day, &civil)) {
    out = absl::FormatTime("%A %-d %B %Y", absl::FromCivil(civil, absl::UTCTimeZone()),
                           absl::UTCTimeZone());
  }
  if (day.so_far) return absl::StrCat(out, ", so far");
  return absl::StrCat(out, day.open_routers.empty() ? ", complete" : ", not closed yet");
}

std::vector<std::string> DayNotes(const DayRanking& day, const absl::TimeZone& zone) {
  std::vector<std::string> notes;
  if (day.so_far && day.as_of != absl::InfinitePast()) {
    const bool same_date = absl::FormatTime("%Y-%m-%d", day.as_of, zone) == day.day;
    notes.push_back(absl::StrCat(
        "Up to the last reading at ",
        absl::FormatTime(same_date ? "%H:%M:%S (UTC%Ez)" : "%Y-%m-%d %H:%M:%S (UTC%Ez)", day.as_of,
                         zone),
        "."));
  }
  if (day.subscriber_count == 0) {
    notes.push_back("No subscriber moved any traffic.");
  } else {
    notes.push_back(absl::StrCat(GroupDigits(day.subscriber_count),
                                 day.subscriber_count == 1 ? " subscriber" : " subscribers", ", ",
                                 base::FormatByteSize(day.total.total()),
                                 " in total: ", base::FormatByteSize(day.total.download), " down, ",
                                 base::FormatByteSize(day.total.upload), " up."));
  }
  if (!day.open_routers.empty() && !day.so_far) {
    const std::size_t named = std::min(day.open_routers.size(), kMaxNamedRouters);
    std::string routers = absl::StrJoin(
        day.open_routers.begin(), day.open_routers.begin() + static_cast<std::ptrdiff_t>(named),
        ", ", [](std::string* out, const std::string& id) {
          absl::StrAppend(out, Shorten(Label(id), kMaxLabelBytes));
        });
    if (named < day.open_routers.size()) {
      absl::StrAppend(&routers, " and ", GroupDigits(day.open_routers.size() - named), " more");
    }
    notes.push_back(absl::StrCat("Still open, later readings may add to this day: ", routers, "."));
  }
  return notes;
}

std::string MoreText(const DayRanking& day, const ShownRows& shown) {
  const auto count = [](std::size_t more, absl::string_view where) {
    return absl::StrCat(GroupDigits(more), " more subscriber", more == 1 ? " is" : "s are", where);
  };
  std::vector<std::string> sentences;
  const std::size_t in_file = std::max(shown.inline_rows, shown.file_rows);
  if (in_file > shown.inline_rows) {
    sentences.push_back(
        count(in_file - shown.inline_rows, " in the CSV file that the mail brings."));
  }
  if (day.rows.size() > in_file) {
    sentences.push_back(
        count(day.rows.size() - in_file,
              " not in this report, since the CSV file would be too large for a mail."));
  }
  if (day.subscriber_count > day.rows.size()) {
    sentences.push_back(absl::StrCat(GroupDigits(day.subscriber_count - day.rows.size()),
                                     " with less traffic are past the limit of this report."));
  }
  return absl::StrJoin(sentences, " ");
}

std::string ReportSubject(const RankedReport& report) {
  return absl::StrCat("NetSentinel ", report.site_id, " ", report.day.day,
                      report.day.so_far ? " so far: " : ": ",
                      base::FormatByteSize(report.day.total.total()), ", ",
                      GroupDigits(report.day.subscriber_count),
                      report.day.subscriber_count == 1 ? " subscriber" : " subscribers");
}

std::string CsvFileName(absl::string_view site_id, absl::string_view day) {
  return absl::StrCat("netsentinel-", site_id, "-", day, ".csv");
}

std::string InlineLabel(absl::string_view raw_name) {
  const std::string label = Label(raw_name);
  return label.empty() ? "(no name)" : Shorten(label, kMaxLabelBytes);
}

}  // namespace netsentinel::report
