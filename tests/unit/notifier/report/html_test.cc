#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

#include "notifier/report/alert_text.h"
#include "notifier/report/html_renderer.h"
#include "notifier/report/html_template.h"
#include "tests/support/golden.h"
#include "tests/support/sample_report.h"
#include "tests/support/status_matchers.h"

namespace netsentinel::report {
namespace {

using test::IsOk;
using test::StatusIs;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(HtmlTemplateTest, RefusesFieldsThatDoNotFitTheirList) {
  EXPECT_THAT(HtmlTemplate::Parse("{{a}} {{b}}", {"a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"b\" is used and not")));
  EXPECT_THAT(HtmlTemplate::Parse("{{a}}", {"a", "b"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("\"b\" is declared and not")));
  EXPECT_THAT(HtmlTemplate::Parse("{{{a}}}", {"a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("_html go together")));
  EXPECT_THAT(HtmlTemplate::Parse("{{#a}}x{{/a}}", {"a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("sections are not used")));
  EXPECT_THAT(HtmlTemplate::Parse("{{a", {"a"}),
              StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("not closed")));
}

TEST(HtmlTemplateTest, RefusesAViewThatLacksAFieldOrHasAStranger) {
  ASSERT_OK_AND_ASSIGN(const HtmlTemplate page, HtmlTemplate::Parse("{{a}}-{{b_x}}", {"a", "b_x"}));
  EXPECT_THAT(page.Render({{"a", "1"}}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("\"b_x\" is missing")));
  EXPECT_THAT(page.Render({{"a", "1"}, {"b_x", "2"}, {"c", "3"}}),
              StatusIs(absl::StatusCode::kInternal, HasSubstr("\"c\"")));
  ASSERT_OK_AND_ASSIGN(const std::string out, page.Render({{"a", "<"}, {"b_x", "{{a}}"}}));
  EXPECT_EQ(out, "&lt;-{{a}}");
}

class HtmlRendererTest : public ::testing::Test {
 protected:
  void SetUp() override {
    auto renderer = HtmlRenderer::Create();
    ASSERT_THAT(renderer, IsOk());
    renderer_ = *std::move(renderer);
  }
  std::string Html(const RankedReport& report) {
    auto rendering = renderer_->Render(report);
    EXPECT_THAT(rendering, IsOk());
    return rendering.ok() ? rendering->html : "";
  }
  static std::size_t Count(const std::string& text, const std::string& what) {
    std::size_t count = 0;
    for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) {
      ++count;
    }
    return count;
  }
  std::unique_ptr<HtmlRenderer> renderer_;
};

TEST_F(HtmlRendererTest, DrawsWhatTheGoldenFileSays) {
  test::ExpectGolden(Html(test::SampleReport(8)), "notifier/report.html");
}

TEST_F(HtmlRendererTest, EscapesMarkupAndIsolatesNames) {
  const std::string html = Html(test::SampleReport(6));
  EXPECT_THAT(html, Not(HasSubstr("<script>")));
  EXPECT_THAT(html, HasSubstr("<bdi>&lt;script&gt;alert(1)&lt;/script&gt;"));
  EXPECT_THAT(html, HasSubstr("<bdi>مشترك الطابق الثالث 42</bdi>"));
  EXPECT_THAT(html, Not(HasSubstr("\u202E")));
}

TEST_F(HtmlRendererTest, ShowsTwoHundredRowsAndCountsTheRest) {
  const std::string html = Html(test::SampleReport(5000));
  EXPECT_EQ(Count(html, "<td class=\"r\">"), 200U);
  EXPECT_EQ(Count(html, "4,900 more subscribers are in the CSV file attached to the mail."), 2U);
  EXPECT_LE(html.size(), kMaxHtmlBytes);
}

TEST_F(HtmlRendererTest, KeepsToTheSizeWhenEveryNameIsAsLongAsItGets) {
  RankedReport report = test::SampleReport(300);
  for (DayRanking* day : {&report.day, &*report.day_before}) {
    for (RankedSubscriber& row : day->rows) row.name = std::string(200, '"');
  }
  const std::string html = Html(report);
  EXPECT_LE(html.size(), kMaxHtmlBytes);
  EXPECT_GT(html.size(), kMaxHtmlBytes - 4'000);
  EXPECT_THAT(html, HasSubstr("more subscribers are in the CSV file attached to the mail."));
  EXPECT_THAT(html, HasSubstr("</div></body></html>"));
}

TEST_F(HtmlRendererTest, KeepsAFullDigestWithinTheSize) {
  Alert alert;
  alert.site_id = "lahore";
  alert.name = std::string(200, '<');
  ASSERT_OK_AND_ASSIGN(const Rendering mail,
                       renderer_->RenderAlerts(std::vector<Alert>(500, alert)));
  EXPECT_LE(mail.html.size(), kMaxHtmlBytes);
  EXPECT_THAT(mail.html, Not(HasSubstr("<<")));
  EXPECT_EQ(mail.csv, "");
  // Every alert of the digest is drawn, or counted as what the text form has.
  const std::size_t drawn = Count(mail.html, "<h2>");
  EXPECT_LT(drawn, kMaxInlineAlerts);
  EXPECT_THAT(mail.html, HasSubstr(absl::StrCat(kMaxInlineAlerts - drawn,
                                                " more alerts are listed in the plain-text form")));
  EXPECT_THAT(mail.html, HasSubstr("300 more alerts are in the attached file."));
}

}  // namespace
}  // namespace netsentinel::report
