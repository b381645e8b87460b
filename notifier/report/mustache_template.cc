#include <algorithm>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include <kainjow/mustache.hpp>

#include "common/base/status_macros.h"
#include "notifier/report/html_template.h"

namespace netsentinel::report {
namespace {

bool IsFieldName(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; });
}

// The names of the fields in `text`.
absl::StatusOr<std::set<std::string>> FieldsOf(absl::string_view text) {
  std::set<std::string> fields;
  for (std::size_t at = text.find("{{"); at != absl::string_view::npos; at = text.find("{{", at)) {
    const bool raw = at + 2 < text.size() && text[at + 2] == '{';
    const std::size_t begin = at + (raw ? 3 : 2);
    const std::size_t end = text.find(raw ? "}}}" : "}}", begin);
    if (end == absl::string_view::npos) {
      return absl::InvalidArgumentError("template: a field is not closed");
    }
    const absl::string_view name = text.substr(begin, end - begin);
    if (!IsFieldName(name)) {
      return absl::InvalidArgumentError(
          absl::StrCat("template: \"", name, "\" is not a plain field; sections are not used"));
    }
    if (raw != absl::EndsWith(name, "_html")) {
      return absl::InvalidArgumentError(absl::StrCat(
          "template: \"", name, "\": three braces and a name ending in _html go together"));
    }
    fields.insert(std::string(name));
    at = end + (raw ? 3 : 2);
  }
  return fields;
}

}  // namespace

struct HtmlTemplate::Engine {
  explicit Engine(const std::string& text) : mustache(text) {}
  kainjow::mustache::mustache mustache;
};

HtmlTemplate::HtmlTemplate(std::unique_ptr<Engine> engine, std::vector<std::string> fields)
    : engine_(std::move(engine)), fields_(std::move(fields)) {}
HtmlTemplate::HtmlTemplate(HtmlTemplate&&) noexcept = default;
HtmlTemplate& HtmlTemplate::operator=(HtmlTemplate&&) noexcept = default;
HtmlTemplate::~HtmlTemplate() = default;

absl::StatusOr<HtmlTemplate> HtmlTemplate::Parse(absl::string_view text,
                                                 const std::vector<absl::string_view>& fields) {
  NS_ASSIGN_OR_RETURN(const std::set<std::string> used, FieldsOf(text));
  std::set<std::string> declared;
  for (const absl::string_view field : fields) declared.insert(std::string(field));
  for (const std::string& field : used) {
    if (!declared.contains(field)) {
      return absl::InvalidArgumentError(
          absl::StrCat("template: field \"", field, "\" is used and not declared"));
    }
  }
  for (const std::string& field : declared) {
    if (!used.contains(field)) {
      return absl::InvalidArgumentError(
          absl::StrCat("template: field \"", field, "\" is declared and not used"));
    }
  }
  auto engine = std::make_unique<Engine>(std::string(text));
  if (!engine->mustache.is_valid()) {
    return absl::InvalidArgumentError(absl::StrCat("template: ", engine->mustache.error_message()));
  }
  return HtmlTemplate(std::move(engine), {declared.begin(), declared.end()});
}

absl::StatusOr<std::string> HtmlTemplate::Render(const View& view) const {
  std::set<std::string> given;
  kainjow::mustache::data data;
  for (const auto& [name, value] : view) {
    const std::string key(name);
    if (!given.insert(key).second || !std::binary_search(fields_.begin(), fields_.end(), key)) {
      return absl::InternalError(absl::StrCat("view: unknown or repeated field \"", key, "\""));
    }
    data.set(key, value);
  }
  for (const std::string& field : fields_) {
    if (!given.contains(field)) {
      return absl::InternalError(absl::StrCat("view: field \"", field, "\" is missing"));
    }
  }
  return engine_->mustache.render(data);
}

}  // namespace netsentinel::report
