#include "notifier/report/safe_text.h"

#include <algorithm>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

#include "common/base/check.h"
#include "common/base/display_name.h"

namespace netsentinel::report {
namespace {

constexpr absl::string_view kEllipsis = "…";

// Bytes of the character that `lead` begins; valid UTF-8 is assumed.
std::size_t CharacterBytes(char lead) {
  const auto byte = static_cast<std::uint8_t>(lead);
  if (byte < 0x80) return 1;
  if (byte < 0xE0) return 2;
  return byte < 0xF0 ? 3 : 4;
}

// The character at the front of `text`, which is not empty.
std::uint32_t CodePoint(absl::string_view character) {
  const auto byte = [&](std::size_t i) {
    return static_cast<std::uint32_t>(static_cast<std::uint8_t>(character[i]));
  };
  switch (character.size()) {
    case 1:
      return byte(0);
    case 2:
      return (byte(0) & 0x1F) << 6 | (byte(1) & 0x3F);
    case 3:
      return (byte(0) & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F);
    default:
      return (byte(0) & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 |
             (byte(3) & 0x3F);
  }
}

bool ChangesItsSurroundings(std::uint32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) ||
         (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF || (c >= 0xFFF9 && c <= 0xFFFB);
}

}  // namespace

std::string Label(absl::string_view raw) {
  const std::string display = base::DisplayName(raw);
  std::string out;
  out.reserve(display.size());
  for (absl::string_view rest = display; !rest.empty();) {
    const std::size_t size = std::min(CharacterBytes(rest.front()), rest.size());
    const absl::string_view character = rest.substr(0, size);
    rest.remove_prefix(size);
    if (size > 1 && ChangesItsSurroundings(CodePoint(character))) {
      for (const char c : character) {
        absl::StrAppendFormat(&out, "\\x%02X", static_cast<std::uint8_t>(c));
      }
    } else {
      out.append(character.data(), character.size());
    }
  }
  return out;
}

std::string Shorten(absl::string_view text, std::size_t max_bytes) {
  NS_CHECK(max_bytes >= 8, "no room for a character and the ellipsis");
  if (text.size() <= max_bytes) return std::string(text);
  const std::size_t room = max_bytes - kEllipsis.size();
  std::size_t kept = 0;
  while (kept < text.size()) {
    std::size_t size = CharacterBytes(text[kept]);
    if (text[kept] == '\\' && kept + 1 < text.size()) size = text[kept + 1] == 'x' ? 4 : 2;
    if (kept + size > room) break;
    kept += size;
  }
  return absl::StrCat(text.substr(0, kept), kEllipsis);
}

std::string Isolate(absl::string_view label) {
  for (const char c : label) {
    if (static_cast<std::uint8_t>(c) >= 0x80) return absl::StrCat("\u2068", label, "\u2069");
  }
  return std::string(label);
}

std::string CsvCell(absl::string_view text) {
  constexpr absl::string_view kGuarded = "=+-@\t\r'";
  const bool guard = !text.empty() && kGuarded.find(text.front()) != absl::string_view::npos;
  const bool quote = text.find_first_of(",\"\r\n") != absl::string_view::npos;
  if (!guard && !quote) return std::string(text);
  std::string out;
  out.reserve(text.size() + 4);
  if (quote) out += '"';
  if (guard) out += '\'';
  for (const char c : text) {
    if (c == '"') out += '"';
    out += c;
  }
  if (quote) out += '"';
  return out;
}

std::string GroupDigits(std::uint64_t value) {
  const std::string digits = absl::StrCat(value);
  std::string out;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i != 0 && (digits.size() - i) % 3 == 0) out += ',';
    out += digits[i];
  }
  return out;
}

}  // namespace netsentinel::report
