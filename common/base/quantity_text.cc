#include "common/base/quantity_text.h"

#include <array>
#include <utility>

#include "absl/numeric/int128.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"

#include "common/base/bytes.h"

namespace netsentinel::base {
namespace {

using Unit = std::pair<absl::string_view, std::uint64_t>;

// number[.fraction] unit, in exact integers.
template <std::size_t N>
absl::StatusOr<std::uint64_t> ParseScaled(absl::string_view text, const std::array<Unit, N>& units,
                                          absl::string_view expected) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" ", why, "; expected ", expected));
  };
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  absl::uint128 digits = 0;
  std::uint64_t denominator = 1;
  std::size_t count = 0;
  bool fraction = false;
  while (!rest.empty() && (absl::ascii_isdigit(static_cast<unsigned char>(rest.front())) ||
                           (rest.front() == '.' && !fraction))) {
    if (rest.front() == '.') {
      fraction = true;
    } else {
      if (++count > 19) return bad("has too many digits");
      digits = digits * 10 + static_cast<std::uint64_t>(rest.front() - 48);
      if (fraction) denominator *= 10;
    }
    rest.remove_prefix(1);
  }
  if (count == 0) return bad("does not start with a number");
  rest = absl::StripLeadingAsciiWhitespace(rest);
  for (const auto& [name, factor] : units) {
    if (rest != name) continue;
    const absl::uint128 scaled = digits * factor;
    if (scaled % denominator != 0) return bad("is not a whole number of the smallest unit");
    const absl::uint128 value = scaled / denominator;
    if (value > kMaxStoredBytes) return bad("is larger than 2^63-1");
    return static_cast<std::uint64_t>(value);
  }
  return bad(rest.empty() ? "has no unit" : "has an unknown unit");
}

constexpr std::array<Unit, 9> kSizeUnits = {{{"B", 1},
                                             {"kB", 1000ULL},
                                             {"MB", 1000000ULL},
                                             {"GB", 1000000000ULL},
                                             {"TB", 1000000000000ULL},
                                             {"KiB", 1ULL << 10},
                                             {"MiB", 1ULL << 20},
                                             {"GiB", 1ULL << 30},
                                             {"TiB", 1ULL << 40}}};

constexpr std::array<Unit, 5> kRateUnits = {{{"bps", 1},
                                             {"kbps", 1000ULL},
                                             {"Mbps", 1000000ULL},
                                             {"Gbps", 1000000000ULL},
                                             {"Tbps", 1000000000000ULL}}};

}  // namespace

absl::StatusOr<std::uint64_t> ParseByteSize(absl::string_view text) {
  return ParseScaled(text, kSizeUnits, "a size such as 10GiB or 500MB");
}

absl::StatusOr<std::uint64_t> ParseBitRate(absl::string_view text) {
  return ParseScaled(text, kRateUnits, "a rate such as 10Gbps or 100Mbps");
}

std::string FormatByteSize(std::uint64_t bytes) {
  if (bytes < 1024) return absl::StrCat(bytes, " B");
  constexpr std::array<absl::string_view, 6> kNames = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  int power = 1;
  while (power < 6 && (bytes >> (10 * (power + 1))) != 0) ++power;
  const std::uint64_t unit = 1ULL << (10 * power);
  const auto hundredths = static_cast<unsigned>(absl::uint128(bytes % unit) * 100 / unit);
  return absl::StrFormat("%d.%02d %s", bytes / unit, hundredths,
                         kNames[static_cast<std::size_t>(power - 1)]);
}

absl::StatusOr<absl::Duration> ParseDuration(absl::string_view text) {
  const auto bad = [&](absl::string_view why) {
    return absl::InvalidArgumentError(
        absl::StrCat("\"", text, "\" ", why, "; expected a duration such as 30s, 5m, 24h or 14d"));
  };
  constexpr std::array<std::pair<absl::string_view, std::int64_t>, 5> kUnits = {
      {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}}};
  absl::string_view rest = absl::StripAsciiWhitespace(text);
  if (rest.empty()) return bad("is empty");
  absl::Duration sum;
  while (!rest.empty()) {
    std::int64_t number = 0;
    std::size_t count = 0;
    while (!rest.empty() && absl::ascii_isdigit(static_cast<unsigned char>(rest.front()))) {
      if (++count > 12) return bad("has too many digits");
      number = number * 10 + (rest.front() - '0');
      rest.remove_prefix(1);
    }
    if (count == 0) return bad("needs a whole number before each unit");
    std::size_t letters = 0;
    while (letters < rest.size() && absl::ascii_isalpha(static_cast<unsigned char>(rest[letters])))
      ++letters;
    const absl::string_view unit = rest.substr(0, letters);
    rest.remove_prefix(letters);
    bool known = false;
    for (const auto& [name, milliseconds] : kUnits) {
      if (unit != name) continue;
      sum += absl::Milliseconds(milliseconds) * number;
      known = true;
    }
    if (!known) return bad(unit.empty() ? "has no unit" : "has an unknown unit");
  }
  return sum;
}

}  // namespace netsentinel::base
