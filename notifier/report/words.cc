#include "notifier/report/words.h"

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
    notes.push_back(absl::StrCat("Up to the last reading at ",
                                 absl::FormatTime("%H:%M:%S (UTC%Ez)", day.as_of, zone), "."));
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

std::string MoreText(const DayRanking& day, std::size_t shown) {
  const std::size_t listed = day.rows.size();
  std::string out;
  if (listed > shown) {
    const std::size_t more = listed - shown;
    out = absl::StrCat(GroupDigits(more), " more subscriber", more == 1 ? " is" : "s are",
                       " in the attached CSV file.");
  }
  if (day.subscriber_count > listed) {
    absl::StrAppend(&out, out.empty() ? "" : " ", GroupDigits(day.subscriber_count - listed),
                    " with less traffic are past the limit of this report.");
  }
  return out;
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
