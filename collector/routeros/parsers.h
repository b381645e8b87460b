#pragma once

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

#include "collector/routeros/word_codec.h"

// Values as the RouterOS API writes them. Every function returns nothing for text that is not
// entirely of its form.
namespace netsentinel::routeros {

struct Attribute {
  absl::string_view key;
  absl::string_view value;
};

// "=key=value" → key, value: split at the first '=' after the leading one, so a value may hold
// '='. "=key" has an empty value. Nothing for a word of another kind.
std::optional<Attribute> ParseAttribute(absl::string_view word);

// The value of the first "=key=…" in `sentence`. Absent and empty differ.
std::optional<absl::string_view> FindAttribute(Sentence sentence, absl::string_view key);

// Decimal digits only, up to 2⁶⁴ − 1: no sign, no space, no overflow.
std::optional<std::uint64_t> ParseUint64(absl::string_view text);

struct NumberPair {
  std::uint64_t upload = 0;
  std::uint64_t download = 0;

  bool operator==(const NumberPair&) const = default;
};

// "up/down", as the fields of a simple queue are.
std::optional<NumberPair> ParsePair(absl::string_view text);

// bit/s: plain decimal, or with the suffix k, M or G (powers of 1000) that RouterOS takes on input.
std::optional<std::uint64_t> ParseRate(absl::string_view text);
// ParseRate on both halves of "up/down".
std::optional<NumberPair> ParseRatePair(absl::string_view text);

// "1w2d3h4m5s", "14ms612us", "0s", and the older "3d10:11:12" and "01:22:53.250". Units come in
// this order, each at most once. At most 2³¹ weeks.
std::optional<absl::Duration> ParseDuration(absl::string_view text);

// true, yes, false, no.
std::optional<bool> ParseBool(absl::string_view text);

// "*1A" → 26. At most 16 digits.
std::optional<std::uint64_t> ParseRowId(absl::string_view text);

}  // namespace netsentinel::routeros
