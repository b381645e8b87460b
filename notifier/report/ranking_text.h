#pragma once

#include <string>

#include "notifier/report/model.h"

namespace netsentinel::report {

// How many rows of each day are shown when at most `most` are: each day gets half, and what one
// does not need goes to the other.
struct RowShares {
  std::size_t day = 0;
  std::size_t day_before = 0;
};
RowShares ShareRows(std::size_t day, std::size_t day_before, std::size_t most);

// Most bytes of a mail's CSV file: many servers take mails of 10 MB, and base64 makes 9.5 of this.
inline constexpr std::size_t kMaxCsvBytes = 7'000'000;

struct RankingFile {
  std::string csv;
  // The rows of each day that are in it.
  RowShares rows = {};
};

// The ranking of both days as RFC 4180 (CRLF, a header line, UTF-8 without a byte order mark). One
// line a subscriber and day; bytes as integers; names whole, see CsvCell, a semicolon in them as
// \x3B. When not all fits in
// `max_bytes`, the heaviest rows of both days.
RankingFile RankingCsv(const RankedReport& report, std::size_t max_bytes = kMaxCsvBytes);

// The plain-text form: lines of at most about 600 bytes that end in LF, at most kMaxInlineRows
// rows for both days together, heaviest first. `in_file` is what the mail's CSV file has.
std::string RankingText(const RankedReport& report, RowShares in_file);

}  // namespace netsentinel::report
