#include "tools/ctl/grpc_table.h"

#include <algorithm>
#include <utility>

#include "absl/time/time.h"

namespace netsentinel::ctl {
namespace {

std::size_t CodePoints(const std::string& text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

void Table::Add(std::vector<std::string> cells) {
  cells.resize(alignment_.size());
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
