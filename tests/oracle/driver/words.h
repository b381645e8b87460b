#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

#include "common/counters/snapshot.h"

// Words of the driver's commands.
namespace netsentinel::oracle {

// "-" stands for an empty word.
inline std::string Text(absl::string_view word) {
  return word == "-" ? std::string() : std::string(word);
}

template <typename T>
T Number(absl::string_view word) {
  T value = 0;
  // The other end is our own script: a word that is not a number is a mistake in it.
  if (!absl::SimpleAtoi(word, &value)) value = static_cast<T>(-1);
  return value;
}

inline counters::Menu MenuOf(absl::string_view word) {
  return word == "tree" ? counters::Menu::kTree : counters::Menu::kSimple;
}

// kInvalidArgument when the command has fewer words than `count`, itself among them.
inline absl::Status Need(absl::Span<const absl::string_view> words, std::size_t count) {
  if (words.size() >= count) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(words[0], " needs ", count - 1, " words and has ", words.size() - 1));
}

}  // namespace netsentinel::oracle
