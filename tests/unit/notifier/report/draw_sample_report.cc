// draw_sample_report ROWS: prints the HTML of the sample report with that many subscribers.
#include <cstdint>
#include <iostream>

#include "absl/strings/numbers.h"

#include "notifier/report/html_renderer.h"
#include "tests/support/sample_report.h"

int main(int argc, char** argv) {
  std::uint32_t rows = 0;
  if (argc != 2 || !absl::SimpleAtoi(argv[1], &rows) || rows > 100'000) {
    std::cerr << "usage: draw_sample_report ROWS (at most 100000)\n";
    return 2;
  }
  const auto renderer = netsentinel::report::HtmlRenderer::Create();
  if (!renderer.ok()) {
    std::cerr << renderer.status() << "\n";
    return 1;
  }
  const auto rendering = (*renderer)->Render(netsentinel::test::SampleReport(rows));
  if (!rendering.ok()) {
    std::cerr << rendering.status() << "\n";
    return 1;
  }
  std::cout << rendering->html;
  return 0;
}
