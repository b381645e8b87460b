#include "tools/ctl/grpc_table.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

#include "common/base/display_name.h"

namespace netsentinel::ctl {
namespace {

std::size_t CodePoints(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// Bytes of the character that `lead` begins; 1 when it begins none.
std::size_t CharacterBytes(char lead) {
  const auto byte = static_cast<std::uint8_t>(lead);
  if (byte < 0xC0) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

bool ChangesTheTerminal(absl::string_view character) {
  if (character.size() == 1) {
    const auto byte = static_cast<std::uint8_t>(character[0]);
    return byte < 0x20 || byte >= 0x7F;
  }
  if (!base::IsValidUtf8(character)) return true;
  // U+0080…U+009F, U+061C, U+200E/F, U+2028…U+202E, U+2066…U+2069, U+FEFF, U+FFF9…U+FFFB.
  if (character.size() == 2) return character < "\xC2\xA0" || character == "\xD8\x9C";
  const auto between = [character](absl::string_view low, absl::string_view high) {
    return character >= low && character <= high;
  };
  return between("\u200E", "\u200F") || between("\u2028", "\u202E") ||
         between("\u2066", "\u2069") || character == "\uFEFF" || between("\uFFF9", "\uFFFB");
}

}  // namespace

std::string TerminalText(absl::string_view text) {
  std::string out;
  while (!text.empty()) {
    std::size_t size = std::min(CharacterBytes(text.front()), text.size());
    if (!base::IsValidUtf8(text.substr(0, size))) size = 1;
    const absl::string_view character = text.substr(0, size);
    text.remove_prefix(size);
    if (!ChangesTheTerminal(character)) {
      out.append(character.data(), character.size());
      continue;
    }
    for (const char c : character) {
      absl::StrAppendFormat(&out, "\\x%02X", static_cast<std::uint8_t>(c));
    }
  }
  return out;
}

std::string EnumText(absl::string_view name, absl::string_view prefix) {
  if (!absl::ConsumePrefix(&name, prefix)) return "unknown";
  return absl::AsciiStrToLower(absl::StrReplaceAll(name, {{"_", " "}}));
}

void Table::Add(std::vector<std::string> cells) {
  cells.resize(alignment_.size());
  for (std::string& cell : cells) cell = TerminalText(cell);
  rows_.push_back(std::move(cells));
}

std::string Table::Text() const {
  std::vector<std::size_t> widths(alignment_.size(), 0);
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], CodePoints(row[i]));
  }
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      const std::string padding(widths[i] - CodePoints(row[i]), ' ');
      if (i > 0) line += "  ";
      line += alignment_[i] == 'r' ? padding + row[i] : row[i] + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
  }
  return out;
}

std::string SubscriberText(const v1::SubscriberRef& subscriber) {
  const v1::Name& name = subscriber.name();
  std::string text =
      TerminalText(name.name().empty() ? name.display_name() : base::DisplayName(name.name()));
  const auto add = [&text](const char* words, const std::string& id) {
    if (!id.empty()) absl::StrAppend(&text, words, TerminalText(id));
  };
  add(" at site ", subscriber.site_id());
  add(" on router ", subscriber.router_id());
  return text;
}

std::string GradeText(v1::Grade grade) {
  switch (grade) {
    case v1::GRADE_COMPLETE:
      return "complete";
    case v1::GRADE_ESTIMATED:
      return "estimated";
    case v1::GRADE_BOUNDED:
      return "bounded";
    case v1::GRADE_PARTIAL:
      return "partial";
    default:
      return "-";
  }
}

std::string InstantText(std::int64_t at_us, const std::string& zone) {
  if (at_us == 0) return "-";
  absl::TimeZone time_zone = absl::UTCTimeZone();
  if (!zone.empty()) absl::LoadTimeZone(zone, &time_zone);
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %z", absl::FromUnixMicros(at_us), time_zone);
}

}  // namespace netsentinel::ctl
