#include "common/config/diagnostics.h"

#include <algorithm>
#include <numeric>
#include <tuple>

#include "absl/strings/str_cat.h"

#include "common/base/display_name.h"

namespace netsentinel::config {
namespace {

std::string Line(const std::string& file, const Problem& problem) {
  std::string line = file;
  if (problem.position.line > 0) {
    absl::StrAppend(&line, ":", problem.position.line, ":", problem.position.column);
  }
  absl::StrAppend(&line, ": ");
  if (!problem.key.empty()) absl::StrAppend(&line, problem.key, ": ");
  absl::StrAppend(&line, problem.problem);
  if (!problem.expected.empty()) absl::StrAppend(&line, "; expected ", problem.expected);
  if (!problem.fix.empty()) absl::StrAppend(&line, "; ", problem.fix);
  return line;
}

std::size_t EditDistance(absl::string_view a, absl::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0U : 1U)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

}  // namespace

void Diagnostics::Add(Problem problem) {
  // Several readers of one file miss the same thing.
  if (std::find(problems_.begin(), problems_.end(), problem) != problems_.end()) return;
  if (problems_.size() == kMaxProblems) {
    ++more_;
    return;
  }
  problems_.push_back(std::move(problem));
}

absl::Status Diagnostics::ToStatus() const {
  if (problems_.empty()) return absl::OkStatus();
  std::vector<const Problem*> sorted;
  sorted.reserve(problems_.size());
  for (const Problem& problem : problems_) sorted.push_back(&problem);
  std::stable_sort(sorted.begin(), sorted.end(), [](const Problem* a, const Problem* b) {
    return std::tie(a->position.line, a->position.column) <
           std::tie(b->position.line, b->position.column);
  });
  std::string text;
  for (const Problem* problem : sorted) {
    if (!text.empty()) text += '\n';
    text += Line(file_, *problem);
  }
  if (more_ > 0) absl::StrAppend(&text, "\n", file_, ": ", more_, " more problems are not shown");
  return absl::InvalidArgumentError(text);
}

std::string ClosestWord(absl::string_view word, const std::vector<std::string>& candidates) {
  std::string best;
  std::size_t best_distance = 3;
  if (word.size() > 64) return best;
  for (const std::string& candidate : candidates) {
    const std::size_t distance = EditDistance(word, candidate);
    if (distance < best_distance && 2 * distance < word.size()) {
      best = candidate;
      best_distance = distance;
    }
  }
  return best;
}

}  // namespace netsentinel::config
