#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"

#include "notifier/report/model.h"
#include "notifier/report/ranking_text.h"
#include "notifier/report/words.h"

namespace netsentinel::report {

// Most bytes of HTML in one mail: Gmail cuts what is longer than 102 kB.
inline constexpr std::size_t kMaxHtmlBytes = 100'000;

// Draws reports and alerts as mails: dark text on white, no outside resources, readable from 360
// pixels up. One thread.
class HtmlRenderer {
 public:
  // kInvalidArgument when a built-in template does not fit its fields.
  static absl::StatusOr<std::unique_ptr<HtmlRenderer>> Create();
  HtmlRenderer(const HtmlRenderer&) = delete;
  HtmlRenderer& operator=(const HtmlRenderer&) = delete;
  ~HtmlRenderer();

  // All forms of the report. At most kMaxInlineRows rows and kMaxHtmlBytes of HTML; the CSV has
  // every row that fits in kMaxCsvBytes.
  absl::StatusOr<Rendering> Render(const RankedReport& report) const;
  // All forms of a mail about `alerts`, which are of one site and not empty.
  absl::StatusOr<Rendering> RenderAlerts(absl::Span<const Alert> alerts) const;

 private:
  struct Templates;
  explicit HtmlRenderer(std::unique_ptr<Templates> templates);
  absl::StatusOr<std::string> ReportHtml(const RankedReport& report, RowShares in_file) const;
  absl::StatusOr<std::string> RowHtml(const RankedSubscriber& row) const;
  absl::StatusOr<std::string> DayHtml(const RankedReport& report, const DayRanking& day,
                                      const std::string& rows_html, const ShownRows& shown) const;
  absl::StatusOr<std::string> NotesHtml(const std::vector<std::string>& notes) const;
  std::unique_ptr<Templates> templates_;
};

}  // namespace netsentinel::report
