#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"

#include "netsentinel/v1/common.pb.h"
#include "netsentinel/v1/usage.pb.h"

namespace netsentinel::ctl {

// `text` for a terminal: control characters, characters that change how their surroundings are
// drawn (bidirectional controls, line separators) and bytes that are no UTF-8 become \xHH; a
// backslash stays, since names come with theirs doubled.
std::string TerminalText(absl::string_view text);

// Columns of text, padded by code points; the first row is the heading. Cells are as TerminalText.
class Table {
 public:
  // What gives way where a line would be too wide: first columns go below their row, each on lines
  // of its own, then columns are left out in this order, then cells are cut in this order.
  struct Narrowing {
    std::vector<std::size_t> left_out = {};
    std::vector<std::size_t> cut = {};
    std::vector<std::size_t> below = {};
  };

  // One letter a column: 'l' left, 'r' right.
  explicit Table(std::string alignment) : alignment_(std::move(alignment)) {}
  Table(std::string alignment, Narrowing narrowing)
      : alignment_(std::move(alignment)), narrowing_(std::move(narrowing)) {}
  void Add(std::vector<std::string> cells);
  // Every row on a line of its own, without trailing spaces. With a `width`, at most so many code
  // points a line where the narrowing allows it; 0 is any. A cut cell ends with an ellipsis and
  // keeps kLeastCut code points.
  std::string Text(std::size_t width = 0) const;
  // "not shown here: SHARE, LIMIT; --wide shows them" when Text(width) leaves out or cuts; else
  // empty.
  std::string NarrowedText(std::size_t width) const;
  static constexpr std::size_t kLeastCut = 8;

 private:
  struct Layout {
    std::vector<std::size_t> widths;
    std::vector<bool> shown;  // in the row's own line
    bool below = false;
    bool cut = false;
  };
  Layout LayoutFor(std::size_t width) const;
  void AppendBelow(std::string& out, const std::vector<std::string>& row, std::size_t width) const;

  std::string alignment_;
  Narrowing narrowing_;
  std::vector<std::vector<std::string>> rows_;
};

// "2 of 8 shown (--limit 2)"; empty when all are. `matching` of kMostCounted stands for that many
// or more.
inline constexpr std::uint64_t kMostCounted = 100'000;
std::string ShownText(std::uint64_t shown, std::uint64_t matching, std::uint32_t limit);

// "near, 83 %"; "-" without a standing.
std::string StandingText(const v1::RankingRow& row);
// "47.68 MiB download/day"; empty without a standing.
std::string LimitText(const v1::RankingRow& row);
// What the figures of a span lack, one sentence each: "lahore: not observed, reading began on
// 2026-11-30 13:48:00 +0500". Empty when every router was read.
std::vector<std::string> ObservationTexts(const v1::Observation& observation);

// "alice at site lahore on router hq-core", as TerminalText.
std::string SubscriberText(const v1::SubscriberRef& subscriber);
std::string GradeText(v1::Grade grade);
// "reset required" from ("STATE_RESET_REQUIRED", "STATE_"); "unknown" for a value that this program
// does not know, which has no name.
std::string EnumText(absl::string_view name, absl::string_view prefix);
// "2026-03-29 18:15" in the zone, for a column whose heading says whose time it is.
std::string MinuteText(std::int64_t at_us, const std::string& zone);
// "2026-03-29 18:15:00 +0500" in the zone (UTC when it is not known); "-" for 0.
std::string InstantText(std::int64_t at_us, const std::string& zone = "");

}  // namespace netsentinel::ctl
