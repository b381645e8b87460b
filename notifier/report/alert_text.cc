#include "notifier/report/alert_text.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

#include "common/base/check.h"
#include "common/base/quantity_text.h"
#include "notifier/report/safe_text.h"
#include "notifier/report/words.h"

namespace netsentinel::report {
namespace {

constexpr std::size_t kSubjectLabelBytes = 80;

std::uint64_t OnBasis(const Alert& alert) {
  switch (alert.basis) {
    case QuotaBasis::kDownload:
      return alert.used.download;
    case QuotaBasis::kUpload:
      return alert.used.upload;
    case QuotaBasis::kTotal:
      break;
  }
  return alert.used.total();
}

std::string Crossed(const Alert& alert, std::size_t label_bytes) {
  return absl::StrCat(Isolate(Shorten(InlineLabel(alert.name), label_bytes)), " passed ",
                      alert.threshold_percent, " % of ", base::FormatByteSize(alert.limit_bytes),
                      " ", BasisWord(alert.basis));
}

}  // namespace

std::string AlertSubject(absl::Span<const Alert> alerts) {
  NS_CHECK(!alerts.empty(), "a mail is about at least one alert");
  const std::string prefix = absl::StrCat("NetSentinel ", alerts.front().site_id, ": ");
  if (alerts.size() == 1) return absl::StrCat(prefix, Crossed(alerts.front(), kSubjectLabelBytes));
  return absl::StrCat(prefix, GroupDigits(alerts.size()), " quota alerts, first ",
                      Isolate(Shorten(InlineLabel(alerts.front().name), kSubjectLabelBytes)));
}

std::string AlertSentence(const Alert& alert) {
  return absl::StrCat(Crossed(alert, kMaxLabelBytes), " for the ", PeriodWord(alert.period),
                      alert.period == QuotaPeriod::kDay ? " " : " from ", alert.period_start, ": ",
                      base::FormatByteSize(OnBasis(alert)), " used.");
}

std::string AlertDetail(const Alert& alert) {
  std::string out = absl::StrCat("Seen at ", Label(alert.crossed_at_local), " (",
                                 Label(alert.time_zone), "), site ", alert.site_id);
  if (!alert.router_id.empty()) absl::StrAppend(&out, ", router ", Label(alert.router_id));
  absl::StrAppend(&out, ", quota ", Label(alert.quota_id), "; ",
                  base::FormatByteSize(alert.used.download), " down, ",
                  base::FormatByteSize(alert.used.upload), " up so far.");
  return out;
}

std::string AlertText(absl::Span<const Alert> alerts) {
  std::string out;
  const std::size_t shown = std::min(alerts.size(), kMaxInlineAlerts);
  for (const Alert& alert : alerts.first(shown)) {
    absl::StrAppend(&out, AlertSentence(alert), "\n", AlertDetail(alert), "\n\n");
  }
  if (alerts.size() > shown) {
    absl::StrAppend(&out, MoreAlertsText(alerts.size() - shown, "in the attached file"), "\n\n");
  }
  absl::StrAppend(&out, "The figures are what was provably used. Each threshold alerts once.\n");
  return out;
}

std::string MoreAlertsText(std::size_t more, absl::string_view where) {
  return absl::StrCat(GroupDigits(more), " more alert", more == 1 ? " is " : "s are ", where, ".");
}

}  // namespace netsentinel::report
