#include "collector/routeros/parsers.h"

#include <array>
#include <cstddef>
#include <limits>

namespace netsentinel::routeros {
namespace {

constexpr std::uint64_t kMaxUint64 = std::numeric_limits<std::uint64_t>::max();
constexpr std::uint64_t kMaxDurationPart = std::uint64_t{1} << 31;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Takes the digits at the front of `text`; nothing when there are none or they overflow.
std::optional<std::uint64_t> TakeNumber(absl::string_view& text) {
  std::size_t digits = 0;
  while (digits < text.size() && IsDigit(text[digits])) ++digits;
  const std::optional<std::uint64_t> number = ParseUint64(text.substr(0, digits));
  text.remove_prefix(digits);
  return number;
}

bool TakePrefix(absl::string_view& text, absl::string_view prefix) {
  if (text.substr(0, prefix.size()) != prefix) return false;
  text.remove_prefix(prefix.size());
  return true;
}

// "HH:MM:SS" or "HH:MM:SS.mmm", the whole of `text`, beginning after the hours.
std::optional<absl::Duration> ParseClockRest(std::uint64_t hours, absl::string_view text) {
  if (!TakePrefix(text, ":")) return std::nullopt;
  const std::optional<std::uint64_t> minutes = TakeNumber(text);
  if (!minutes.has_value() || *minutes > 59 || !TakePrefix(text, ":")) return std::nullopt;
  const std::optional<std::uint64_t> seconds = TakeNumber(text);
  if (!seconds.has_value() || *seconds > 59 || hours > kMaxDurationPart) return std::nullopt;
  absl::Duration total = absl::Hours(static_cast<std::int64_t>(hours)) +
                         absl::Minutes(static_cast<std::int64_t>(*minutes)) +
                         absl::Seconds(static_cast<std::int64_t>(*seconds));
  if (text.empty()) return total;
  if (!TakePrefix(text, ".") || text.size() != 3) return std::nullopt;
  const std::optional<std::uint64_t> milliseconds = ParseUint64(text);
  if (!milliseconds.has_value()) return std::nullopt;
  return total + absl::Milliseconds(static_cast<std::int64_t>(*milliseconds));
}

struct DurationUnit {
  absl::string_view suffix;
  absl::Duration length;
};

// In the order RouterOS writes them. "ms" stands before "m" where the text is compared, see
// TakeUnit.
const std::array<DurationUnit, 7>& Units() {
  static const std::array<DurationUnit, 7> units = {{{"w", absl::Hours(24 * 7)},
                                                     {"d", absl::Hours(24)},
                                                     {"h", absl::Hours(1)},
                                                     {"m", absl::Minutes(1)},
                                                     {"s", absl::Seconds(1)},
                                                     {"ms", absl::Milliseconds(1)},
                                                     {"us", absl::Microseconds(1)}}};
  return units;
}

// The index of the unit that `text` starts with: its letters up to the next digit.
std::optional<std::size_t> TakeUnit(absl::string_view& text) {
  std::size_t letters = 0;
  while (letters < text.size() && text[letters] >= 'a' && text[letters] <= 'z') ++letters;
  const absl::string_view suffix = text.substr(0, letters);
  for (std::size_t i = 0; i < Units().size(); ++i) {
    if (Units()[i].suffix == suffix) {
      text.remove_prefix(letters);
      return i;
    }
  }
  return std::nullopt;
}

template <typename ParseHalf>
std::optional<NumberPair> ParseHalves(absl::string_view text, ParseHalf parse) {
  const std::size_t slash = text.find('/');
  if (slash == absl::string_view::npos) return std::nullopt;
  const std::optional<std::uint64_t> upload = parse(text.substr(0, slash));
  const std::optional<std::uint64_t> download = parse(text.substr(slash + 1));
  if (!upload.has_value() || !download.has_value()) return std::nullopt;
  return NumberPair{*upload, *download};
}

}  // namespace

std::optional<Attribute> ParseAttribute(absl::string_view word) {
  if (word.size() < 2 || word.front() != '=') return std::nullopt;
  const std::size_t split = word.find('=', 1);
  if (split == absl::string_view::npos) return Attribute{word.substr(1), {}};
  if (split == 1) return std::nullopt;
  return Attribute{word.substr(1, split - 1), word.substr(split + 1)};
}

std::optional<absl::string_view> FindAttribute(Sentence sentence, absl::string_view key) {
  for (const absl::string_view word : sentence) {
    const std::optional<Attribute> attribute = ParseAttribute(word);
    if (attribute.has_value() && attribute->key == key) return attribute->value;
  }
  return std::nullopt;
}

std::optional<std::uint64_t> ParseUint64(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    const auto digit = static_cast<std::uint64_t>(c - '0');
    if (value > kMaxUint64 / 10 || (value == kMaxUint64 / 10 && digit > kMaxUint64 % 10))
      return std::nullopt;
    value = value * 10 + digit;
  }
  return value;
}

std::optional<NumberPair> ParsePair(absl::string_view text) {
  return ParseHalves(text, ParseUint64);
}

std::optional<std::uint64_t> ParseRate(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  std::uint64_t factor = 1;
  switch (text.back()) {
    case 'k':
      factor = 1000;
      break;
    case 'M':
      factor = 1000 * 1000;
      break;
    case 'G':
      factor = 1000 * 1000 * 1000;
      break;
    default:
      return ParseUint64(text);
  }
  const std::optional<std::uint64_t> value = ParseUint64(text.substr(0, text.size() - 1));
  if (!value.has_value() || *value > kMaxUint64 / factor) return std::nullopt;
  return *value * factor;
}

std::optional<NumberPair> ParseRatePair(absl::string_view text) {
  return ParseHalves(text, ParseRate);
}

std::optional<absl::Duration> ParseDuration(absl::string_view text) {
  if (text.empty()) return std::nullopt;
  absl::Duration total = absl::ZeroDuration();
  std::size_t next_unit = 0;
  while (!text.empty()) {
    const std::optional<std::uint64_t> number = TakeNumber(text);
    if (!number.has_value() || *number > kMaxDurationPart) return std::nullopt;
    if (!text.empty() && text.front() == ':') {
      // Weeks and days may stand before the clock form, nothing else.
      if (next_unit > 2) return std::nullopt;
      const std::optional<absl::Duration> clock = ParseClockRest(*number, text);
      if (!clock.has_value()) return std::nullopt;
      return total + *clock;
    }
    const std::optional<std::size_t> unit = TakeUnit(text);
    if (!unit.has_value() || *unit < next_unit) return std::nullopt;
    total += Units()[*unit].length * static_cast<std::int64_t>(*number);
    next_unit = *unit + 1;
  }
  return total;
}

std::optional<bool> ParseBool(absl::string_view text) {
  if (text == "true" || text == "yes") return true;
  if (text == "false" || text == "no") return false;
  return std::nullopt;
}

std::optional<std::uint64_t> ParseRowId(absl::string_view text) {
  if (text.size() < 2 || text.size() > 17 || text.front() != '*') return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text.substr(1)) {
    std::uint64_t digit = 0;
    if (IsDigit(c)) {
      digit = static_cast<std::uint64_t>(c - '0');
    } else if (c >= 'A' && c <= 'F') {
      digit = static_cast<std::uint64_t>(c - 'A') + 10;
    } else if (c >= 'a' && c <= 'f') {
      digit = static_cast<std::uint64_t>(c - 'a') + 10;
    } else {
      return std::nullopt;
    }
    value = (value << 4) | digit;
  }
  return value;
}

}  // namespace netsentinel::routeros
