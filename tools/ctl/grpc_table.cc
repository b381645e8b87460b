#include "tools/ctl/grpc_table.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"

#include "common/base/display_name.h"
#include "common/base/quantity_text.h"

namespace netsentinel::ctl {
namespace {

constexpr std::size_t kGap = 2;
constexpr std::size_t kRoutersNamed = 10;
constexpr absl::string_view kIndent = "    ";

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

// `text` with at most `most` code points, the last of them an ellipsis where it was longer.
std::string CutTo(const std::string& text, std::size_t most) {
  if (CodePoints(text) <= most) return text;
  std::size_t at = 0;
  for (std::size_t points = 0; points + 1 < most && at < text.size(); ++points) {
    at += CharacterBytes(text[at]);
  }
  return text.substr(0, at) + "…";
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

Table::Layout Table::LayoutFor(std::size_t width) const {
  Layout layout{.widths = std::vector<std::size_t>(alignment_.size(), 0),
                .shown = std::vector<bool>(alignment_.size(), true)};
  std::vector<std::size_t>& widths = layout.widths;
  for (const auto& row : rows_) {
    for (std::size_t i = 0; i < row.size(); ++i)
      widths[i] = std::max(widths[i], CodePoints(row[i]));
  }
  const auto line_width = [&] {
    std::size_t sum = 0;
    for (std::size_t i = 0; i < widths.size(); ++i) {
      if (layout.shown[i]) sum += widths[i] + (sum == 0 ? 0 : kGap);
    }
    return sum;
  };
  if (width == 0 || line_width() <= width) return layout;
  layout.below = !narrowing_.below.empty();
  for (const std::size_t column : narrowing_.below) layout.shown[column] = false;
  for (const std::size_t column : narrowing_.left_out) {
    if (line_width() <= width) break;
    layout.shown[column] = false;
  }
  for (const std::size_t column : narrowing_.cut) {
    const std::size_t needed = line_width();
    if (needed <= width) break;
    std::size_t& cut = widths[column];
    const std::size_t too_much = needed - width;
    const std::size_t least = std::min(cut, kLeastCut);
    layout.cut = layout.cut || cut > least;
    cut = std::max(least, cut - std::min(cut, too_much));
  }
  return layout;
}

std::string Table::Text(std::size_t width) const {
  const Layout layout = LayoutFor(width);
  std::string out;
  for (std::size_t number = 0; number < rows_.size(); ++number) {
    const std::vector<std::string>& row = rows_[number];
    std::string line;
    bool first = true;
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (!layout.shown[i]) continue;
      const std::string cell = CutTo(row[i], layout.widths[i]);
      const std::string padding(layout.widths[i] - CodePoints(cell), ' ');
      if (!std::exchange(first, false)) line.append(kGap, ' ');
      line += alignment_[i] == 'r' ? padding + cell : cell + padding;
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out += line + "\n";
    if (layout.below && number > 0) AppendBelow(out, row, width);
  }
  return out;
}

void Table::AppendBelow(std::string& out, const std::vector<std::string>& row,
                        std::size_t width) const {
  for (const std::size_t column : narrowing_.below) {
    if (row[column].empty()) continue;
    std::string line = absl::StrCat(kIndent, absl::AsciiStrToLower(rows_.front()[column]), ":");
    for (const absl::string_view word : absl::StrSplit(row[column], ' ')) {
      if (CodePoints(line) + 1 + CodePoints(std::string(word)) > width &&
          CodePoints(line) > 2 * kIndent.size()) {
        out += line + "\n";
        line = absl::StrCat(kIndent, kIndent, word);
      } else {
        absl::StrAppend(&line, " ", word);
      }
    }
    out += line + "\n";
  }
}

std::string Table::NarrowedText(std::size_t width) const {
  const Layout layout = LayoutFor(width);
  std::vector<std::string> missing;
  for (std::size_t i = 0; i < alignment_.size(); ++i) {
    const bool below = layout.below && std::find(narrowing_.below.begin(), narrowing_.below.end(),
                                                 i) != narrowing_.below.end();
    if (!layout.shown[i] && !below) missing.push_back(rows_.front()[i]);
  }
  if (missing.empty()) return layout.cut ? "some cells are cut; --wide shows all of them" : "";
  return absl::StrCat("not shown here: ", absl::StrJoin(missing, ", "), "; --wide shows all");
}

std::string ShownText(std::uint64_t shown, std::uint64_t matching, std::uint32_t limit) {
  if (shown >= matching) return "";
  return absl::StrCat(shown, " of ", matching >= kMostCounted ? "at least " : "", matching,
                      " shown (--limit ", limit, ")");
}

std::string StandingText(const v1::RankingRow& row) {
  if (!row.has_standing()) return "-";
  const v1::Standing& standing = row.standing();
  const std::string word = EnumText(v1::StandingState_Name(standing.state()), "STANDING_STATE_");
  // What may be missed in a long table is loud.
  std::string text = absl::StrCat(standing.state() == v1::STANDING_STATE_OVER ? "OVER" : word, ", ",
                                  standing.percent(), " %");
  if (standing.counted_state() != standing.state()) {
    absl::StrAppend(&text, " (counted ", standing.counted_percent(), " %)");
  }
  return text;
}

std::string LimitText(const v1::RankingRow& row) {
  if (!row.has_standing()) return "";
  return absl::StrCat(base::FormatByteSize(row.standing().limit_bytes()), " ",
                      EnumText(v1::QuotaBasis_Name(row.standing().basis()), "QUOTA_BASIS_"), "/",
                      EnumText(v1::QuotaPeriod_Name(row.standing().period()), "QUOTA_PERIOD_"));
}

std::vector<std::string> ObservationTexts(const v1::Observation& observation) {
  const std::string site = absl::StrCat(TerminalText(observation.site_id()), ": ");
  const auto began = [&](std::int64_t at_us) {
    return InstantText(at_us, observation.time_zone());
  };
  const auto named = [](const std::vector<std::string>& routers) {
    const std::size_t shown = std::min(routers.size(), kRoutersNamed);
    std::string text =
        absl::StrJoin(routers.begin(), routers.begin() + static_cast<std::ptrdiff_t>(shown), ", ");
    if (shown < routers.size()) absl::StrAppend(&text, " and ", routers.size() - shown, " more");
    return text;
  };
  switch (observation.state()) {
    case v1::OBSERVATION_STATE_NOTHING: {
      const std::int64_t first_us = observation.reading_began_us();
      if (first_us == 0) return {site + "not observed, no router has been read yet"};
      if (first_us >= observation.end_us()) {
        return {absl::StrCat(site, "not observed, reading began on ", began(first_us))};
      }
      return {absl::StrCat(site, "not observed, no router was read in this time")};
    }
    case v1::OBSERVATION_STATE_PARTLY:
      break;
    case v1::OBSERVATION_STATE_WHOLE:
      return {};
    default:
      return {site + "whether its routers were read is not known, the store does not answer"};
  }
  std::vector<std::string> unread, late;
  for (const v1::ObservedRouter& router : observation.routers()) {
    const std::string id = TerminalText(router.router_id());
    if (router.read()) {
      late.push_back(absl::StrCat(id, " at ", began(router.reading_began_us())));
    } else {
      unread.push_back(router.reading_began_us() == 0 ? id + " (never read yet)" : id);
    }
  }
  std::vector<std::string> texts;
  if (!unread.empty())
    texts.push_back(absl::StrCat(site, "not read in this time: ", named(unread)));
  if (!late.empty())
    texts.push_back(absl::StrCat(site, "reading began in this time: ", named(late)));
  return texts;
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

std::string MinuteText(std::int64_t at_us, const std::string& zone) {
  absl::TimeZone time_zone = absl::UTCTimeZone();
  absl::LoadTimeZone(zone, &time_zone);
  return absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixMicros(at_us), time_zone);
}

std::string InstantText(std::int64_t at_us, const std::string& zone) {
  if (at_us == 0) return "-";
  absl::TimeZone time_zone = absl::UTCTimeZone();
  if (!zone.empty()) absl::LoadTimeZone(zone, &time_zone);
  return absl::FormatTime("%Y-%m-%d %H:%M:%S %z", absl::FromUnixMicros(at_us), time_zone);
}

}  // namespace netsentinel::ctl
