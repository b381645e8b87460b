#pragma once

#include <string>

#include "notifier/report/model.h"

namespace netsentinel::report {

// The plain-text form: lines of at most about 600 bytes that end in LF, at most kMaxInlineRows
// rows for both days together, heaviest first.
std::string RankingText(const RankedReport& report);

// The whole ranking of both days as RFC 4180 (CRLF, a header line, UTF-8 without a byte order
// mark). One line a subscriber and day; bytes as integers; names whole, see CsvCell.
std::string RankingCsv(const RankedReport& report);

// How many rows of each day are shown when at most `most` are: each day gets half, and what one
// does not need goes to the other.
struct RowShares {
  std::size_t day = 0;
  std::size_t day_before = 0;
};
RowShares ShareRows(std::size_t day, std::size_t day_before, std::size_t most);

}  // namespace netsentinel::report
