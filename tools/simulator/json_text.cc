#include "tools/simulator/json_text.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/display_name.h"

namespace netsentinel::simulator {

std::string JsonString(absl::string_view text) {
  const std::string shown = base::IsValidUtf8(text) ? std::string(text) : base::DisplayName(text);
  std::string json = "\"";
  for (const char c : shown) {
    if (c == '"' || c == '\\') {
      json.push_back('\\');
      json.push_back(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(&json, "\\u%04x", static_cast<unsigned>(c));
    } else {
      json.push_back(c);
    }
  }
  json.push_back('"');
  return json;
}

}  // namespace netsentinel::simulator
