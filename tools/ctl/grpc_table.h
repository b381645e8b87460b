#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

#include "netsentinel/v1/common.pb.h"

namespace netsentinel::ctl {

// `text` for a terminal: control characters, characters that change how their surroundings are
// drawn (bidirectional controls, line separators) and bytes that are no UTF-8 become \xHH; a
// backslash stays, since names come with theirs doubled.
std::string TerminalText(absl::string_view text);

// Columns of text, padded by code points; the first row is the heading. Cells are as TerminalText.
class Table {
 public:
  // One letter a column: 'l' left, 'r' right.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
  void Add(std::vector<std::string> cells);
  // Every row on a line of its own, without trailing spaces.
  std::string Text() const;

 private:
  std::string alignment_;
  std::vector<std::vector<std::string>> rows_;
};

// "alice at site lahore on router hq-core", as TerminalText.
std::string SubscriberText(const v1::SubscriberRef& subscriber);
std::string GradeText(v1::Grade grade);
// "reset required" from ("STATE_RESET_REQUIRED", "STATE_"); "unknown" for a value that this program
// does not know, which has no name.
std::string EnumText(absl::string_view name, absl::string_view prefix);
// "2026-03-29 18:15:00 +0500" in the zone (UTC when it is not known); "-" for 0.
std::string InstantText(std::int64_t at_us, const std::string& zone = "");

}  // namespace netsentinel::ctl
