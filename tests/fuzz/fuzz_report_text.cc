// A subscriber's name, any bytes, through everything that shows it in a report, an alert and a
// spreadsheet.
#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

#include "common/base/check.h"
#include "common/base/display_name.h"
#include "notifier/report/alert_text.h"
#include "notifier/report/ranking_text.h"
#include "notifier/report/safe_text.h"
#include "notifier/report/words.h"
#include "tests/fuzz/planted_bug.h"

namespace netsentinel::report {
namespace {

// What a reader of RFC 4180 sees in a cell.
std::string ReadCell(const std::string& cell) {
  if (cell.empty() || cell.front() != '"') {
    NS_CHECK(cell.find_first_of(",\"\r\n") == std::string::npos, cell);
    return cell;
  }
  NS_CHECK(cell.size() >= 2 && cell.back() == '"', cell);
  std::string out;
  for (std::size_t i = 1; i + 1 < cell.size(); ++i) {
    if (cell[i] == '"') NS_CHECK(cell[++i] == '"' && i + 1 < cell.size(), cell);
    out += cell[i];
  }
  return out;
}

void CheckCell(absl::string_view text) {
  std::string read = ReadCell(CsvCell(text));
  NS_CHECK(read.empty() || absl::string_view("=+-@\t\r").find(read.front()) == std::string::npos,
           "a spreadsheet would calculate");
  if (!read.empty() && read.front() == '\'') read.erase(0, 1);
  NS_CHECK(read == text, "a cell must give its text back");
}

void Check(absl::string_view raw) {
  const std::string label = Label(raw);
  NS_CHECK(base::IsValidUtf8(label), label);
  const absl::StatusOr<std::string> back = base::RawName(label);
  NS_CHECK(back.ok() && *back == raw, label);
  CheckCell(raw);
  CheckCell(label);

  RankedSubscriber row;
  row.name = std::string(raw);
  row.router_id = std::string(raw.substr(0, 64));
  RankedReport report;
  report.site_id = "site";
  report.day.day = "2026-03-26";
  report.day.subscriber_count = 1;
  report.day.rows = {row};
  NS_CHECK(base::IsValidUtf8(RankingCsv(report).csv), label);
  const std::string shown = InlineLabel(raw);
  NS_CHECK(base::IsValidUtf8(shown) && shown.size() <= kMaxLabelBytes, shown);

  Alert alert;
  alert.site_id = "site";
  alert.name = std::string(raw);
  const std::string subject = AlertSubject({&alert, 1});
  NS_CHECK(base::IsValidUtf8(subject), subject);
  for (const char c : subject) NS_CHECK(static_cast<std::uint8_t>(c) >= 0x20, subject);
  NS_PLANT_BUG_IF(label != raw && !raw.empty() && raw.front() == '=' &&
                  raw.find(',') != absl::string_view::npos);
}

}  // namespace
}  // namespace netsentinel::report

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  netsentinel::report::Check(absl::string_view(reinterpret_cast<const char*>(data), size));
  return 0;
}
