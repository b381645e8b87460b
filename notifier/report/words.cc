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

// "hq-core, branch and 3 more"; the texts are for people already.
std::string Named(const std::vector<std::string>& routers) {
  const std::size_t named = std::min(routers.size(), kMaxNamedRouters);
  std::string out =
      absl::StrJoin(routers.begin(), routers.begin() + static_cast<std::ptrdiff_t>(named), ", ",
                    [](std::string* text, const std::string& router) {
                      absl::StrAppend(text, Shorten(Label(router), kMaxLabelBytes));
                    });
  if (named < routers.size()) {
    absl::StrAppend(&out, " and ", GroupDigits(routers.size() - named), " more");
  }
  return out;
}

// "30 November 2026 at 13:48".
std::string MomentText(absl::Time at, const absl::TimeZone& zone) {
  return absl::FormatTime("%-d %B %Y at %H:%M", at, zone);
}

bool NeverRead(const DayRanking& day, absl::string_view router) {
  return std::any_of(day.observed_routers.begin(), day.observed_routers.end(),
                     [&](const ObservedRouter& one) {
                       return one.id == router && one.began == absl::InfiniteFuture();
                     });
}

// Without those that have never been read, which are named as that.
std::vector<std::string> StillOpen(const DayRanking& day) {
  std::vector<std::string> open = day.open_routers;
  std::erase_if(open, [&](const std::string& id) { return NeverRead(day, id); });
  return open;
}

// Why nothing was read on the day; empty when something was.
std::string NothingReadNote(const DayRanking& day, const absl::TimeZone& zone) {
  if (day.observation != Observation::kNothing) return "";
  if (day.reading_began == absl::InfiniteFuture()) {
    return "Not observed: no router of this site has been read yet.";
  }
  if (day.began_later) {
    return absl::StrCat("Not observed: reading began on ", MomentText(day.reading_began, zone),
                        ".");
  }
  return absl::StrCat("Not observed: no router of this site was read on this day.",
                      day.subscriber_count == 0
                          ? ""
                          : " The figures are divided from readings before and after it.");
}

// Routers that the figures lack, or have only from a moment on.
void AddRouterNotes(const DayRanking& day, const absl::TimeZone& zone,
                    std::vector<std::string>& notes) {
  std::vector<std::string> unread;
  std::vector<std::string> began;
  for (const ObservedRouter& router : day.observed_routers) {
    if (router.began == absl::InfiniteFuture()) {
      unread.push_back(absl::StrCat(router.id, " (never read yet)"));
    } else if (!router.read) {
      unread.push_back(router.id);
    } else {
      began.push_back(absl::StrCat(router.id, " from ", MomentText(router.began, zone)));
    }
  }
  if (!unread.empty()) notes.push_back(absl::StrCat("Not read on this day: ", Named(unread), "."));
  if (!began.empty()) {
    notes.push_back(absl::StrCat(
        "First read on this day, earlier traffic is not in the figures: ", Named(began), "."));
  }
}

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

absl::string_view StandingWord(StandingState state) {
  switch (state) {
    case StandingState::kWithin:
      return "within";
    case StandingState::kNear:
      return "near";
    case StandingState::kOver:
      break;
  }
  return "over";
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

std::string StandingText(const std::optional<Standing>& standing) {
  if (!standing.has_value()) return "none";
  return absl::StrCat(StandingWord(standing->state), ", ", GroupDigits(standing->percent), " %");
}

std::string LimitText(const Standing& standing) {
  std::string text =
      absl::StrCat("of ", base::FormatByteSize(standing.limit_bytes), " (",
                   BasisWord(standing.basis), ", per ", PeriodWord(standing.period), ")");
  if (standing.counted_state != standing.state) {
    absl::StrAppend(&text, "; counted ", GroupDigits(standing.counted_percent), " %");
  }
  return text;
}

std::string DoubtText(const RankedSubscriber& row) {
  std::string out;
  if (!row.unseen.zero()) {
    absl::StrAppend(&out, "at most ", base::FormatByteSize(row.unseen.total()), " unseen");
  }
  if (!row.estimated.zero()) {
    absl::StrAppend(&out, out.empty() ? "" : "; ", base::FormatByteSize(row.estimated.total()),
                    " divided between days");
  }
  return out;
}

absl::string_view DayState(const DayRanking& day) {
  if (day.observation == Observation::kNothing) return "not observed";
  if (day.so_far) return "so far";
  if (!StillOpen(day).empty()) return "not closed yet";
  return day.observation == Observation::kPartly ? "not all read" : "complete";
}

std::string DayTitle(const DayRanking& day) {
  absl::CivilDay civil;
  std::string out = day.day;
  if (absl::ParseCivilTime(day.day, &civil)) {
    out = absl::FormatTime("%A %-d %B %Y", absl::FromCivil(civil, absl::UTCTimeZone()),
                           absl::UTCTimeZone());
  }
  return absl::StrCat(out, ", ", DayState(day));
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
  if (std::string note = NothingReadNote(day, zone); !note.empty()) {
    notes.push_back(std::move(note));
  }
  if (day.subscriber_count > 0) {
    notes.push_back(absl::StrCat(GroupDigits(day.subscriber_count),
                                 day.subscriber_count == 1 ? " subscriber" : " subscribers", ", ",
                                 base::FormatByteSize(day.total.total()),
                                 " in total: ", base::FormatByteSize(day.total.download), " down, ",
                                 base::FormatByteSize(day.total.upload), " up."));
  } else if (day.observation == Observation::kUnknown) {
    notes.emplace_back("No traffic is known; whether the routers were read is not known either.");
  } else if (day.observation != Observation::kNothing) {
    notes.emplace_back("No subscriber moved any traffic.");
  }
  if (day.observation == Observation::kPartly) AddRouterNotes(day, zone, notes);
  if (const std::vector<std::string> open = StillOpen(day); !open.empty() && !day.so_far) {
    notes.push_back(
        absl::StrCat("Still open, later readings may add to this day: ", Named(open), "."));
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
        count(in_file - shown.inline_rows, " in the CSV file attached to the mail."));
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
  if (report.day.subscriber_count == 0 && report.day.observation == Observation::kNothing) {
    return absl::StrCat("NetSentinel ", report.site_id, " ", report.day.day, ": not observed");
  }
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
