#include "notifier/report/html_renderer.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

#include "common/base/quantity_text.h"
#include "common/base/status_macros.h"
#include "notifier/report/alert_text.h"
#include "notifier/report/html_template.h"
#include "notifier/report/ranking_text.h"
#include "notifier/report/words.h"

namespace netsentinel::report {
namespace {

// Mail clients drop scripts, outside style sheets and often position and grid; below 640 pixels
// each row of the table becomes a block of its own, with the labels that <i> hides above.
constexpr absl::string_view kPage = R"(<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light"><title>{{title}}</title>
<style>
body{margin:0;background:#fff;color:#1a1a1a;font:16px/1.45 "Segoe UI",Roboto,Helvetica,Arial,sans-serif}
div{max-width:1000px;margin:0 auto;padding:16px}
h1{font-size:22px;line-height:1.25;margin:0 0 4px}
h2{font-size:18px;line-height:1.3;margin:28px 0 4px}
p{margin:4px 0}
table{width:100%;border-collapse:collapse;margin:12px 0 8px}
th,td{padding:6px 8px;border-bottom:1px solid #d5dae1;text-align:right;vertical-align:top}
th{background:#eef1f5;font-size:14px;white-space:nowrap}
td{white-space:nowrap;font-variant-numeric:tabular-nums}
.n{text-align:left;white-space:normal;word-break:break-word;overflow-wrap:anywhere}
.q{text-align:left;white-space:normal;font-size:14px}
i{display:none;font-style:normal;font-weight:400;color:#56606e}
small{display:block;font-size:13px;font-weight:400;color:#56606e}
.t{font-weight:600}
.l{margin-top:24px;font-size:14px;color:#56606e}
.over{color:#a80019;font-weight:600}
.near{color:#7a4a00;font-weight:600}
@media (max-width:640px){
thead{display:none}
table,tbody,tr{display:block}
tr{padding:8px 0;border-bottom:1px solid #d5dae1}
td{display:inline-block;border:0;padding:0 14px 0 0;white-space:normal;text-align:left}
td.r{padding-right:8px;color:#56606e}
td.n{display:inline;font-weight:600;padding:0}
td.n:after{content:"";display:block}
td.q{display:block;padding:0}
i{display:inline}
small{display:inline}
}
</style></head><body><div>
<h1>{{heading}}</h1>
{{{body_html}}}
</div></body></html>
)";
constexpr absl::string_view kDay = R"(<h2>{{title}}</h2>
{{{notes_html}}}{{{table_html}}}{{{more_html}}}
)";
constexpr absl::string_view kTable =
    R"(<table><thead><tr><th>#</th><th class="n">Subscriber</th><th>Download</th><th>Upload</th><th>Total</th><th>Share</th><th class="q">Quota</th><th class="q">Grade</th></tr></thead><tbody>
{{{rows_html}}}</tbody></table>
)";
constexpr absl::string_view kRow =
    R"(<tr><td class="r">{{rank}}</td><td class="n"><bdi>{{name}}</bdi>{{{router_html}}}</td><td><i>Down </i>{{download}}</td><td><i>Up </i>{{upload}}</td><td class="t"><i>Total </i>{{total}}</td><td><i>Share </i>{{share}}</td><td class="q"><i>Quota </i><span class="{{quota_class}}">{{quota}}</span>{{{limit_html}}}</td><td class="q"><i>Grade </i>{{grade}}{{{doubt_html}}}</td></tr>
)";
constexpr absl::string_view kRouter = R"(<small> on <bdi>{{router}}</bdi></small>)";
constexpr absl::string_view kSmall = R"(<small> {{text}}</small>)";
constexpr absl::string_view kParagraph = "<p>{{text}}</p>\n";
constexpr absl::string_view kLegend = "<p class=\"l\">{{text}}</p>\n";
constexpr absl::string_view kAlert = "<h2>{{sentence}}</h2>\n<p>{{detail}}</p>\n";

// What the texts below the tables can grow by when rows are left out.
constexpr std::size_t kMoreReserve = 1'000;

absl::string_view QuotaClass(const std::optional<Standing>& standing) {
  if (!standing.has_value() || standing->state == StandingState::kWithin) return "ok";
  return StandingWord(standing->state);
}

}  // namespace

struct HtmlRenderer::Templates {
  HtmlTemplate page;
  HtmlTemplate day;
  HtmlTemplate table;
  HtmlTemplate row;
  HtmlTemplate router;
  HtmlTemplate small;
  HtmlTemplate paragraph;
  HtmlTemplate legend;
  HtmlTemplate alert;
};

HtmlRenderer::HtmlRenderer(std::unique_ptr<Templates> templates)
    : templates_(std::move(templates)) {}
HtmlRenderer::~HtmlRenderer() = default;

absl::StatusOr<std::unique_ptr<HtmlRenderer>> HtmlRenderer::Create() {
  NS_ASSIGN_OR_RETURN(HtmlTemplate page,
                      HtmlTemplate::Parse(kPage, {"title", "heading", "body_html"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate day, HtmlTemplate::Parse(kDay, {"title", "notes_html",
                                                                   "table_html", "more_html"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate table, HtmlTemplate::Parse(kTable, {"rows_html"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate row,
                      HtmlTemplate::Parse(kRow, {"rank", "name", "router_html", "download",
                                                 "upload", "total", "share", "quota_class", "quota",
                                                 "limit_html", "grade", "doubt_html"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate router, HtmlTemplate::Parse(kRouter, {"router"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate small, HtmlTemplate::Parse(kSmall, {"text"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate paragraph, HtmlTemplate::Parse(kParagraph, {"text"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate legend, HtmlTemplate::Parse(kLegend, {"text"}));
  NS_ASSIGN_OR_RETURN(HtmlTemplate alert, HtmlTemplate::Parse(kAlert, {"sentence", "detail"}));
  return std::unique_ptr<HtmlRenderer>(new HtmlRenderer(std::make_unique<Templates>(Templates{
      std::move(page), std::move(day), std::move(table), std::move(row), std::move(router),
      std::move(small), std::move(paragraph), std::move(legend), std::move(alert)})));
}

absl::StatusOr<std::string> HtmlRenderer::RowHtml(const RankedSubscriber& row) const {
  std::string router;
  if (!row.router_id.empty()) {
    NS_ASSIGN_OR_RETURN(router,
                        templates_->router.Render({{"router", InlineLabel(row.router_id)}}));
  }
  std::string limit;
  if (row.standing.has_value()) {
    NS_ASSIGN_OR_RETURN(limit, templates_->small.Render({{"text", LimitText(*row.standing)}}));
  }
  std::string doubt = DoubtText(row);
  if (!doubt.empty()) {
    NS_ASSIGN_OR_RETURN(doubt, templates_->small.Render({{"text", doubt}}));
  }
  return templates_->row.Render({{"rank", absl::StrCat(row.rank)},
                                 {"name", InlineLabel(row.name)},
                                 {"router_html", std::move(router)},
                                 {"download", base::FormatByteSize(row.counted.download)},
                                 {"upload", base::FormatByteSize(row.counted.upload)},
                                 {"total", base::FormatByteSize(row.counted.total())},
                                 {"share", PermilleText(row.share_permille)},
                                 {"quota_class", std::string(QuotaClass(row.standing))},
                                 {"quota", StandingText(row.standing)},
                                 {"limit_html", std::move(limit)},
                                 {"grade", std::string(GradeWord(row.grade))},
                                 {"doubt_html", std::move(doubt)}});
}

absl::StatusOr<std::string> HtmlRenderer::NotesHtml(const std::vector<std::string>& notes) const {
  std::string out;
  for (const std::string& note : notes) {
    NS_ASSIGN_OR_RETURN(const std::string paragraph,
                        templates_->paragraph.Render({{"text", note}}));
    out += paragraph;
  }
  return out;
}

absl::StatusOr<std::string> HtmlRenderer::DayHtml(const RankedReport& report, const DayRanking& day,
                                                  const std::string& rows_html,
                                                  const ShownRows& shown) const {
  NS_ASSIGN_OR_RETURN(std::string notes, NotesHtml(DayNotes(day, report.zone)));
  std::string table;
  if (!day.rows.empty()) {
    NS_ASSIGN_OR_RETURN(table, templates_->table.Render({{"rows_html", rows_html}}));
  }
  std::string more = MoreText(day, shown);
  if (!more.empty()) {
    NS_ASSIGN_OR_RETURN(more, NotesHtml({more}));
  }
  return templates_->day.Render({{"title", DayTitle(day)},
                                 {"notes_html", std::move(notes)},
                                 {"table_html", std::move(table)},
                                 {"more_html", std::move(more)}});
}

absl::StatusOr<std::string> HtmlRenderer::ReportHtml(const RankedReport& report,
                                                     RowShares in_file) const {
  const DayRanking none;
  const DayRanking& before = report.day_before.has_value() ? *report.day_before : none;
  const auto page = [&](const std::string& day_rows, std::size_t day_shown,
                        const std::string& before_rows,
                        std::size_t before_shown) -> absl::StatusOr<std::string> {
    NS_ASSIGN_OR_RETURN(std::string body,
                        DayHtml(report, report.day, day_rows,
                                {.inline_rows = day_shown, .file_rows = in_file.day}));
    if (report.day_before.has_value()) {
      NS_ASSIGN_OR_RETURN(const std::string below,
                          DayHtml(report, before, before_rows,
                                  {.inline_rows = before_shown, .file_rows = in_file.day_before}));
      body += below;
    }
    NS_ASSIGN_OR_RETURN(
        const std::string legend,
        templates_->legend.Render(
            {{"text",
              "1 KiB is 1024 bytes, 1 GiB is 1024 MiB. Grades: complete, every byte was read "
              "inside the day; estimated, some were divided by time at a day's edge; bounded, "
              "some may have passed unseen at a reconnect or reset; partial, more is missing. "
              "The exact figures are in the CSV file attached to the mail."}}));
    body += legend;
    return templates_->page.Render(
        {{"title", ReportSubject(report)},
         {"heading", absl::StrCat("Usage by subscriber, site ", report.site_id, " (",
                                  report.zone.name(), ")")},
         {"body_html", std::move(body)}});
  };
  NS_ASSIGN_OR_RETURN(const std::string empty, page("", 0, "", 0));
  std::size_t used = empty.size() + kMoreReserve;
  const RowShares shares = ShareRows(report.day.rows.size(), before.rows.size(), kMaxInlineRows);
  std::string day_rows;
  std::string before_rows;
  std::size_t day_shown = 0;
  std::size_t before_shown = 0;
  // Both days in turn, so that long names shorten both tables and not only the second.
  for (bool room = true; room && (day_shown < shares.day || before_shown < shares.day_before);) {
    const auto add = [&](const DayRanking& day, std::size_t most, std::string& rows,
                         std::size_t& shown) -> absl::Status {
      if (!room || shown >= most) return absl::OkStatus();
      NS_ASSIGN_OR_RETURN(const std::string row, RowHtml(day.rows[shown]));
      room = used + row.size() <= kMaxHtmlBytes;
      if (!room) return absl::OkStatus();
      used += row.size();
      rows += row;
      ++shown;
      return absl::OkStatus();
    };
    NS_RETURN_IF_ERROR(add(report.day, shares.day, day_rows, day_shown));
    NS_RETURN_IF_ERROR(add(before, shares.day_before, before_rows, before_shown));
  }
  return page(day_rows, day_shown, before_rows, before_shown);
}

absl::StatusOr<Rendering> HtmlRenderer::Render(const RankedReport& report) const {
  RankingFile file = RankingCsv(report);
  NS_ASSIGN_OR_RETURN(std::string html, ReportHtml(report, file.rows));
  return Rendering{.subject = ReportSubject(report),
                   .text = RankingText(report, file.rows),
                   .html = std::move(html),
                   .csv = std::move(file.csv)};
}

absl::StatusOr<Rendering> HtmlRenderer::RenderAlerts(absl::Span<const Alert> alerts) const {
  const std::string subject = AlertSubject(alerts);
  std::string body;
  std::size_t shown = 0;
  for (const Alert& alert : alerts.first(std::min(alerts.size(), kMaxInlineAlerts))) {
    NS_ASSIGN_OR_RETURN(const std::string one,
                        templates_->alert.Render(
                            {{"sentence", AlertSentence(alert)}, {"detail", AlertDetail(alert)}}));
    // The text form lists what does not fit here.
    if (body.size() + one.size() > kMaxHtmlBytes - 10'000) break;
    body += one;
    ++shown;
  }
  const std::size_t in_text = std::min(alerts.size(), kMaxInlineAlerts) - shown;
  std::vector<std::string> notes;
  if (in_text > 0) {
    notes.push_back(MoreAlertsText(in_text, "listed in the plain-text form of this mail"));
  }
  if (alerts.size() > kMaxInlineAlerts) {
    notes.push_back(MoreAlertsText(alerts.size() - kMaxInlineAlerts, "in the attached file"));
  }
  NS_ASSIGN_OR_RETURN(const std::string below, NotesHtml(notes));
  NS_ASSIGN_OR_RETURN(
      const std::string legend,
      templates_->legend.Render(
          {{"text", "The figures are what was provably used. Each threshold alerts once."}}));
  absl::StrAppend(&body, below, legend);
  NS_ASSIGN_OR_RETURN(std::string html,
                      templates_->page.Render(
                          {{"title", subject},
                           {"heading", absl::StrCat("Quota alert, site ", alerts.front().site_id)},
                           {"body_html", std::move(body)}}));
  return Rendering{
      .subject = subject, .text = AlertText(alerts), .html = std::move(html), .csv = ""};
}

}  // namespace netsentinel::report
