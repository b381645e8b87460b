#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::report {

// A Mustache template whose fields are known. Mustache draws a missing field as nothing; here it
// is an error. Templates hold plain fields only (no sections or partials): {{name}} is escaped for
// HTML, and {{{name_html}}}, which is not, is allowed only for names that end in "_html". One
// thread.
class HtmlTemplate {
 public:
  using View = std::vector<std::pair<absl::string_view, std::string>>;

  // kInvalidArgument: malformed, a field that is used and not in `fields`, or the reverse.
  static absl::StatusOr<HtmlTemplate> Parse(absl::string_view text,
                                            const std::vector<absl::string_view>& fields);
  HtmlTemplate(HtmlTemplate&&) noexcept;
  HtmlTemplate& operator=(HtmlTemplate&&) noexcept;
  ~HtmlTemplate();

  // kInternal when `view` lacks a field, has one twice or has an unknown one.
  absl::StatusOr<std::string> Render(const View& view) const;

 private:
  struct Engine;
  HtmlTemplate(std::unique_ptr<Engine> engine, std::vector<std::string> fields);
  std::unique_ptr<Engine> engine_;
  // Sorted.
  std::vector<std::string> fields_;
};

}  // namespace netsentinel::report
