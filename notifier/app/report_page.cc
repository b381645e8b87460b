#include "notifier/app/report_page.h"

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"

namespace netsentinel::app {
namespace {

constexpr absl::string_view kSites = "/sites/";

http::Response Show(delivery::ReportDesk& desk, const http::Request& request) {
  absl::string_view site = request.path;
  if (!absl::ConsumePrefix(&site, kSites)) site = "";
  absl::string_view day = request.query;
  if (!absl::ConsumePrefix(&day, "day=")) day = "";
  absl::StatusOr<report::Rendering> rendering =
      desk.Render("", std::string(site), std::string(day));
  if (!rendering.ok()) {
    const bool missing = absl::IsNotFound(rendering.status());
    const bool wrong = absl::IsInvalidArgument(rendering.status());
    return {.status = missing ? 404
                      : wrong ? 400
                              : 503,
            .body = std::string(rendering.status().message()) + "\n",
            .headers = {}};
  }
  // The report brings its style along and nothing else.
  return {.content_type = "text/html; charset=utf-8",
          .body = std::move(rendering->html),
          .headers = {{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'"},
                      {"Cache-Control", "no-store"}}};
}

}  // namespace

std::vector<std::pair<std::string, http::Handler>> ReportPages(delivery::ReportDesk& desk) {
  const auto show = [&desk](const http::Request& request) { return Show(desk, request); };
  return {{"/",
           [show](const http::Request& request) -> http::Response {
             if (request.path == "/") return show(request);
             return {.status = 404, .body = "no such page\n", .headers = {}};
           }},
          {std::string(kSites), show}};
}

}  // namespace netsentinel::app
