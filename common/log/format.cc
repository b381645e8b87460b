#include "common/log/format.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"

#include "common/base/display_name.h"

namespace netsentinel::log {
namespace {

constexpr absl::string_view LevelName(Level level) {
  switch (level) {
    case Level::kInfo:
      return "info";
    case Level::kWarn:
      return "warn";
    case Level::kError:
      return "error";
  }
  return "error";
}

std::string Cut(absl::string_view value) {
  if (value.size() <= kMaxValueBytes) return std::string(value);
  std::size_t end = kMaxValueBytes;
  while (end > 0 && (static_cast<unsigned char>(value[end]) & 0xC0U) == 0x80U) --end;
  return absl::StrCat(value.substr(0, end), "…");
}

bool NeedsQuotes(absl::string_view value) {
  if (value.empty()) return true;
  for (const char c : value) {
    if (c <= ' ' || c == '"' || c == '=' || c == '\\' || c == 0x7F || (c & 0x80) != 0) return true;
  }
  return false;
}

void AppendQuoted(std::string& line, absl::string_view value) {
  line += '"';
  // DisplayName doubles backslashes, so that only the quotes are left to escape.
  for (const char c : base::DisplayName(value)) {
    if (c == '"') line += '\\';
    line += c;
  }
  line += '"';
}

void AppendJson(std::string& line, absl::string_view value) {
  const std::string readable =
      base::IsValidUtf8(value) ? std::string(value) : base::DisplayName(value);
  line += '"';
  for (std::size_t i = 0; i < readable.size(); ++i) {
    const auto c = static_cast<unsigned char>(readable[i]);
    if (c == '"' || c == '\\') {
      line += '\\';
      line += readable[i];
    } else if (c < 0x20 || c == 0x7F) {
      absl::StrAppendFormat(&line, "\\u%04X", c);
    } else if (c == 0xC2 && i + 1 < readable.size() &&
               static_cast<unsigned char>(readable[i + 1]) < 0xA0) {
      absl::StrAppendFormat(&line, "\\u%04X", static_cast<unsigned char>(readable[++i]));
    } else {
      line += readable[i];
    }
  }
  line += '"';
}

void Append(Format format, std::string& line, absl::string_view key, absl::string_view value,
            bool bare) {
  const std::string cut = Cut(value);
  if (format == Format::kJson) {
    line += line.empty() ? '{' : ',';
    AppendJson(line, key);
    line += ':';
    if (bare) {
      line += cut;
    } else {
      AppendJson(line, cut);
    }
    return;
  }
  if (!line.empty()) line += ' ';
  absl::StrAppend(&line, key, "=");
  if (!bare && NeedsQuotes(cut)) {
    AppendQuoted(line, cut);
  } else {
    line += cut;
  }
}

}  // namespace

std::string FormatRecord(Format format, const Record& record, absl::Time time) {
  std::string line;
  Append(format, line, "time", absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone()),
         false);
  Append(format, line, "level", LevelName(record.level), false);
  Append(format, line, "event", record.event, false);
  Append(format, line, "msg", record.message, false);
  for (const Field& field : record.fields) {
    Append(format, line, field.key(), field.value(), field.bare());
  }
  if (format == Format::kJson) line += '}';
  return line;
}

}  // namespace netsentinel::log
