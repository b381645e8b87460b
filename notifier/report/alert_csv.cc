#include "notifier/report/alert_csv.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

#include "notifier/report/safe_text.h"
#include "notifier/report/words.h"

namespace netsentinel::report {
namespace {

std::string Row(const Alert& alert) {
  return absl::StrCat(CsvCell(alert.site_id), ",",
                      CsvCell(absl::StrReplaceAll(Label(alert.name), {{";", "\\x3B"}})), ",",
                      CsvCell(Label(alert.router_id)), ",", CsvCell(Label(alert.quota_id)), ",",
                      PeriodWord(alert.period), ",", CsvCell(Label(alert.period_start)), ",",
                      alert.threshold_percent, ",", BasisWord(alert.basis), ",", alert.limit_bytes,
                      ",", alert.used.download, ",", alert.used.upload, ",",
                      CsvCell(Label(alert.crossed_at_local)), "\r\n");
}

}  // namespace

AlertFile AlertCsv(absl::Span<const Alert> alerts, std::size_t max_bytes) {
  AlertFile file{.csv =
                     "site,subscriber,router,quota,period,period_start,threshold_percent,"
                     "quota_basis,quota_limit_bytes,download_bytes,upload_bytes,crossed_at\r\n"};
  for (const Alert& alert : alerts) {
    const std::string row = Row(alert);
    if (file.rows > 0 && file.csv.size() + row.size() > max_bytes) break;
    file.csv += row;
    ++file.rows;
  }
  return file;
}

std::string AlertFileName(absl::string_view site_id) {
  return absl::StrCat("netsentinel-", site_id, "-alerts.csv");
}

}  // namespace netsentinel::report
