#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"

// Making hostile names harmless for each form they are shown in.
namespace netsentinel::report {

// A name for people from raw bytes: base::DisplayName, and beyond it the characters that change
// how their surroundings are drawn (bidirectional controls, line and paragraph separators, the
// byte order mark, interlinear annotations) as \xHH, so that base::RawName still gives the bytes.
std::string Label(absl::string_view raw);

// The longest prefix of valid UTF-8 `text` of at most `max_bytes` bytes, an ellipsis included when
// something was cut; never inside a character or a \xHH. `max_bytes` is at least 8.
std::string Shorten(absl::string_view text, std::size_t max_bytes);

// `label` for plain text: wrapped in isolates (U+2068 … U+2069) when it holds anything beyond
// ASCII, so that right-to-left names do not reorder the figures behind them.
std::string Isolate(absl::string_view label);

// One text cell of RFC 4180. A cell that a spreadsheet would take for a formula (first character
// = + - @ tab or CR) gets an apostrophe in front; so does one that begins with an apostrophe, so
// that removing one leading apostrophe always gives the text back.
std::string CsvCell(absl::string_view text);

// 1234567 → "1,234,567".
std::string GroupDigits(std::uint64_t value);

}  // namespace netsentinel::report
