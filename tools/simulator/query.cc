#include "tools/simulator/query.h"

#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::simulator {
namespace {

// Runs stack operations; false when the stack is too small or a character has no meaning.
bool RunOperations(absl::string_view operations, std::vector<bool>& stack) {
  for (std::size_t i = 0; i < operations.size();) {
    const char c = operations[i];
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      std::size_t end = i;
      std::uint32_t index = 0;
      while (end < operations.size() &&
             absl::ascii_isdigit(static_cast<unsigned char>(operations[end]))) {
        ++end;
      }
      if (!absl::SimpleAtoi(operations.substr(i, end - i), &index) || index >= stack.size()) {
        return false;
      }
      const bool value = stack[stack.size() - 1 - index];
      // An index at the end of the word replaces the whole stack, else it pushes a copy.
      if (end == operations.size()) stack.clear();
      stack.push_back(value);
      i = end;
      if (i < operations.size() && operations[i] == '.') ++i;
      continue;
    }
    ++i;
    if (stack.empty()) return false;
    if (c == '!') {
      stack.back() = !stack.back();
    } else if (c == '.') {
      stack.push_back(stack.back());
    } else if (c == '&' || c == '|') {
      if (stack.size() < 2) return false;
      const bool top = stack.back();
      stack.pop_back();
      stack.back() = c == '&' ? (stack.back() && top) : (stack.back() || top);
    } else {
      return false;
    }
  }
  return true;
}

// Numbers compare as numbers, all else byte by byte.
bool Less(const std::string& a, const std::string& b) {
  std::uint64_t a_number = 0;
  std::uint64_t b_number = 0;
  if (absl::SimpleAtoi(a, &a_number) && absl::SimpleAtoi(b, &b_number)) return a_number < b_number;
  return a < b;
}

}  // namespace

absl::StatusOr<Query> Query::Parse(const std::vector<std::string>& words) {
  Query query;
  std::vector<bool> rehearsal;
  for (const std::string& word : words) {
    absl::string_view text = absl::string_view(word).substr(1);
    Step step{.kind = Kind::kPresent, .key = "", .value = ""};
    if (!text.empty() && text[0] == '#') {
      step.kind = Kind::kOperations;
      step.key = std::string(text.substr(1));
      if (!RunOperations(step.key, rehearsal)) {
        return absl::InvalidArgumentError(absl::StrCat("bad query operations ", word));
      }
      query.steps_.push_back(std::move(step));
      continue;
    }
    if (!text.empty() && text[0] == '-') {
      step.kind = Kind::kAbsent;
      text.remove_prefix(1);
    } else if (!text.empty() && (text[0] == '<' || text[0] == '>')) {
      step.kind = text[0] == '<' ? Kind::kLess : Kind::kGreater;
      text.remove_prefix(1);
    } else if (!text.empty() && text[0] == '=') {
      text.remove_prefix(1);
    }
    const std::size_t equal = text.find('=');
    if (equal != absl::string_view::npos && step.kind != Kind::kAbsent) {
      if (step.kind == Kind::kPresent) step.kind = Kind::kEqual;
      step.value = std::string(text.substr(equal + 1));
      text = text.substr(0, equal);
    } else if (step.kind == Kind::kLess || step.kind == Kind::kGreater) {
      return absl::InvalidArgumentError(absl::StrCat("query without a value: ", word));
    }
    step.key = std::string(text);
    query.steps_.push_back(std::move(step));
    rehearsal.push_back(true);
  }
  return query;
}

bool Query::Matches(const PropertyLookup& row) const {
  std::vector<bool> stack;
  for (const Step& step : steps_) {
    if (step.kind == Kind::kOperations) {
      RunOperations(step.key, stack);
      continue;
    }
    const std::optional<std::string> value = row(step.key);
    switch (step.kind) {
      case Kind::kPresent:
        stack.push_back(value.has_value());
        break;
      case Kind::kAbsent:
        stack.push_back(!value.has_value());
        break;
      case Kind::kEqual:
        stack.push_back(value == step.value);
        break;
      case Kind::kLess:
        stack.push_back(value.has_value() && Less(*value, step.value));
        break;
      case Kind::kGreater:
        stack.push_back(value.has_value() && Less(step.value, *value));
        break;
      case Kind::kOperations:
        break;
    }
  }
  for (const bool value : stack) {
    if (!value) return false;
  }
  return true;
}

}  // namespace netsentinel::simulator
