#pragma once

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

// How a regular expression can be matched so that no text makes it run away. Pure.
namespace netsentinel::accounting {

enum class Matching {
  kBacktracking,  // faster; at most one choice, so time grows with the text times the pattern
  kInStep,        // all choices at once with each character of the text; no back references
};

// Of an ECMAScript pattern; anything for one that is malformed. kInvalidArgument says what to write
// otherwise: counts that make it longer than 512 pieces, or a look-ahead that would be tried at
// more than one place of the text.
absl::StatusOr<Matching> MatchingOf(absl::string_view pattern);

}  // namespace netsentinel::accounting
