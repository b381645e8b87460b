#include "aggregator/accounting/pattern_shape.h"

#include <algorithm>
#include <cstddef>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace netsentinel::accounting {
namespace {

// Two that overlap take the square of the text's length, and each `a?` doubles the time.
constexpr int kMaxChoicesToBacktrack = 1;
// Characters, classes and groups, with what is counted in braces written out.
constexpr std::size_t kMaxPieces = 512;

class Scan {
 public:
  explicit Scan(absl::string_view pattern) : pattern_(pattern) {}

  absl::StatusOr<Matching> Run() {
    while (at_ < pattern_.size()) {
      if (const absl::Status status = Step(); !status.ok()) return status;
    }
    return choices_ <= kMaxChoicesToBacktrack ? Matching::kBacktracking : Matching::kInStep;
  }

 private:
  struct Group {
    std::size_t pieces = 0;
    int choices_before = 0;
    bool is_look_ahead = false;
    bool holds_look_ahead = false;
  };

  absl::Status Step() {
    const char c = pattern_[at_];
    switch (c) {
      case '\\':
        at_ += 2;
        return Piece(1);
      case '[':
        SkipClass();
        return Piece(1);
      case '(':
        return Open();
      case ')':
        return Close();
      case '|':
        Choose();
        last_ = 0;
        ++at_;
        return absl::OkStatus();
      case '*':
      case '+':
      case '?':
      case '{':
        return Quantify();
      default:
        ++at_;
        return Piece(1);
    }
  }

  absl::Status Piece(std::size_t pieces) {
    last_ = pieces;
    last_chooses_ = last_holds_look_ahead_ = false;
    return Grow(pieces);
  }

  absl::Status Grow(std::size_t pieces) {
    groups_.back().pieces += pieces;
    if (groups_.back().pieces <= kMaxPieces) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("makes more than ", kMaxPieces,
                     " characters and groups when the numbers in {} are written out: write *, + or"
                     " smaller numbers"));
  }

  absl::Status Open() {
    ++at_;
    Group group;
    group.choices_before = choices_;
    if (absl::StartsWith(Rest(), "?=") || absl::StartsWith(Rest(), "?!")) {
      // It is matched anew wherever it is tried.
      if (places_ > 0 || InLookAhead()) return LookAheadMisplaced();
      group.is_look_ahead = true;
      at_ += 2;
    } else if (absl::StartsWith(Rest(), "?:")) {
      at_ += 2;
    }
    last_ = 0;
    groups_.push_back(group);
    return absl::OkStatus();
  }

  absl::Status Close() {
    ++at_;
    if (groups_.size() == 1) return absl::OkStatus();
    const Group group = groups_.back();
    groups_.pop_back();
    const bool holds = group.is_look_ahead || group.holds_look_ahead;
    if (const absl::Status status = Piece(group.pieces + 1); !status.ok()) return status;
    last_chooses_ = choices_ > group.choices_before;
    last_holds_look_ahead_ = holds;
    groups_.back().holds_look_ahead |= holds;
    return absl::OkStatus();
  }

  absl::Status Quantify() {
    if (last_holds_look_ahead_) return LookAheadMisplaced();
    std::size_t most = 1;
    bool chooses = true;
    if (pattern_[at_++] == '{') {
      chooses = last_chooses_;  // a{3} is aaa
      for (std::size_t number = 0; at_ < pattern_.size() && pattern_[at_] != '}'; ++at_) {
        const char c = pattern_[at_];
        const bool digit = c >= '0' && c <= '9';
        chooses = chooses || !digit;
        number =
            digit ? std::min(10 * number + static_cast<std::size_t>(c - '0'), kMaxPieces + 1) : 0;
        most = std::max(most, number);
      }
      ++at_;
    }
    if (absl::StartsWith(Rest(), "?")) ++at_;  // lazy
    if (chooses) Choose();
    const std::size_t repeated = last_;
    last_ *= most;
    return Grow(repeated * (most - 1));
  }

  void SkipClass() {
    for (++at_; at_ < pattern_.size() && pattern_[at_] != ']'; ++at_) {
      if (pattern_[at_] == '\\') {
        ++at_;
      } else if (pattern_[at_] == '[' && at_ + 1 < pattern_.size() &&
                 absl::StrContains(".:=", pattern_[at_ + 1])) {
        const char end[] = {pattern_[at_ + 1], ']', '\0'};
        at_ = std::min(pattern_.find(end, at_ + 2), pattern_.size() - 1) + 1;
      }
    }
    ++at_;
  }

  void Choose() {
    ++choices_;
    // A look-ahead takes nothing, so that what follows it is tried at one place still.
    if (!InLookAhead()) ++places_;
  }

  bool InLookAhead() const {
    return std::any_of(groups_.begin(), groups_.end(),
                       [](const Group& group) { return group.is_look_ahead; });
  }

  static absl::Status LookAheadMisplaced() {
    return absl::InvalidArgumentError(
        "has a look-ahead behind a *, +, ?, {} or |, or inside of another or of a group that is"
        " repeated: put it before them");
  }

  absl::string_view Rest() const { return pattern_.substr(std::min(at_, pattern_.size())); }

  absl::string_view pattern_;
  std::size_t at_ = 0;
  int choices_ = 0;
  int places_ = 0;  // choices outside of look-aheads
  // What a quantifier would repeat.
  std::size_t last_ = 0;  // its pieces
  bool last_chooses_ = false;
  bool last_holds_look_ahead_ = false;
  std::vector<Group> groups_ = {{}};
};

}  // namespace

absl::StatusOr<Matching> MatchingOf(absl::string_view pattern) { return Scan(pattern).Run(); }

}  // namespace netsentinel::accounting
