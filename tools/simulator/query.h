#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace netsentinel::simulator {

// The value of a property of one row, or nothing when the row lacks it.
using PropertyLookup = std::function<std::optional<std::string>(absl::string_view key)>;

// The query words of one print, in their order: ?key, ?-key, ?key=value, ?=key=value, ?<key=value,
// ?>key=value and ?#operations on the stack of results (!, &, |, ., and indices). Immutable.
class Query {
 public:
  // `words` begin with '?'. Fails on an operation it does not know or a stack that runs empty.
  static absl::StatusOr<Query> Parse(const std::vector<std::string>& words);

  // A row is printed when every value left on the stack is true.
  bool Matches(const PropertyLookup& row) const;
  bool empty() const { return steps_.empty(); }

 private:
  enum class Kind { kPresent, kAbsent, kEqual, kLess, kGreater, kOperations };
  struct Step {
    Kind kind;
    std::string key;  // the operations for kOperations
    std::string value;
  };

  std::vector<Step> steps_;
};

}  // namespace netsentinel::simulator
