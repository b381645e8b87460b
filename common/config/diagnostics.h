#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace netsentinel::config {

// A place in a configuration file, counted from 1; line 0 is the file as a whole.
struct Position {
  int line = 0;
  int column = 0;
  bool operator==(const Position&) const = default;
};

// One thing that is wrong. Read as: FILE:LINE:COLUMN: KEY: PROBLEM; expected EXPECTED; FIX.
struct Problem {
  Position position;
  std::string key;       // the path, such as routers[2].poll_interval
  std::string problem;   // "is missing", "\"30\" has no unit"
  std::string expected;  // "a duration such as 30s"; may be empty
  std::string fix;       // "add `poll_interval: 30s`"; may be empty
  bool operator==(const Problem&) const = default;
};

// The problems of one file; one mistake does not hide the next. One thread.
class Diagnostics {
 public:
  static constexpr std::size_t kMaxProblems = 50;

  explicit Diagnostics(std::string file) : file_(std::move(file)) {}
  // One that is there already is left out; beyond kMaxProblems they are only counted.
  void Add(Problem problem);
  bool empty() const { return problems_.empty(); }
  const std::string& file() const { return file_; }
  const std::vector<Problem>& problems() const { return problems_; }
  // OK, or kInvalidArgument with one line a problem in the order of the file.
  absl::Status ToStatus() const;

 private:
  std::string file_;
  std::vector<Problem> problems_;
  std::size_t more_ = 0;
};

// The candidate that `word` was probably meant to be (edit distance of at most 2, and less than
// half of the word), or empty.
std::string ClosestWord(absl::string_view word, const std::vector<std::string>& candidates);

}  // namespace netsentinel::config
